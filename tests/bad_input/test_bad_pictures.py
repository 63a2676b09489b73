"""Pictures that are none, or too much, are refused before they cost anything; odd but sound ones go through."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from PIL.MpoImagePlugin import MpoImageFile

from shared_utils.contracts import Failure
from shared_utils.stage import answer
from tests.bad_input.conftest import RED, Answered, Good, Refused
from tests.conftest import Stages

SIZE = (96, 64)
BLUE = (20, 50, 200)
FIELDS = [
    ("latent_encoder", "image_path"),
    ("text_encoder", "image1_path"),
    ("text_encoder", "image2_path"),
    ("text_encoder", "image3_path"),
]
each_field = pytest.mark.parametrize(("stage", "field"), FIELDS, ids=[field for _, field in FIELDS])


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(form: str, **options: Any) -> bytes:
    """A picture that does not compress, so that half of its file is half of the picture."""
    pixels = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), form, **options)


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flat(mode: str = "RGB", color: Any = RED) -> Image.Image:
    return Image.new(mode, SIZE, color)


def animated(form: str) -> bytes:
    return encoded(flat(), form, save_all=True, append_images=[flat(color=BLUE)])


def png(width: int, height: int, depth: int, color_type: int, pixels: bytes) -> bytes:
    """A PNG chunk by chunk: one that claims more than it has, or that Pillow can't write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def flat_png_of_16_bit(color_type: int, *channels: int) -> bytes:
    row = b"\0" + struct.pack(f">{len(channels)}H", *(channel * 257 for channel in channels)) * SIZE[0]
    return png(*SIZE, 16, color_type, row * SIZE[1])


HUGE = png(30_000, 30_000, 8, 2, b"\0" * 100)

UNUSABLE: dict[str, Callable[[], bytes]] = {
    "empty.png": lambda: b"",
    "text.png": lambda: b"This is no picture.\n" * 10,
    "cut-off.png": lambda: half(noise("PNG")),
    "cut-off.jpg": lambda: half(noise("JPEG", quality=95)),
    "cut-off.webp": lambda: half(noise("WEBP", lossless=True)),
    "header-only.png": lambda: noise("PNG")[:33],
    "broken-inside.png": lambda: noise("PNG").replace(b"IDAT", b"IDAX"),
    "animated.png": lambda: animated("PNG"),
    "animated.webp": lambda: animated("WEBP"),
    "other-format.gif": lambda: encoded(flat(), "GIF"),
    "other-format.png": lambda: encoded(flat(), "BMP"),
    "huge.png": lambda: HUGE,
}


