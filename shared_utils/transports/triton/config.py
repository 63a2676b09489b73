"""The text of a model's config.pbtxt.

What an input or output means stands in it twice: as a comment for whoever opens the file, and as a parameter
(`input.prompt`) for whoever asks the server for the configuration, which has no comments.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared_utils.transports.triton.tensors import Tensor

WRITTEN = "# Written by `vtryon triton build`: change its options or the contracts, not this file."
"""The first line of each, by which the command knows what it may write over."""


@dataclass(frozen=True)
class Instances:
    """How many of a Python model there are, and where."""

    count: int = 1
    gpus: tuple[int, ...] = ()
    """So many on each of these; none: on the device that the model chooses itself."""
    one_at_a_time: bool = False
    """Whether only one instance on a GPU works at a time, whatever its model."""


@dataclass(frozen=True)
class Queue:
    """What happens to requests that have to wait."""

    most: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Step:
    """A model in an ensemble: the ensemble's tensors by the model's inputs, and by the model's outputs."""

    model: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True)
class Model:
    """What every configuration has."""

    name: str
    purpose: str
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    parameters: Mapping[str, str] = field(default_factory=dict)


def python_model(model: Model, instances: Instances, queue: Queue) -> str:
    """The configuration of a model whose code is a model.py."""
    return _text([*_head(model, 'backend: "python"'), *_instance_group(instances), *_queued(queue), *_foot(model)])


def ensemble(model: Model, steps: Sequence[Step]) -> str:
    """The configuration of a model that only passes tensors between others."""
    return _text([*_head(model, 'platform: "ensemble"'), *_scheduling(steps), *_foot(model)])


def onnx_model(model: Model) -> str:
    """The configuration of a model that ONNX Runtime runs, on a GPU where there is one. Its parameters are that
    backend's own, so what the tensors mean stands in comments alone."""
    return _text(_head(model, 'platform: "onnxruntime_onnx"'))


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _head(model: Model, kind: str) -> Iterator[str]:
    yield WRITTEN
    yield f"# {model.purpose}"
    yield ""
    yield f'name: "{model.name}"'
    yield kind
    yield "max_batch_size: 0"
    yield from _tensors("input", model.inputs)
    yield from _tensors("output", model.outputs)


def _tensors(side: str, tensors: Sequence[Tensor]) -> Iterator[str]:
    yield ""
    yield f"{side} ["
    for tensor in tensors:
        comma = "" if tensor is tensors[-1] else ","
        yield f"  # {tensor.description}"
        yield f"  {{ {_tensor(tensor)} }}{comma}"
    yield "]"


def _tensor(tensor: Tensor) -> str:
    dims = ", ".join(str(size) for size in tensor.dims)
    optional = " optional: true" if tensor.optional else ""
    return f'name: "{tensor.name}" data_type: {tensor.datatype} dims: [ {dims} ]{optional}'


def _instance_group(instances: Instances) -> Iterator[str]:
    where = f"kind: KIND_GPU gpus: [ {', '.join(map(str, instances.gpus))} ]" if instances.gpus else "kind: KIND_MODEL"
    yield ""
    if instances.one_at_a_time:
        yield "# Only with `tritonserver --rate-limit=execution_count` is one at a time all that works on a GPU."
    yield "instance_group ["
    yield f"  {{ count: {instances.count} {where}{_limit(instances)} }}"
    yield "]"


def _limit(instances: Instances) -> str:
    if not instances.one_at_a_time:
        return ""
    # Where Triton does not know the device, there is one resource for the whole server.
    everywhere = "" if instances.gpus else " global: true"
    return f' rate_limiter {{ resources [ {{ name: "device"{everywhere} count: 1 }} ] }}'


def _queued(queue: Queue) -> Iterator[str]:
    if queue == Queue():
        return
    most = [] if queue.most is None else [f"max_queue_size: {queue.most}"]
    seconds = [] if queue.seconds is None else [f"default_timeout_microseconds: {round(queue.seconds * 1e6)}"]
    yield ""
    yield "# Whoever comes when it is full, or waits for longer, is refused with UNAVAILABLE: to be tried again later."
    yield f"dynamic_batching {{ default_queue_policy {{ timeout_action: REJECT {' '.join(most + seconds)} }} }}"


def _scheduling(steps: Sequence[Step]) -> Iterator[str]:
    yield ""
    yield "ensemble_scheduling {"
    yield "  step ["
    for step in steps:
        yield "    {"
        yield f'      model_name: "{step.model}"'
        yield "      model_version: -1"
        yield from _maps("input_map", step.inputs)
        yield from _maps("output_map", step.outputs)
        yield "    }" if step is steps[-1] else "    },"
    yield "  ]"
    yield "}"


def _maps(kind: str, names: Mapping[str, str]) -> Iterator[str]:
    for key, value in names.items():
        yield f'      {kind} {{ key: "{key}" value: "{value}" }}'


def _foot(model: Model) -> Iterator[str]:
    described = {f"input.{tensor.name}": tensor.description for tensor in model.inputs}
    described |= {f"output.{tensor.name}": tensor.description for tensor in model.outputs}
    yield ""
    for key, value in {**model.parameters, **described}.items():
        yield f'parameters {{ key: "{key}" value {{ string_value: {json.dumps(value, ensure_ascii=False)} }} }}'
