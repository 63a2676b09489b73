"""The real four stages on miniatures, through Apache Kafka: the same bits as the whole workflow in one process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monolith
import numpy as np
import pytest
import torch
from compare_tensors import differences
from PIL import Image

from shared_utils.settings import Settings
from shared_utils.stage import Stage
from shared_utils.transports.kafka import host, topics
from shared_utils.transports.kafka.apache import ApacheKafka
from shared_utils.transports.kafka.settings import WorkerSettings
from shared_utils.transports.triton.settings import TritonSettings
from shared_utils.transports.triton.stage import TritonStage
from tests.conftest import Stages
from tests.kafka.orchestra import orchestra_on
from tests.kafka.support import connection, emptied, fresh, in_thread
from tests.triton.support import served

SEED = 2**64 - 1
WORKFLOW: dict[str, Any] = {"steps": 2, "megapixels": 0.04, "seed": SEED, "cfg": 2.5, "denoise": 0.6}
FIELDS = {
    "latent": "latent_file_path",
    "positive": "positive_encoding_path",
    "negative": "negative_encoding_path",
    "sampled": "sampled_latent_path",
}


@pytest.fixture(params=["in the worker", pytest.param("on Triton", marks=pytest.mark.triton)])
def four(request: pytest.FixtureRequest, stages: Stages, model_dir: Path, tmp_path: Path) -> Iterator[list[Stage]]:
    """The stages, and where they run."""
    local: list[Stage] = [stages.latent_encoder, stages.text_encoder, stages.sampling, stages.decoding]
    if request.param == "in the worker":
        yield local
        return
    with served(tmp_path / "triton", model_dir, "together") as server:
        yield [TritonStage(stage, TritonSettings(triton_url=server.grpc)) for stage in local]


@pytest.mark.usefixtures("comfy")
def test_the_pipeline_equals_the_monolith(
    apache_kafka: ApacheKafka, four: list[Stage], examples: Path, model_dir: Path, tmp_path: Path
) -> None:
    person, garment = tmp_path / "person.png", tmp_path / "garment.jpg"
    with Image.open(examples / "person_masked.png") as picture:
        picture.resize((192, 256)).save(person)
    with Image.open(examples / "garment.png") as picture:
        picture.resize((150, 200)).convert("RGB").save(garment, quality=90)

    emptied(apache_kafka)
    with orchestra_on(apache_kafka, tmp_path) as orchestra:
        orchestra.engine(keep_intermediates=True)
        settings = WorkerSettings(**connection(apache_kafka), kafka_instance_id=fresh())
        with in_thread(lambda: host.run_workers(four, settings), "four stages"):
            pictures: dict[str, Any] = {"person_image_path": str(person), "garment_image_path": str(garment)}
            name = orchestra.ask(**pictures, **WORKFLOW)
            missing = orchestra.ask(**pictures | {"person_image_path": str(tmp_path / "nobody.png")}, **WORKFLOW)
            answer = orchestra.answer(name).value
            assert answer["status"] == "success", answer
            assert orchestra.answer(missing).value["error_code"] == "IMAGE_NOT_FOUND"
            letters = topics.dead_letter_topic(topics.TRYON_REQUESTS)
            assert orchestra.eyes.one(letters, missing).headers["error_code"] == "IMAGE_NOT_FOUND"
            progress = [each.value for each in orchestra.all(topics.TRYON_PROGRESS, name)]

    job = monolith.TryOn(person=person, garment=garment, output=tmp_path / "monolith", **WORKFLOW)
    monolith.run(job, Settings(model_dir=model_dir, comfyui_attention="pytorch"))
    for part, field in FIELDS.items():
        ours, theirs = _load(answer[field]), _load(tmp_path / "monolith" / f"{part}.pt")
        assert list(differences(ours, theirs)) == [], part
    with Image.open(answer["image_path"]) as a, Image.open(tmp_path / "monolith" / "image.png") as b:
        assert np.array_equal(np.asarray(a), np.asarray(b))
    assert {each["step"] for each in progress} == set(topics.STAGES)
    assert {"done": 2, "total": 2, "node": "KSampler"}.items() <= max(progress, key=lambda each: each["done"]).items()


def test_a_path_outside_the_storage(
    apache_kafka: ApacheKafka, make_stages: Any, examples: Path, model_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "storage").mkdir()
    guarded = make_stages(model_dir=model_dir, storage_roots=[tmp_path / "storage"])
    emptied(apache_kafka)
    with orchestra_on(apache_kafka, tmp_path / "storage") as orchestra:
        orchestra.engine()
        settings = WorkerSettings(**connection(apache_kafka), kafka_instance_id=fresh())
        patch_free = [_without_models(guarded.latent_encoder)]
        with in_thread(lambda: host.run_workers(patch_free, settings), "latent encoder"):
            name = orchestra.ask(person_image_path=str(examples / "person_masked.png"))
            answer = orchestra.answer(name).value
    assert (answer["error_code"], answer["failed_step"]) == ("PATH_NOT_ALLOWED", "latent_encoder")


def _without_models(stage: Any) -> Any:
    """Nothing is loaded for what is refused before."""
    stage.warm_up = lambda: None
    return stage


def _load(path: str | Path) -> Any:
    return torch.load(path, weights_only=True)