@each_field
@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_content(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(UNUSABLE[name]())
    refused(getattr(stages, stage), "IMAGE_INVALID", str(file), **{field: str(file)})


def make_link(link: Path, target: Path) -> Path:
    link.symlink_to(target)
    return link


def make_pipe(file: Path) -> Path:
    os.mkfifo(file)
    return file


NO_FILE: dict[str, Callable[[Path], Path]] = {
    "missing": lambda folder: folder / "missing.png",
    "a folder": lambda folder: folder,
    "below a file": lambda folder: Path(__file__) / "picture.png",
    "a device": lambda folder: Path("/dev/zero"),
    "a pipe": lambda folder: make_pipe(folder / "pipe.png"),
    "a link to nothing": lambda folder: make_link(folder / "link.png", folder / "gone.png"),
    "a link to itself": lambda folder: make_link(folder / "loop.png", folder / "loop.png"),
    "a name that is too long": lambda folder: folder / ("x" * 300),
    "the home of nobody": lambda folder: Path("~no-such-user/picture.png"),
}


@each_field
@pytest.mark.parametrize("case", NO_FILE)
def test_no_file(stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, case: str) -> None:
    path = str(NO_FILE[case](tmp_path))
    refused(getattr(stages, stage), "IMAGE_NOT_FOUND", path, **{field: path})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(stages: Stages, refused: Refused, tmp_path: Path) -> None:
    file = tmp_path / "secret.png"
    file.write_bytes(noise("PNG"))
    file.chmod(0)
    refused(stages.latent_encoder, "IMAGE_NOT_FOUND", str(file), image_path=str(file))


@each_field
def test_huge_picture_is_never_decoded(
    stages: Stages, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, field: str
) -> None:
    """30,000 x 30,000 pixels would be 2.7 GB, out of a file of a few bytes."""
    decoded = []
    original = ImageFile.ImageFile.load

    def load(image: ImageFile.ImageFile) -> Any:
        decoded.append(image.size)
        return original(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    file = tmp_path / "huge.png"
    file.write_bytes(HUGE)
    assert file.stat().st_size < 200
    refused(
        getattr(stages, stage),
        "IMAGE_INVALID",
        str(file),
        "30000 x 30000",
        "MAX_IMAGE_MEGAPIXELS",
        **{field: str(file)},
    )
    assert (30_000, 30_000) not in decoded


@each_field
def test_larger_than_max_file_mb(
    make_stages: Callable[..., Stages], model_dir: Path, refused: Refused, tmp_path: Path, stage: str, field: str
) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(noise("PNG"))
    strict = make_stages(model_dir=model_dir, max_file_mb=0.01)
    refused(getattr(strict, stage), "IMAGE_INVALID", str(file), "0.01 MB", "MAX_FILE_MB", **{field: str(file)})


@each_field
def test_larger_than_max_image_megapixels(
    make_stages: Callable[..., Stages], model_dir: Path, refused: Refused, good: Good, stage: str, field: str
) -> None:
    strict = make_stages(model_dir=model_dir, max_image_megapixels=0.006)
    culprits = (good.picture, "96 x 64", "0.006 megapixels", "MAX_IMAGE_MEGAPIXELS")
    refused(getattr(strict, stage), "IMAGE_INVALID", *culprits, **{field: good.picture})


@pytest.mark.parametrize(("stage", "field"), FIELDS[:2])
@pytest.mark.parametrize("size", [(1, 4000), (4000, 1)])
def test_extreme_proportions(
    stages: Stages, refused: Refused, tmp_path: Path, stage: str, field: str, size: tuple[int, int]
) -> None:
    file = tmp_path / "thin.png"
    Image.new("RGB", size).save(file)
    refused(getattr(stages, stage), "SCALING_FAILED", f"{size[0]} x {size[1]}", "0.01", **{field: str(file)})


def palette() -> Image.Image:
    return flat().quantize(4)


# What comes out is the colour that the file has; transparency is ignored, as in the workflow.
ODD: dict[str, tuple[Callable[[], bytes], tuple[int, int, int]]] = {
    "gray-16-bit.png": (lambda: flat_png_of_16_bit(0, 128), (128, 128, 128)),
    "rgb-16-bit.png": (lambda: flat_png_of_16_bit(2, *RED), RED),
    "rgba-16-bit.png": (lambda: flat_png_of_16_bit(6, *RED, 128), RED),
    "palette.png": (lambda: encoded(palette(), "PNG"), RED),
    "palette-transparent-color.png": (lambda: encoded(palette(), "PNG", transparency=0), RED),
    "palette-alpha.png": (lambda: encoded(palette(), "PNG", transparency=bytes([128, 255, 0, 3])), RED),
    "cmyk.jpg": (lambda: encoded(flat("CMYK", (55, 205, 235, 0)), "JPEG", quality=95), RED),
    "transparent.png": (lambda: encoded(flat("RGBA", (*RED, 0)), "PNG"), RED),
    "half-transparent.png": (lambda: encoded(flat("RGBA", (*RED, 128)), "PNG"), RED),
    "transparent-color.png": (lambda: encoded(flat(), "PNG", transparency=RED), RED),
    "gray.png": (lambda: encoded(flat("L", 77), "PNG"), (77, 77, 77)),
    "gray.jpg": (lambda: encoded(flat("L", 77), "JPEG"), (77, 77, 77)),
    "gray-alpha.png": (lambda: encoded(flat("LA", (77, 128)), "PNG"), (77, 77, 77)),
    "black-and-white.png": (lambda: encoded(flat("1", 1), "PNG"), (255, 255, 255)),
    "picture.webp": (lambda: encoded(flat(), "WEBP", quality=95), RED),
    "transparent.webp": (lambda: encoded(flat("RGBA", (*RED, 128)), "WEBP", lossless=True, exact=True), RED),
    "progressive.jpg": (lambda: encoded(flat(), "JPEG", progressive=True), RED),
    "png-inside.jpg": (lambda: encoded(flat(), "PNG"), RED),
    "jpeg-inside.png": (lambda: encoded(flat(), "JPEG", quality=95), RED),
    "no-ending": (lambda: encoded(flat(), "PNG"), RED),
    "CAPITALS.PNG": (lambda: encoded(flat(), "PNG"), RED),
    "a 'name' with ünicode & blanks.png": (lambda: encoded(flat(), "PNG"), RED),
    # Cameras and phones with two lenses write it, as .jpg: a JPEG with a second picture after the first.
    "two-lenses.jpg": (lambda: encoded(flat(), "MPO", save_all=True, append_images=[flat(color=BLUE)]), RED),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_but_fine(stages: Stages, answered: Answered, tmp_path: Path, name: str) -> None:
    content, color = ODD[name]
    file = tmp_path / name
    file.write_bytes(content())
    response = answered(stages.latent_encoder, image_path=str(file))
    assert response.metadata.original_image_shape == [64, 96, 3]
    np.testing.assert_allclose(pixels_of(response.scaled_image_path).mean((0, 1)), color, atol=4)


def test_two_pictures_in_one_file_of_which_the_first_is_said_to_be_shorter(
    stages: Stages, good: Good, tmp_path: Path
) -> None:
    """What is decoded to see whether it is whole must be what ComfyUI gets, which would go on with half a picture."""
    first = noise("JPEG", quality=95)
    with Image.open(io.BytesIO(first)) as image:
        content = encoded(image.copy(), "MPO", save_all=True, append_images=[flat()], quality=95)
    with Image.open(io.BytesIO(content)) as image:
        assert isinstance(image, MpoImageFile)
        size = (image.mpinfo or {})[0xB002][0]["Size"]
    assert content.count(struct.pack("<L", size)) == 1
    results: list[Any] = []
    for name, claimed in (("true.jpg", size), ("false.jpg", size // 2)):
        file = tmp_path / name
        file.write_bytes(content.replace(struct.pack("<L", size), struct.pack("<L", claimed)))
        request = {**good.request("latent_encoder"), "image_path": str(file), "output_dir": str(tmp_path)}
        results.append(answer(stages.latent_encoder, request))
    true, false = results
    assert not isinstance(true, Failure)
    if isinstance(false, Failure):
        assert (false.error_code, str(file) in false.error_message) == ("IMAGE_INVALID", True)
    else:
        np.testing.assert_array_equal(pixels_of(false.scaled_image_path), pixels_of(true.scaled_image_path))


def test_one_pixel(stages: Stages, answered: Answered, tmp_path: Path) -> None:
    file = tmp_path / "pixel.png"
    Image.new("RGB", (1, 1), RED).save(file)
    response = answered(stages.latent_encoder, image_path=str(file))
    assert response.metadata.scaled_image_shape == [102, 102, 3]


def pixels_of(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_rotated_by_exif_comes_out_upright(stages: Stages, answered: Answered, tmp_path: Path) -> None:
    """Stored lying with its top to the left, as a phone held upright stores it."""
    lying = flat(color=BLUE)
    lying.paste(RED, (0, 0, 48, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = tmp_path / "phone.jpg"
    file.write_bytes(encoded(lying, "JPEG", quality=95, exif=exif))
    response = answered(stages.latent_encoder, image_path=str(file))
    assert response.metadata.original_image_shape == [96, 64, 3]
    height, width, _ = response.metadata.scaled_image_shape
    assert height > width
    assert response.latent_shape[-2:] == [height // 8, width // 8]
    pixels = pixels_of(response.scaled_image_path)
    assert pixels.shape == (height, width, 3)
    np.testing.assert_allclose(pixels[: height // 3].mean((0, 1)), RED, atol=8)
    np.testing.assert_allclose(pixels[-height // 3 :].mean((0, 1)), BLUE, atol=8)


def test_one_bad_picture_does_not_stop_the_next(stages: Stages, refused: Refused, answered: Answered) -> None:
    refused(stages.latent_encoder, "IMAGE_NOT_FOUND", "gone.png", image_path="gone.png")
    answered(stages.latent_encoder)


@pytest.mark.parametrize("field", ["image2_path", "image3_path"])
def test_a_thread_of_a_garment(stages: Stages, refused: Refused, good: Good, tmp_path: Path, field: str) -> None:
    """Pictures 2 and 3 are scaled by the node itself, which would go on for half a minute with nothing across."""
    file = tmp_path / "thread.png"
    Image.new("RGB", (1, 9000)).save(file)
    request = {**good.request("text_encoder"), field: str(file)}
    refused(stages.text_encoder, "SCALING_FAILED", "1 x 9000", **request)
