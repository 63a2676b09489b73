"""What the picture is called, which format it has, and which forms of a latent make it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared_utils.contracts import Success
from shared_utils.stage import answer

LATENT = torch.randn(1, 16, 1, 8, 6, generator=torch.Generator().manual_seed(0))


def decode(stages: Any, latent: Any, tmp_path: Path, **fields: Any) -> Any:
    torch.save(latent, tmp_path / "latent.pt")
    fields = {"latent_path": str(tmp_path / "latent.pt"), "output_dir": str(tmp_path), "request_id": "r"} | fields
    response = answer(stages.decoding, fields)
    assert isinstance(response, Success), response
    return response


@pytest.mark.parametrize(
    ("fields", "name", "image_format"),
    [
        ({}, "tryon_r.png", "PNG"),
        ({"output_filename": "a"}, "a.png", "PNG"),
        ({"output_filename": "a.PNG"}, "a.PNG", "PNG"),
        ({"output_filename": "a.jpeg"}, "a.jpeg", "JPEG"),
        ({"output_filename": "a", "output_format": "webp"}, "a.webp", "WEBP"),
        ({"output_filename": "a.png", "output_format": "jpg"}, "a.png.jpg", "JPEG"),
        ({"output_filename": "a.b"}, "a.b.png", "PNG"),
        ({"output_filename": ".png"}, ".png.png", "PNG"),
    ],
)
def test_name_and_format(stages: Any, tmp_path: Path, fields: dict[str, str], name: str, image_format: str) -> None:
    response = decode(stages, LATENT, tmp_path, **fields)
    assert response.image_path == str(tmp_path / name)
    assert (response.width, response.height) == (48, 64)
    with Image.open(response.image_path) as image:
        assert (image.format, image.size) == (image_format, (48, 64))


@pytest.mark.parametrize("latent", [{"samples": LATENT}, LATENT.squeeze(2), LATENT.double()], ids=["dict", "4d", "f64"])
def test_forms_of_a_latent(stages: Any, tmp_path: Path, latent: Any) -> None:
    pixels = []
    for form, name in ((LATENT, "a.png"), (latent, "b.png")):
        with Image.open(decode(stages, form, tmp_path, output_filename=name).image_path) as image:
            pixels.append(np.asarray(image))
    assert np.array_equal(pixels[0], pixels[1])


def test_quality_counts(stages: Any, tmp_path: Path) -> None:
    sizes = [
        decode(stages, LATENT, tmp_path, output_format="jpg", quality=quality).metadata.file_size
        for quality in (10, 95)
    ]
    assert sizes[0] < sizes[1]
