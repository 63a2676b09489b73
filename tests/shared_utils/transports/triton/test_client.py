"""What the client sends, what it makes of an answer, and of what is none."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from shared_utils.errors import CancelledError, VtryonError
from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.errors import TritonFailedError, TritonTimeoutError, TritonUnavailableError
from shared_utils.transports.triton.failures import error_of
from shared_utils.transports.triton.generated.kserve_pb2 import ModelInferRequest, ModelInferResponse
from shared_utils.transports.triton.wire import Value
from tests.shared_utils.transports.triton.triton_stand_in import (
    SOON,
    Asked,
    RefusedError,
    TritonStandIn,
    Values,
    triton,
)

REQUEST = bytes.fromhex(
    "0a016d1a013722070a0170120210032a160a0161120542595445531a010122070a01781202080132160a016212110a0b62696e6172"
    "795f64617461120208013a06020000006869"
)
RESPONSE = bytes.fromhex("0a016d1201311a013722080a017012031a01712a150a01621204424f4f4c1a010122070a017a12020801320101")
"""As another client and Triton write them, with parameters."""


def test_messages_are_those_of_the_protocol() -> None:
    asked, answered = ModelInferRequest.FromString(REQUEST), ModelInferResponse.FromString(RESPONSE)
    assert (asked.model_name, asked.id, asked.outputs[0].name) == ("m", "7", "b")
    assert (asked.inputs[0].name, asked.inputs[0].datatype, list(asked.inputs[0].shape)) == ("a", "BYTES", [1])
    assert list(asked.raw_input_contents) == [b"\x02\x00\x00\x00hi"]
    assert (answered.outputs[0].name, answered.outputs[0].datatype) == ("b", "BOOL")
    assert list(answered.raw_output_contents) == [b"\x01"]


def echo(asked: Asked) -> Values:
    return {"text": Value.of("BYTES", asked.inputs["text"]), "more": Value.data(asked.inputs["data"])}


@pytest.fixture
def server() -> Iterator[TritonStandIn]:
    with triton(echo=echo) as stand_in:
        yield stand_in


@pytest.fixture
def client(server: TritonStandIn) -> Iterator[TritonClient]:
    with TritonClient(server.address) as made:
        yield made


def test_in_and_out(server: TritonStandIn, client: TritonClient) -> None:
    large = bytes(5_000_000)  # more than gRPC takes if nothing is said
    outputs = client.infer("echo", {"text": Value.of("BYTES", "hü"), "data": Value.data(large)}, ["text", "more"], "id")
    assert outputs["text"].texts() == ["hü"]
    assert outputs["more"] == Value.data(large)
    (asked,) = server.asked
    assert (asked.request_id, asked.outputs) == ("id", ["text", "more"])


def test_which_models_are_ready(client: TritonClient) -> None:
    assert client.server_ready()
    assert client.ready("echo")
    assert not client.ready("nobody")


def test_it_waits_until_a_model_is_ready(server: TritonStandIn, client: TritonClient) -> None:
    with pytest.raises(TritonUnavailableError, match=r"late of Triton at .* was not ready within 0 s: .* that model"):
        client.wait_until_ready("late", 0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.wait_until_ready, "late", SOON)
        server.models["late"] = echo
        waiting.result(SOON)


def test_nobody_is_there() -> None:
    with triton() as gone:
        address = gone.address
    with TritonClient(address) as client:
        for ask in (client.server_ready, lambda: client.ready("echo"), lambda: client.infer("echo", {}, [])):
            with pytest.raises(TritonUnavailableError, match=address) as failed:
                ask()
            assert failed.value.retryable
        with pytest.raises(TritonUnavailableError, match="was not ready within 0 s: Nobody answers"):
            client.wait_until_ready("echo", 0)


@pytest.mark.parametrize(
    ("status", "words", "code", "message", "retryable"),
    [
        ("INVALID_ARGUMENT", "INVALID_REQUEST: steps=0\nis wrong: 0", "INVALID_REQUEST", "steps=0\nis wrong: 0", False),
        ("NOT_FOUND", "in ensemble 'latent_encoder', IMAGE_NOT_FOUND: no x", "IMAGE_NOT_FOUND", "no x", False),
        (
            "UNAVAILABLE",
            "[request id: a-1] in ensemble 'vtryon_pipeline', in ensemble 'decoding', STORAGE_FULL: no room",
            "STORAGE_FULL",
            "no room",
            True,
        ),
        ("CANCELLED", "CANCELLED: stopped", "CANCELLED", "stopped", False),
        ("CANCELLED", "Locally cancelled", "CANCELLED", "asked to stop", False),
        ("UNAVAILABLE", "[request id: a] Exceeds maximum queue size", "TRITON_UNAVAILABLE", "Exceeds max", True),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", "TRITON_TIMEOUT", "within 7 s", True),
        ("INVALID_ARGUMENT", "unexpected shape for input 'seed'", "TRITON_FAILED", "INVALID_ARGUMENT: unexp", False),
        ("INTERNAL", "CUDA: out of memory", "TRITON_FAILED", "CUDA: out", False),
        ("INTERNAL", "Failed: Stub process 'vtryon_stages_0' is not healthy.", "TRITON_FAILED", "Stub", True),
        ("UNAVAILABLE", "Request for unknown model: 'x' is not found", "TRITON_UNAVAILABLE", "unknown model", True),
    ],
)
def test_how_a_call_can_fail(status: str, words: str, code: str, message: str, retryable: bool) -> None:
    error = error_of(grpc.StatusCode[status], words, "there:1", 7)
    assert (error.code, error.retryable) == (code, retryable)
    assert message in error.message


def test_a_failure_on_its_way(server: TritonStandIn, client: TritonClient) -> None:
    def refuse(asked: Asked) -> Values:
        raise RefusedError(grpc.StatusCode.UNAVAILABLE, "OUT_OF_MEMORY: the GPU is full")

    server.models["full"] = refuse
    with pytest.raises(VtryonError, match="the GPU is full") as failed:
        client.infer("full", {}, [])
    assert (failed.value.code, failed.value.retryable) == ("OUT_OF_MEMORY", True)


def test_deadline_and_cancel(server: TritonStandIn, client: TritonClient) -> None:
    gone = threading.Event()

    def wait(asked: Asked) -> Values:
        assert asked.context.add_callback(gone.set)
        assert gone.wait(SOON)
        return {}

    server.models["slow"] = wait
    with pytest.raises(TritonTimeoutError, match=r"within 0\.1 s"):
        client.infer("slow", {}, [], timeout=0.1)
    assert gone.wait(SOON)
    gone.clear()
    call = client.begin("slow", {}, [])
    assert not call.wait(0.05)
    assert not call.done
    call.cancel()
    with pytest.raises(CancelledError):
        call.result()
    assert call.done
    assert gone.wait(SOON)


def test_an_answer_that_is_not_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    output = ModelInferResponse.InferOutputTensor(name="text", datatype="BYTES", shape=[1])
    answer = ModelInferResponse(outputs=[output])
    monkeypatch.setattr(TritonStandIn, "infer", lambda _self, _request, _context: answer)
    with triton() as server, TritonClient(server.address) as client, pytest.raises(TritonFailedError, match="a form"):
        client.infer("echo", {}, [])
