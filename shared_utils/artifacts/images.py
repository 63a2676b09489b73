"""Pictures from outside: hostile until they have been read to the end within bounds."""

import threading
from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL.MpoImagePlugin import MpoImageFile

from shared_utils.artifacts.paths import allowed
from shared_utils.errors import ImageInvalidError, ImageNotFoundError, failing_as
from shared_utils.settings import Settings

FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
MPO_ENTRIES = 0xB002
MOST_REMEMBERED = 10_000
_remembering = threading.Lock()

# Pillow has a bound of its own, which only warns up to twice its size. Ours is checked before anything is decoded.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class CheckedPicture:
    """The bytes of a still picture that can be decoded completely."""

    path: str
    content: bytes
    suffix: str
    """What its content deserves, whatever its name says."""

    @property
    def parts(self) -> tuple[bytes, str]:
        """What decides what is made of it."""
        return self.content, self.suffix


def checked_picture(path: str, settings: Settings) -> CheckedPicture:
    """Read a picture to its end within bounds, or say what is wrong with it."""
    content = _bounded_bytes(path, settings)
    key = blake2b(content).digest(), settings.max_image_megapixels
    whole = _found_whole.get(key)
    if whole is None:
        whole = _decoded(path, content, settings)
        _remember(key, whole)
    return CheckedPicture(path, content[: whole.length], whole.suffix)


@dataclass(frozen=True)
class _Whole:
    """What was found when a file's content was decoded to its end."""

    length: int
    """Of the picture that one sees. Others may lie behind it."""
    suffix: str


_found_whole: dict[tuple[bytes, float], _Whole] = {}
"""By the content's digest and the bound that it kept: the same picture comes again with each garment, to each stage."""


def _remember(key: tuple[bytes, float], whole: _Whole) -> None:
    with _remembering:
        _found_whole[key] = whole
        if len(_found_whole) > MOST_REMEMBERED:
            del _found_whole[next(iter(_found_whole))]


def _decoded(path: str, content: bytes, settings: Settings) -> _Whole:
    with failing_as(ImageInvalidError, f"reading the picture {path}"):
        image = _opened(path, BytesIO(content), settings)
        if isinstance(image, MpoImageFile):
            content = content[: (image.mpinfo or {})[MPO_ENTRIES][0]["Size"]]
            image = _opened(path, BytesIO(content), settings)
        # ComfyUI would go on with half a picture: whether it is whole shows only when all of it is decoded.
        image.load()
    return _Whole(len(content), _suffix(image))


def checked_header(name: str, source: BinaryIO, settings: Settings) -> str:
    """The suffix that a picture's content deserves. Its kind and size are checked, and nothing is decoded: what is
    damaged further on shows when a stage reads it."""
    with failing_as(ImageInvalidError, f"reading {name}"):
        source.seek(0)
        return _suffix(_opened(name, source, settings))


def _suffix(image: Image.Image) -> str:
    return FORMATS.get(str(image.format), FORMATS["JPEG"])


def _bounded_bytes(path: str, settings: Settings) -> bytes:
    file = allowed(path, settings)
    try:
        if not file.exists():
            raise ImageNotFoundError(f"Image file not found: {path}")
        if not file.is_file():
            raise ImageNotFoundError(f"{path} is not a file.")
        if file.stat().st_size > settings.max_file_mb * 1e6:
            raise ImageInvalidError(f"{path} is larger than {settings.max_file_mb:g} MB (MAX_FILE_MB).")
        content = file.read_bytes()
    except OSError as denied:
        raise ImageNotFoundError(f"Can't read {path}: {denied.strerror}.") from denied
    if not content:
        raise ImageInvalidError(f"{path} is empty.")
    return content


def _opened(name: str, source: BinaryIO, settings: Settings) -> Image.Image:
    """The picture with its header read and checked, nothing decoded yet."""
    try:
        image = Image.open(source, formats=tuple(FORMATS))
    except UnidentifiedImageError:
        raise ImageInvalidError(f"{name} is no PNG, JPEG or WebP picture.") from None
    if image.width * image.height > settings.max_image_megapixels * 1e6:
        raise ImageInvalidError(
            f"{name} has {image.width} x {image.height} pixels; at most {settings.max_image_megapixels:g} megapixels "
            "are decoded (MAX_IMAGE_MEGAPIXELS)."
        )
    # In a JPEG as phones make them, behind the picture that one sees lies another, for depth or brightness.
    if getattr(image, "n_frames", 1) > 1 and not isinstance(image, MpoImageFile):
        raise ImageInvalidError(f"{name} is animated. Give a still picture.")
    return image


def converted(png: bytes, image_format: str, quality: int) -> bytes:
    """A PNG in another format; PNG itself stays as it is."""
    if image_format == "png":
        return png
    out = BytesIO()
    with Image.open(BytesIO(png)) as image:
        if image_format == "jpg":
            image.save(out, "JPEG", quality=quality, subsampling=0)
        else:
            image.save(out, "WEBP", quality=quality)
    return out.getvalue()
