"""Triton from outside: tensors go in by their names, and come out."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeAlias, cast

import grpc

from shared_utils.errors import CancelledError
from shared_utils.transports.triton.errors import TritonFailedError, TritonUnavailableError
from shared_utils.transports.triton.failures import error_of
from shared_utils.transports.triton.generated.kserve_pb2 import (
    ModelInferRequest,
    ModelInferResponse,
    ModelReadyRequest,
    ModelReadyResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from shared_utils.transports.triton.wire import Value

log = logging.getLogger("vtryon.triton")

Values: TypeAlias = Mapping[str, Value]
SERVICE = "/inference.GRPCInferenceService/"
OPTIONS = [
    # Pictures and latents are large, and Triton sets no limit either.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
SHORT_SECONDS = 10.0
"""For a question that Triton answers at once."""
PAUSE_SECONDS = 0.5
"""Between two looks whether a model is ready."""


class Call:
    """A call under way."""

    def __init__(self, future: Any, address: str, seconds: float) -> None:
        self._future = future
        self._address = address
        self._seconds = seconds
        self._ended = threading.Event()
        future.add_done_callback(lambda _: self._ended.set())

    @property
    def done(self) -> bool:
        return bool(self._future.done())

    @property
    def may_go_on(self) -> bool:
        """Whether Triton may still work on it: when time is up it tells models, but not the steps of an ensemble."""
        return not self.done or self._future.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    def wait(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        return self._ended.wait(seconds)

    def cancel(self) -> None:
        """Nobody waits for the result any more."""
        self._future.cancel()

    def result(self) -> dict[str, Value]:
        """The outputs by their names, or an error of ours."""
        try:
            response: ModelInferResponse = self._future.result()
        except grpc.FutureCancelledError:
            raise CancelledError("Nobody waits for it any more.") from None
        except grpc.RpcError as failed:
            call = cast("grpc.Call", failed)
            raise error_of(call.code(), call.details() or "no details", self._address, self._seconds) from None
        if len(response.outputs) != len(response.raw_output_contents):
            raise TritonFailedError(f"What answers at {self._address} sends tensors in a form that is not read here.")
        return {
            output.name: Value(output.datatype, tuple(output.shape), content)
            for output, content in zip(response.outputs, response.raw_output_contents, strict=True)
        }


class TritonClient:
    """Connects when it is first used, and again whenever that is needed. Safe to be used by several threads."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.insecure_channel(address, OPTIONS)
        self._server_ready: grpc.UnaryUnaryMultiCallable[ServerReadyRequest, ServerReadyResponse]
        self._server_ready = self._method("ServerReady", ServerReadyRequest, ServerReadyResponse)
        self._model_ready: grpc.UnaryUnaryMultiCallable[ModelReadyRequest, ModelReadyResponse]
        self._model_ready = self._method("ModelReady", ModelReadyRequest, ModelReadyResponse)
        self._infer: grpc.UnaryUnaryMultiCallable[ModelInferRequest, ModelInferResponse]
        self._infer = self._method("ModelInfer", ModelInferRequest, ModelInferResponse)

    def server_ready(self) -> bool:
        """Whether all its models are ready. TritonUnavailableError if nobody answers."""
        return self._said(self._server_ready, ServerReadyRequest())

    def ready(self, model: str) -> bool:
        """Whether there is such a model, and it can be used. TritonUnavailableError if nobody answers."""
        return self._said(self._model_ready, ModelReadyRequest(name=model))

    def wait_until_ready(self, model: str, seconds: float) -> None:
        """Come back when the model can be used; TritonUnavailableError if it can't by then."""
        until = time.monotonic() + seconds
        told = False
        while True:
            try:
                if self.ready(model):
                    return
                reason = "it has not loaded that model, or has none of that name"
            except TritonUnavailableError as failed:
                reason = failed.message
            if time.monotonic() >= until:
                raise TritonUnavailableError(
                    f"The model {model} of Triton at {self.address} was not ready within {seconds:g} s: {reason}"
                )
            if not told:
                log.info("waiting for the model %s of Triton at %s: %s", model, self.address, reason)
                told = True
            time.sleep(PAUSE_SECONDS)

    def begin(
        self, model: str, inputs: Values, outputs: Sequence[str], request_id: str = "", timeout: float | None = None
    ) -> Call:
        """Ask a model for these outputs. After `timeout` seconds nobody waits for them."""
        request = ModelInferRequest(
            model_name=model,
            id=request_id,
            inputs=[
                ModelInferRequest.InferInputTensor(name=name, datatype=value.datatype, shape=value.shape)
                for name, value in inputs.items()
            ],
            outputs=[ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs],
            raw_input_contents=[value.content for value in inputs.values()],
        )
        return Call(self._infer.future(request, timeout=timeout), self.address, timeout or 0)

    def infer(
        self, model: str, inputs: Values, outputs: Sequence[str], request_id: str = "", timeout: float | None = None
    ) -> dict[str, Value]:
        """The outputs by their names, or an error of ours."""
        return self.begin(model, inputs, outputs, request_id, timeout).result()

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _method(self, name: str, request: Any, response: Any) -> Any:
        return self._channel.unary_unary(SERVICE + name, request.SerializeToString, response.FromString)

    def _said(self, ask: Any, question: Any) -> bool:
        try:
            ready: bool = ask(question, timeout=SHORT_SECONDS).ready
        except grpc.RpcError as failed:
            call = cast("grpc.Call", failed)
            if call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise TritonUnavailableError(f"Nobody answers at {self.address}: {call.details()}") from None
            if call.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                return False
            raise error_of(call.code(), call.details() or "no details", self.address, SHORT_SECONDS) from None
        return ready
