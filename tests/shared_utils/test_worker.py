"""Several stages in one process: `python -m shared_utils.worker`."""

import os
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from shared_utils import worker
from shared_utils.settings import cache_dir
from shared_utils.transports.kafka import topics
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from shared_utils.transports.kafka.messages import JsonCodec
from shared_utils.transports.kafka.reading import read_to_the_end
from shared_utils.transports.kafka.sending import Outgoing, send
from shared_utils.transports.kafka.settings import KafkaSettings

PROMPT = 30.0


def test_every_stage_can_be_hosted() -> None:
    assert {each.name: each.load().name for each in entry_points(group="vtryon.stages")} == {
        stage: stage for stage in topics.STAGES
    }


def test_a_stage_that_there_is_none_of(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        worker.main(["--stages", "latent_encoder,ironing"])
    assert "no stage ironing: there are" in capsys.readouterr().err


def test_topics_of_one_stage_are_not_for_two(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("KAFKA_REQUEST_TOPIC", "mine")
    assert worker.main(["--stages", "latent_encoder,decoding"]) == 1


def test_two_stages_share_a_process_and_a_vae(model_dir: Path, examples: Path, tmp_path: Path) -> None:
    """Both answer; the VAE, which both need, is loaded once; SIGTERM ends it well."""
    with EmbeddedBroker() as broker:
        settings = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap)
        topics.check(settings)
        asked: dict[str, dict[str, Any]] = {
            "latent_encoder": {"image_path": str(examples / "person_masked.png"), "megapixels": 0.02},
            "decoding": {"latent_path": str(tmp_path / "missing.pt")},
        }
        for stage, fields in asked.items():
            value = JsonCodec().encode("", fields | {"request_id": f"of-{stage}"})
            send(settings, Outgoing(topics.request_topic(stage), "key", value))
        values = {**os.environ, "MODEL_DIR": str(model_dir), "VTRYON_CACHE": str(cache_dir()), "COMFYUI_DEVICE": "cpu"}
        command = [sys.executable, "-m", "shared_utils.worker", "--stages", "latent_encoder,decoding"]
        process = subprocess.Popen(
            [*command, "--kafka-bootstrap-servers", broker.bootstrap], env=values, stderr=subprocess.PIPE, text=True
        )
        try:
            said = wait_for_answers(settings, process)
            process.send_signal(signal.SIGTERM)
            said += process.communicate(timeout=PROMPT)[1]
        finally:
            process.kill()
        assert process.returncode == 0, said
        assert said.count("loading the VAE") == 1


def wait_for_answers(settings: KafkaSettings, process: subprocess.Popen[str]) -> str:
    """Read its log until both stages have answered, then look at the answers."""
    said = ""
    for line in process.stderr or ():
        said += line
        if "INPUT_TENSOR_NOT_FOUND" in said and "finished" in said:
            break
    answers: dict[str, Any] = {}
    while len(answers) < 2:
        for stage in ("latent_encoder", "decoding"):
            for record in read_to_the_end(settings, topics.response_topic(stage)):
                answers[stage] = JsonCodec().decode("", bytes(record.value() or b""))
    assert answers["latent_encoder"]["status"] == "success"
    assert answers["decoding"]["error_code"] == "INPUT_TENSOR_NOT_FOUND"
    return said
