"""The trained miniatures through the four services: they dress the person of the examples, bit for bit as the whole
workflow in one process does, and what should change the picture does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import monolith
import numpy as np
import pytest
from miniatures.drawn import Drawn, Picture
from miniatures.quality import LEAST_INSIDE, LEAST_OUTSIDE, MOST_COLOUR, Quality, psnr, quality_of
from PIL import Image

from shared_utils.comfy.miniature import TRAINED_FILES, write_trained
from shared_utils.comfy.runtime import Comfy
from shared_utils.settings import Settings
from tests.exactness import assert_same, load
from tests.test_exactness import ask

MEGAPIXELS = 0.25


class Made:
    """Try-ons of the example person, each encoded once."""

    def __init__(self, stages: Any, examples: Path, folder: Path) -> None:
        self.stages, self.examples, self.folder = stages, examples, folder
        self.person = str(examples / "person_masked.png")
        common = {"megapixels": MEGAPIXELS, "output_dir": str(folder)}
        self.latent = ask(stages.latent_encoder, image_path=self.person, **common)
        self.encodings: dict[Any, Any] = {}

    def by(self, garment: str = "garment.png", mask: Path | None = None, **sampler: Any) -> dict[str, Any]:
        encoding = self._encoding(garment, mask)
        sampled = ask(
            self.stages.sampling,
            positive_encoding=encoding.positive_encoding_path,
            negative_encoding=encoding.negative_encoding_path,
            latent_image=self.latent.latent_file_path,
            **{"seed": 7, **sampler},
            output_dir=str(self.folder),
        )
        decoded = ask(self.stages.decoding, latent_path=sampled.sampled_latent_path, output_dir=str(self.folder))
        return {
            "latent": load(self.latent.latent_file_path),
            "positive": load(encoding.positive_encoding_path),
            "negative": load(encoding.negative_encoding_path),
            "sampled": load(sampled.sampled_latent_path),
            "image": Path(decoded.image_path),
        }

    def quality(self, made: dict[str, Any], garment: str = "garment.png") -> Quality:
        pictures = [read(self.examples / name) for name in ("person.png", "person_masked.png", garment)]
        area = (pictures[1] == (0, 255, 0)).all(axis=2)
        return quality_of(read(made["image"]), Drawn(pictures[0], area, pictures[2]))

    def _encoding(self, garment: str, mask: Path | None) -> Any:
        key = garment, mask
        if key not in self.encodings:
            common = {"megapixels": MEGAPIXELS, "output_dir": str(self.folder)}
            pictures = {"image1_path": self.person, "image2_path": str(self.examples / garment)}
            if mask:
                pictures["image3_path"] = str(mask)
            self.encodings[key] = ask(self.stages.text_encoder, **pictures, **common)
        return self.encodings[key]


def read(file: Path) -> Picture:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    """How alike two pictures are, in dB."""
    pictures = read(one["image"]), read(other["image"])
    return psnr(*pictures, np.ones(pictures[0].shape[:2], bool))


@pytest.fixture(scope="module")
def trained_dir(comfy: Comfy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    write_trained(comfy, folder)
    return folder


@pytest.fixture(scope="module")
def made(
    make_stages: Callable[..., Any], trained_dir: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    return Made(make_stages(model_dir=trained_dir), examples, tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def plain(made: Made) -> dict[str, Any]:
    return made.by()


def test_the_person_wears_the_garment_and_is_the_same_beside_it(made: Made, plain: dict[str, Any]) -> None:
    quality = made.quality(plain)
    assert quality.outside > LEAST_OUTSIDE
    assert quality.inside > LEAST_INSIDE
    assert quality.colour < MOST_COLOUR


def test_the_four_services_equal_the_whole_workflow_in_one_process(
    made: Made, plain: dict[str, Any], trained_dir: Path, tmp_path: Path
) -> None:
    job = monolith.TryOn(
        person=Path(made.person), garment=made.examples / "garment.png", output=tmp_path, megapixels=MEGAPIXELS, seed=7
    )
    monolith.run(job, Settings(model_dir=trained_dir, comfyui_attention="pytorch"))
    names = ("latent", "positive", "negative", "sampled")
    assert_same(plain, {name: load(tmp_path / f"{name}.pt") for name in names} | {"image": tmp_path / "image.png"})


def test_another_seed_gives_a_slightly_other_picture(made: Made, plain: dict[str, Any]) -> None:
    other = made.by(seed=8)
    assert 30 < apart(plain, other) < 60
    assert made.quality(other).outside > LEAST_OUTSIDE


def test_another_garment_gives_a_clearly_other_picture(made: Made, plain: dict[str, Any]) -> None:
    other = made.by("garment_2.png", steps=1)  # enough to see which one it is, in a quarter of the time
    assert apart(plain, other) < 25
    assert made.quality(other, "garment_2.png").inside > LEAST_INSIDE


def test_a_mask_as_the_page_sends_one_changes_nothing_to_speak_of(made: Made, tmp_path: Path) -> None:
    area = (read(Path(made.person)) == (0, 255, 0)).all(axis=2)
    mask = tmp_path / "mask.png"
    Image.fromarray(area[..., None] * np.array((0, 255, 0), np.uint8)).save(mask)
    quality = made.quality(made.by(mask=mask, steps=1))
    assert quality.outside > LEAST_OUTSIDE
    assert quality.inside > LEAST_INSIDE


def test_without_the_lora_four_steps_do_not_suffice(made: Made, plain: dict[str, Any]) -> None:
    without, with_it = made.quality(made.by(lora_strength=0.0)), made.quality(plain)
    assert without.inside < with_it.inside - 1.5
    assert without.outside < with_it.outside - 1.5


def test_the_weights_are_small_enough_to_come_with_the_code() -> None:
    assert sum(file.stat().st_size for file in TRAINED_FILES.values()) < 15e6
