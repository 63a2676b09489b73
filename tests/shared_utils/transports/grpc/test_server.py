"""A stage's process over gRPC, from its start to its end."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from sampling.models import SamplingRequest, SamplingResponse
from shared_utils.errors import VAEModelNotFoundError
from shared_utils.settings import cache_dir
from shared_utils.transports.grpc.client import StageClient
from shared_utils.transports.grpc.command import grpc_settings, run_grpc
from tests.bad_input.conftest import Good
from tests.conftest import ROOT, Stages
from tests.shared_utils.transports.grpc.doors import PATIENCE, Caller, Health, HeldSampler, refused, served

# ---- health and reflection


@pytest.mark.parametrize("service", ["", "vtryon.v1.Sampling"], ids=["the server", "the service"])
def test_it_is_healthy_once_it_is_warm(service: str) -> None:
    stage = HeldSampler(cold=True)
    with served(stage) as server, Caller(server.port) as caller:
        health = Health(caller.channel, service)
        assert not health.is_good()
        watched = health.watched()
        assert next(watched).status == HealthCheckResponse.NOT_SERVING
        stage.may_warm_up.set()
        assert next(watched).status == HealthCheckResponse.SERVING
        assert health.is_good()
        watched.cancel()


def test_what_is_asked_before_that_waits() -> None:
    stage = HeldSampler(cold=True)
    stage.go.set()
    with served(stage) as server, Caller(server.port) as caller:
        call = caller.begin()
        assert stage.begun.empty()
        stage.may_warm_up.set()
        assert call.result(PATIENCE)


def test_a_client_that_has_reflection_only(stages: Stages, good: Good) -> None:
    """No generated code, no .proto file: names and types come from the server."""
    with served(stages.latent_encoder) as server:
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}")
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {"vtryon.v1.LatentEncoder", "grpc.health.v1.Health"} < set(database.get_services())
        service = DescriptorPool(database).FindServiceByName("vtryon.v1.LatentEncoder")
        method = service.methods_by_name["Encode"]
        request_class, response_class = (GetMessageClass(kind) for kind in (method.input_type, method.output_type))
        encode: Any = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=request_class.SerializeToString,
            response_deserializer=response_class.FromString,
        )
        request = request_class(image_path=good.picture, megapixels=0.01, request_id="by-reflection")
        answered = encode(request, timeout=PATIENCE)
        channel.close()
    assert (answered.status, answered.request_id) == ("success", "by-reflection")
    assert Path(answered.latent_file_path).is_file()


# ---- the end


def test_the_call_in_hand_is_finished_and_those_that_wait_are_refused() -> None:
    stage = HeldSampler()
    with served(stage, grpc_drain_seconds=PATIENCE) as server:
        caller = Caller(server.port)
        first = caller.begin(request_id="first")
        assert stage.begun.get(timeout=PATIENCE) == "first"
        second = caller.begin(request_id="second")
        second.add_done_callback(lambda _: stage.go.set())
        while not server.turns.waiting:
            assert not second.done()
    assert first.result(PATIENCE)
    refusal = refused(second.result)
    assert (refusal.status, refusal.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BUSY")
    assert "about to end" in refusal.message


def test_who_comes_while_it_ends_is_sent_away() -> None:
    stage = HeldSampler()
    late: list[Any] = []
    with served(stage, grpc_drain_seconds=PATIENCE) as server:
        caller = Caller(server.port)
        first = caller.begin(request_id="first")
        assert stage.begun.get(timeout=PATIENCE) == "first"
        watched = Health(caller.channel, "").watched()
        assert next(watched).status == HealthCheckResponse.SERVING

        def come_when_it_ends() -> None:
            next(watched)  # it is not healthy any more
            late.append(refused(caller.begin(request_id="late").result))
            stage.go.set()

        comer = threading.Thread(target=come_when_it_ends)
        comer.start()
    comer.join(PATIENCE)
    assert first.result(PATIENCE)
    assert (late[0].code, late[0].retryable) == ("BUSY", "true")


def test_what_takes_too_long_is_stopped() -> None:
    stage = HeldSampler()
    with served(stage, grpc_drain_seconds=0.1) as server:
        caller = Caller(server.port)
        call = caller.begin()
        stage.begun.get(timeout=PATIENCE)
    assert refused(call.result).status == grpc.StatusCode.UNAVAILABLE
    assert stage.ended.get(timeout=PATIENCE) == "CANCELLED"


def test_who_watches_its_health_does_not_hold_it_up() -> None:
    with served(HeldSampler(), grpc_drain_seconds=PATIENCE) as server:
        server.turns.warm.result(PATIENCE)
        watched = Health(Caller(server.port).channel, "").watched()
        next(watched)
    assert refused(lambda: list(watched)).status == grpc.StatusCode.UNAVAILABLE


# ---- the command


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_HOST", "127.0.0.2")
    monkeypatch.setenv("GRPC_QUEUE", "7")
    settings = grpc_settings("sampling", ["--mode", "grpc", "--port", "1234"])
    assert (settings.grpc_host, settings.grpc_port, settings.grpc_queue) == ("127.0.0.2", 1234, 7)


def test_a_setting_that_is_not_usable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        grpc_settings("sampling", ["--port", "seven"])
    assert "GRPC_PORT='seven' is not usable" in capsys.readouterr().err


def test_a_port_that_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    with served(HeldSampler()) as server:
        assert run_grpc(HeldSampler(), ["--port", str(server.port)]) == 1
    assert f"CANNOT_LISTEN: Nobody can listen on 127.0.0.1, port {server.port}" in caplog.text


def test_a_stage_that_does_not_get_warm(caplog: pytest.LogCaptureFixture) -> None:
    stage = HeldSampler()
    stage.warm_up_fails = VAEModelNotFoundError("VAE not found")
    assert run_grpc(stage, ["--port", "0"]) == 1
    assert "VAE_MODEL_NOT_FOUND: VAE not found" in caplog.text


def test_a_service_as_a_process(model_dir: Path, good: Good, tmp_path: Path) -> None:
    values = {**os.environ, "MODEL_DIR": str(model_dir), "VTRYON_CACHE": str(cache_dir()), "COMFYUI_DEVICE": "cpu"}
    command = [sys.executable, str(ROOT / "sampling" / "main.py"), "--mode", "grpc", "--port", "0"]
    process = subprocess.Popen(command, env=values, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        port = _port(process)
        with StageClient(f"127.0.0.1:{port}", SamplingRequest, SamplingResponse) as client:
            answer = client.run(SamplingRequest(**good.request("sampling")), timeout=PATIENCE)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE)[1]
    finally:
        process.kill()
    assert isinstance(answer, SamplingResponse), said
    assert process.returncode == 0, said


def _port(process: subprocess.Popen[str]) -> int:
    said = ""
    for line in process.stderr or ():
        said += line
        if found := re.search(r"sampling listens on 127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise AssertionError(said)
