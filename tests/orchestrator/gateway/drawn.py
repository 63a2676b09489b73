"""Pictures to upload."""

from io import BytesIO
from typing import Any

from PIL import Image


def picture(kind: str = "PNG", size: tuple[int, int] = (8, 6), colour: str = "green", **saving: Any) -> bytes:
    """One colour."""
    content = BytesIO()
    Image.new("RGB", size, colour).save(content, kind, **saving)
    return content.getvalue()
