"""The model repository that Triton serves the stages from: every file of it, made from the stages' contracts.

On one GPU, one model hosts all stages in one process, which loads each of their models once, and the stages' own models
are doors to it. On several GPUs, each stage is a model with processes of its own. Callers see no difference.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared_utils.transports.triton.config import Instances, Model, Queue, Step, ensemble, python_model
from shared_utils.transports.triton.pipeline import PLACES, pipeline
from shared_utils.transports.triton.tensors import StageContract, Tensor

Layout = Literal["together", "apart"]
FOLDER = "triton_models"
"""Where it is written if nobody says where. Not "triton": on Python's path a folder of that name passes for the
package, which PyTorch looks for."""
HOST = "vtryon_stages"
NEWS = "vtryon_news"
CONFIG = "config.pbtxt"
VERSION = "1"
CODE = f"{VERSION}/model.py"
ONNX = f"{VERSION}/model.onnx"
NOTHING = f"{VERSION}/.gitkeep"
"""Triton wants the folder of the version even where it has nothing to hold."""
NEWS_INPUTS = (
    Tensor(
        "request_id",
        "TYPE_STRING",
        (1,),
        description="The request id of the call to Triton, else its field request_id.",
    ),
    Tensor("after", "TYPE_INT64", (1,), optional=True, description="How many of its steps are known already."),
    Tensor("stop", "TYPE_BOOL", (1,), optional=True, description="True: nobody wants its answer any more."),
)
NEWS_OUTPUTS = (
    Tensor("steps", "TYPE_STRING", (-1,), description="Its further steps as JSON: stage, node, done, total, preview."),
)


@dataclass(frozen=True)
class Share:
    """What of the machine one Python model gets."""

    instances: int = 1
    gpus: tuple[int, ...] = ()
    memory_gb: float | None = None
    """For the models that one instance loads; None: what MODEL_MEMORY_GB says."""


@dataclass(frozen=True)
class BuildOptions:
    """What is decided when a repository is made."""

    layout: Layout = "together"
    share: Share = Share()
    shares: Mapping[str, Share] = field(default_factory=dict)
    """Of single stages, which get that instead. Only apart: together they share one process."""
    queue: Queue = field(default_factory=Queue)
    one_at_a_time: bool = False
    warm_up: bool = True


def build(stages: Iterable[StageContract], options: BuildOptions) -> dict[Path, str]:
    """The files of the repository, by their paths in it."""
    by_name = {stage.name: stage for stage in stages}
    ordered = [by_name[name] for name in PLACES]
    together = options.layout == "together"
    files = _together(ordered, options) if together else _apart(ordered, options)
    hosts = {name: HOST if together else name for name in PLACES}
    return {Path(name): text for name, text in (files | _passing(*pipeline(ordered, hosts)) | _news()).items()}


def _together(stages: Sequence[StageContract], options: BuildOptions) -> dict[str, str]:
    purpose = "All stages in one process: the one whose outputs are asked for works."
    files = _hosting(HOST, purpose, stages, options)
    for stage in stages:
        files |= _door(stage)
    return files


def _apart(stages: Sequence[StageContract], options: BuildOptions) -> dict[str, str]:
    files: dict[str, str] = {}
    for stage in stages:
        files |= _hosting(stage.name, f"The stage {stage.name}.", [stage], options)
    return files


def _hosting(name: str, purpose: str, stages: Sequence[StageContract], options: BuildOptions) -> dict[str, str]:
    """A model in whose process these stages run."""
    share = options.shares.get(name, options.share)
    inputs = {tensor.name: tensor for stage in stages for tensor in stage.inputs()}
    outputs = {tensor.name: tensor for stage in stages for tensor in stage.outputs()}
    model = Model(
        name, purpose, [*inputs.values()], [*outputs.values()], dict(_parameters(stages, share, options.warm_up))
    )
    instances = Instances(share.instances, share.gpus, options.one_at_a_time)
    return {
        f"{name}/{CONFIG}": python_model(model, instances, options.queue),
        f"{name}/{CODE}": _code("backend"),
    }


def _parameters(stages: Sequence[StageContract], share: Share, warm_up: bool) -> Iterator[tuple[str, str]]:
    yield "stages", ",".join(stage.name for stage in stages)
    yield "warm_up", "true" if warm_up else "false"
    if share.memory_gb is not None:
        yield "model_memory_gb", f"{share.memory_gb:g}"


def _door(stage: StageContract) -> dict[str, str]:
    """The stage under its own name, where another model hosts it."""
    model = Model(stage.name, f"The stage {stage.name}, which runs in {HOST}.", stage.inputs(), stage.outputs())
    inputs = {tensor.name: tensor.name for tensor in model.inputs}
    outputs = {tensor.name: tensor.name for tensor in model.outputs}
    return _passing(model, [Step(HOST, inputs, outputs)])


def _passing(model: Model, steps: Sequence[Step]) -> dict[str, str]:
    return {f"{model.name}/{CONFIG}": ensemble(model, steps), f"{model.name}/{NOTHING}": ""}


def _news() -> dict[str, str]:
    model = Model(NEWS, "How far a request is; and it can be stopped.", NEWS_INPUTS, NEWS_OUTPUTS)
    return {
        f"{NEWS}/{CONFIG}": python_model(model, Instances(), Queue()),
        f"{NEWS}/{CODE}": _code("news_backend"),
    }


def _code(module: str) -> str:
    return f'from shared_utils.transports.triton.{module} import TritonPythonModel\n\n__all__ = ["TritonPythonModel"]\n'
