"""What the tests of gRPC share: a stage that goes step by step as a test says, and ways to call one."""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_status import rpc_status

from sampling.models import SamplingMetadata, SamplingRequest, SamplingResponse
from shared_utils.comfy.loader import Models
from shared_utils.comfy.progress import comfy_hook, running
from shared_utils.contracts import OutputOptions, SamplerOptions
from shared_utils.errors import VtryonError
from shared_utils.settings import Settings
from shared_utils.stage import Stage
from shared_utils.transports.grpc.generated.vtryon_pb2 import DESCRIPTOR
from shared_utils.transports.grpc.messages import parsed, written
from shared_utils.transports.grpc.settings import GrpcSettings
from shared_utils.transports.grpc.stage_server import StageServer

PATIENCE = 60.0
REQUEST: dict[str, Any] = {"positive_encoding": "positive.pt", "latent_image": "latent.pt"}


class HeldSampler:
    """Looks like the sampler. A job goes on with its next step when the test lets it, or notices that it is stopped."""

    name = "sampling"
    verb = "sample"
    request_type = SamplingRequest
    response_type = SamplingResponse
    options = OutputOptions()

    def __init__(self, cold: bool = False) -> None:
        self.models = Models(Settings())
        self.begun: queue.Queue[str] = queue.Queue()
        self.ended: queue.Queue[str] = queue.Queue()
        """How each ended: done, or an error's code."""
        self.go = threading.Event()
        self.may_warm_up = threading.Event()
        self.warm_up_fails: VtryonError | None = None
        if not cold:
            self.may_warm_up.set()

    def warm_up(self) -> None:
        assert self.may_warm_up.wait(PATIENCE)
        if self.warm_up_fails is not None:
            raise self.warm_up_fails

    def run(self, request: SamplingRequest) -> SamplingResponse:
        self.begun.put(request.request_id)
        try:
            with running("KSampler"):
                while not self.go.wait(0.02):  # nothing wakes it that a stop could: it looks, as a sampler does
                    comfy_hook(1, request.steps)
        except VtryonError as stopped:
            self.ended.put(stopped.code)
            raise
        self.ended.put("done")
        options = {name: getattr(request, name) for name in SamplerOptions.model_fields}
        metadata = SamplingMetadata(seed=request.seed or 0, latent_shape=[1], processing_time_ms=1, **options)
        return SamplingResponse.to(
            request, sampled_latent_path="latent.pt", sampled_latent_shape=[1], metadata=metadata
        )


@contextmanager
def served(stage: Stage, **settings: Any) -> Iterator[StageServer]:
    with StageServer(stage, GrpcSettings(grpc_port=0, **{"grpc_drain_seconds": 0, **settings})) as server:
        yield server


class Health:
    """Of a server, or of one of its services."""

    def __init__(self, channel: grpc.Channel, service: str) -> None:
        path, coding = "/grpc.health.v1.Health/", (HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString)
        self._check: Any = channel.unary_unary(f"{path}Check", *coding)
        self._watch: Any = channel.unary_stream(f"{path}Watch", *coding)
        self._request = HealthCheckRequest(service=service)

    def is_good(self) -> bool:
        status: int = self._check(self._request, timeout=PATIENCE).status
        return status == HealthCheckResponse.SERVING

    def watched(self) -> Any:
        """How it is, whenever that changes."""
        return self._watch(self._request)


@dataclass(frozen=True)
class Refused:
    """How a call ended."""

    status: grpc.StatusCode
    message: str
    code: str | None
    retryable: str | None
    retry_after: int | None


class Caller:
    """Calls one method with plain gRPC."""

    def __init__(self, port: int, service: str = "Sampling", method: str = "Sample") -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._method = DESCRIPTOR.services_by_name[service].methods_by_name[method]
        path = f"/vtryon.v1.{service}/{method}"
        self.unary: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(path)
        self.stream: grpc.StreamUnaryMultiCallable[bytes, bytes] = self.channel.stream_unary(path)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *exception: object) -> None:
        self.channel.close()

    def begin(self, timeout: float | None = PATIENCE, **fields: Any) -> Any:
        """A call that can be waited for, or cancelled."""
        return self.unary.future(written(self._method.input_type, {**REQUEST, **fields}), timeout=timeout)

    def answer(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        content = self.unary(written(self._method.input_type, fields), timeout=PATIENCE)
        return parsed(self._method.output_type, content)


def refused(do: Callable[[], object]) -> Refused:
    """Does it, which must end with an error."""
    with pytest.raises(grpc.RpcError) as failed:
        do()
    assert isinstance(failed.value, grpc.Call)
    return of(failed.value)


def of(call: grpc.Call) -> Refused:
    info, retry = ErrorInfo(), RetryInfo()
    details = getattr(rpc_status.from_call(call), "details", ())
    told = any(detail.Unpack(info) for detail in details)
    later = any(detail.Unpack(retry) for detail in details)
    assert not told or info.domain == "vtryon"
    return Refused(
        call.code(),
        call.details() or "",
        info.reason if told else None,
        info.metadata["retryable"] if told else None,
        retry.retry_delay.seconds if later else None,
    )
