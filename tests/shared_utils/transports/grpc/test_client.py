"""What a client makes of an answer, and of what is none."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from decoding.models import DecodingRequest, DecodingResponse
from sampling.models import SamplingRequest, SamplingResponse
from shared_utils.contracts import Failure
from shared_utils.errors import InvalidRequestError
from shared_utils.transports.grpc.client import StageClient
from shared_utils.transports.grpc.errors import CallFailedError
from shared_utils.transports.grpc.failures import DETAILS, MESSAGE_BYTES
from tests.shared_utils.transports.grpc.doors import PATIENCE, REQUEST, HeldSampler, served

Client = StageClient[SamplingRequest, SamplingResponse]
ASKED = SamplingRequest(**REQUEST, request_id="one", correlation_id="two")


@contextmanager
def answered_by(do: Callable[[bytes, Any], bytes]) -> Iterator[Client]:
    """A client of somebody who answers as the test says."""
    handler = grpc.method_handlers_generic_handler(
        "vtryon.v1.Sampling", {"Sample": grpc.unary_unary_rpc_method_handler(do)}
    )
    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with StageClient(f"127.0.0.1:{port}", SamplingRequest, SamplingResponse) as client:
        yield client
    server.stop(None).wait()


def failed(client: Client) -> Failure:
    answer = client.run(ASKED, timeout=PATIENCE)
    assert isinstance(answer, Failure)
    assert (answer.request_id, answer.correlation_id) == ("one", "two")
    return answer


@pytest.mark.parametrize("content", [b"\xff", b"", b"\x0a\x02ok"], ids=["junk", "nothing", "half of it"])
def test_an_answer_that_can_not_be_read(content: bytes) -> None:
    with answered_by(lambda _request, _context: content) as client:
        assert failed(client).error_code == "INVALID_RESPONSE"


def _details(*infos: ErrorInfo) -> bytes:
    status = Status(code=grpc.StatusCode.INTERNAL.value[0], message="broken")
    for info in infos:
        status.details.add().Pack(info)
    content: bytes = status.SerializeToString()
    return content


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff",
        b"",
        _details(),
        _details(ErrorInfo(reason="MINE", domain="somebody.else")),
        Status(code=3, message="another").SerializeToString(),
    ],
    ids=["junk", "empty", "none", "of another", "contradicts the status"],
)
def test_a_status_that_is_not_ours(details: bytes) -> None:
    def answer(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata(((DETAILS, details),))
        context.set_code(grpc.StatusCode.INTERNAL)
        context.set_details("broken")
        return b""

    with answered_by(answer) as client:
        answered = failed(client)
    assert (answered.error_code, answered.retryable) == ("INTERNAL_ERROR", False)
    assert "broken" in answered.error_message


def test_nobody_is_there() -> None:
    with served(HeldSampler()) as server:
        port = server.port
    with StageClient(f"127.0.0.1:{port}", SamplingRequest, SamplingResponse) as client:
        answered = failed(client)
    assert (answered.error_code, answered.retryable) == ("GRPC_UNAVAILABLE", True)


def test_it_waits_until_the_stage_is_warm() -> None:
    stage = HeldSampler(cold=True)
    with (
        served(stage) as server,
        StageClient(f"127.0.0.1:{server.port}", SamplingRequest, SamplingResponse) as client,
    ):
        with pytest.raises(CallFailedError, match=r"vtryon\.v1\.Sampling at .* was not ready within 0\.2 s") as failed:
            client.wait_until_ready(0.2)
        assert (failed.value.code, failed.value.retryable) == ("GRPC_UNAVAILABLE", True)
        stage.may_warm_up.set()
        client.wait_until_ready(PATIENCE)
        assert server.turns.warm.done()


def test_it_does_not_wait_for_another_service() -> None:
    with (
        served(HeldSampler()) as server,
        StageClient(f"127.0.0.1:{server.port}", DecodingRequest, DecodingResponse) as client,
        pytest.raises(CallFailedError, match=r"There is no vtryon\.v1\.Decoding at"),
    ):
        client.wait_until_ready(PATIENCE)


def test_a_long_message_arrives_in_part() -> None:
    """A status has to fit into the 8 kB that a client reads of it."""
    stage = HeldSampler()
    stage.run = _refusing("garçon 🧥 " * 2000)  # type: ignore[method-assign]
    with (
        served(stage) as server,
        StageClient(f"127.0.0.1:{server.port}", SamplingRequest, SamplingResponse) as client,
    ):
        answered = failed(client)
    assert answered.error_code == "INVALID_REQUEST"
    assert answered.error_message.startswith("garçon 🧥 ")
    assert answered.error_message.endswith("...")
    assert MESSAGE_BYTES - 4 <= len(answered.error_message.encode()) <= MESSAGE_BYTES


def _refusing(message: str) -> Any:
    def run(request: SamplingRequest) -> SamplingResponse:
        raise InvalidRequestError(message)

    return run
