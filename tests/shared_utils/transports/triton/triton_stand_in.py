"""A server that speaks Triton's protocol, and whose models are what the test says."""

import json
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from shared_utils.transports.triton.generated.kserve_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from shared_utils.transports.triton.wire import FORMATS, TEXT, Value

SOON = 60.0
"""What only a hang exceeds."""
THREADS = 8
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Asked:
    """What came with one inference."""

    model: str
    request_id: str
    inputs: dict[str, Any]
    """One element each, or the bytes of UINT8."""
    outputs: list[str]
    context: Any


class RefusedError(Exception):
    """How a model ends a call."""

    def __init__(self, status: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.status = status


Model = Callable[[Asked], Values]


class TritonStandIn:
    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        """Those that are ready."""
        self.asked: list[Asked] = []
        self.address = ""
        self.changed = threading.Condition()
        """Notified when something is asked."""

    def of(self, model: str) -> list[Asked]:
        """What it was asked."""
        return [each for each in self.asked if each.model == model]

    def server_ready(self, _request: Any, _context: Any) -> Any:
        return ServerReadyResponse(ready=True)

    def model_ready(self, request: Any, _context: Any) -> Any:
        return ModelReadyResponse(ready=request.name in self.models)

    def infer(self, request: Any, context: Any) -> Any:
        inputs = {
            given.name: element(Value(given.datatype, tuple(given.shape), content))
            for given, content in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        asked = Asked(request.model_name, request.id, inputs, [each.name for each in request.outputs], context)
        with self.changed:
            self.asked.append(asked)
            self.changed.notify_all()
        model = self.models.get(asked.model)
        if model is None:
            words = f"Request for unknown model: '{asked.model}' is not found"
            context.abort(grpc.StatusCode.NOT_FOUND, words)
            raise AssertionError
        try:
            outputs = model(asked)
        except RefusedError as refused:
            context.abort(refused.status, str(refused))
        return ModelInferResponse(
            model_name=asked.model,
            id=asked.request_id,
            outputs=[
                ModelInferResponse.InferOutputTensor(name=name, datatype=value.datatype, shape=value.shape)
                for name, value in outputs.items()
                if name in asked.outputs
            ],
            raw_output_contents=[value.content for name, value in outputs.items() if name in asked.outputs],
        )


def element(value: Value) -> Any:
    """The one element, of the type that it says; all bytes of UINT8."""
    if value.datatype == "UINT8":
        assert value.shape == (len(value.content),)
        return value.content
    assert value.shape == (1,)
    if value.datatype == TEXT:
        (text,) = value.texts()
        return text
    (number,) = struct.unpack(f"<{FORMATS[value.datatype]}", value.content)
    return number


@contextmanager
def triton(**models: Model) -> Iterator[TritonStandIn]:
    """One with these models, and one that has no news."""
    stand_in = TritonStandIn()
    stand_in.models = {"vtryon_news": lambda _: {"steps": Value.of(TEXT)}, **models}
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "ServerReady": grpc.unary_unary_rpc_method_handler(
            stand_in.server_ready, ServerReadyRequest.FromString, ServerReadyResponse.SerializeToString
        ),
        "ModelReady": grpc.unary_unary_rpc_method_handler(
            stand_in.model_ready, ModelReadyRequest.FromString, ModelReadyResponse.SerializeToString
        ),
        "ModelInfer": grpc.unary_unary_rpc_method_handler(
            stand_in.infer,
            ModelInferRequest.FromString,
            ModelInferResponse.SerializeToString,
        ),
    }
    handler = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
    # As Triton, which takes messages of any length.
    options = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=[handler], options=options)
    stand_in.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield stand_in
    finally:
        server.stop(None).wait()


class TellingNews:
    """vtryon_news that tells what the test has it tell, and knows whether it was told to stop."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.stopped: list[str] = []
        self.gone = threading.Event()
        """For a model to set when nobody waits for it any more."""

    def tell(self, stage: str, node: str, done: int = 0, total: int = 0, preview: str | None = None) -> None:
        self.lines.append(json.dumps({"stage": stage, "node": node, "done": done, "total": total, "preview": preview}))

    def __call__(self, asked: Asked) -> Values:
        if asked.inputs.get("stop"):
            self.stopped.append(asked.inputs["request_id"])
        return {"steps": Value.of(TEXT, *self.lines[asked.inputs.get("after", 0) :])}
