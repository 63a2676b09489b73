"""Whatever arrives is answered: bytes that are no message, none at all, too many, too late."""

import threading
from collections.abc import Iterator

import grpc
import pytest

from shared_utils.transports.grpc import stage_server
from shared_utils.transports.grpc.generated.vtryon_pb2 import SamplingRequest
from tests.shared_utils.transports.grpc.doors import PATIENCE, Caller, HeldSampler, refused, served


@pytest.fixture
def caller() -> Iterator[Caller]:
    with served(HeldSampler(), grpc_max_message_mb=0.1) as server, Caller(server.port) as found:
        yield found


@pytest.mark.parametrize(
    "content", [b"\xff\xff\xff", b"\x08", b"\x0a\x02\xff\xfe"], ids=["junk", "cut off", "no UTF-8"]
)
def test_bytes_that_are_no_message(content: bytes, caller: Caller) -> None:
    refusal = refused(lambda: caller.unary(content, timeout=PATIENCE))
    assert (refusal.status, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "vtryon.v1.SamplingRequest" in refusal.message


def test_no_message_at_all(caller: Caller) -> None:
    refusal = refused(lambda: caller.stream(iter(()), timeout=PATIENCE))
    assert (refusal.status, refusal.code) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


def test_an_empty_message(caller: Caller) -> None:
    refusal = refused(lambda: caller.unary(b"", timeout=PATIENCE))
    assert refusal.code == "INVALID_REQUEST"
    assert "positive_encoding is missing." in refusal.message


@pytest.mark.parametrize("compression", list(grpc.Compression), ids=lambda each: each.name)
def test_a_message_that_is_too_long(compression: grpc.Compression, caller: Caller) -> None:
    """However small it is on its way: packed, these are a few hundred bytes."""
    content = SamplingRequest(positive_encoding="x" * 200_000).SerializeToString()
    refusal = refused(lambda: caller.unary(content, timeout=PATIENCE, compression=compression))
    assert refusal.status == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_message_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_server, "MESSAGE_SECONDS", 0.2)
    enough = threading.Event()

    def never() -> Iterator[bytes]:
        enough.wait(PATIENCE)
        yield from ()

    with served(HeldSampler()) as server, Caller(server.port) as caller:
        refusal = refused(lambda: caller.stream(never(), timeout=PATIENCE))
        enough.set()
    assert (refusal.status, refusal.code) == (grpc.StatusCode.DEADLINE_EXCEEDED, "REQUEST_TOO_SLOW")
    assert refusal.retryable == "true"


def test_a_method_that_there_is_none_of(caller: Caller) -> None:
    unknown: grpc.UnaryUnaryMultiCallable[bytes, bytes] = caller.channel.unary_unary("/vtryon.v1.Sampling/Iron")
    assert refused(lambda: unknown(b"", timeout=PATIENCE)).status == grpc.StatusCode.UNIMPLEMENTED
