"""Pictures into ComfyUI and out of it, through its own LoadImage and SaveImage.

Both nodes work in one folder each, which belong to this process: LoadImage sees exactly the bytes that were checked,
and nothing is seen of a picture until it is whole.
"""

import math
import secrets
from typing import Any

from shared_utils.artifacts.images import CheckedPicture, converted
from shared_utils.comfy import nodes
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import ScaleOptions
from shared_utils.errors import ImageInvalidError, ScalingFailedError, failing_as

SHORTEST_SIDE = 16
"""The VAE shrinks by 8 and the diffusion model looks at patches of 2 x 2."""


def load_picture(comfy: Comfy, picture: CheckedPicture) -> Any:
    """The picture as ComfyUI's image tensor [1, height, width, 3], turned upright."""
    copy = comfy.input_dir / f"{secrets.token_hex(8)}{picture.suffix}"
    with failing_as(ImageInvalidError, f"loading the picture {picture.path}"):
        try:
            copy.write_bytes(picture.content)
            image = nodes.run(comfy, "LoadImage", image=copy.name)
        finally:
            copy.unlink(missing_ok=True)
    if image.shape[0] != 1:
        raise ImageInvalidError(f"{picture.path} holds {image.shape[0]} pictures. Give a file with one.")
    return image


def scaled_picture(comfy: Comfy, image: Any, options: ScaleOptions) -> Any:
    """The image tensor at the asked size, in megapixels of 1024 x 1024, its proportions kept."""
    with failing_as(ScalingFailedError, f"scaling a picture to {options.megapixels:g} megapixels"):
        # The node's name for the nearest neighbour is the exact variant's.
        method = "nearest-exact" if options.upscale_method == "nearest" else options.upscale_method
        check_proportions(image, options.megapixels)
        return nodes.run(
            comfy, "ImageScaleToTotalPixels", image=image, upscale_method=method, megapixels=options.megapixels
        )


def check_proportions(image: Any, megapixels: float) -> None:
    """Whether something is left of the picture's shorter side at that size."""
    height, width = image.shape[1:3]
    shorter = min(height, width) * math.sqrt(megapixels * 1024 * 1024 / (height * width))
    if shorter < SHORTEST_SIDE:
        raise ScalingFailedError(
            f"A picture of {width} x {height} pixels scaled to {megapixels:g} megapixels would be "
            f"{shorter:.0f} pixels across; {SHORTEST_SIDE} are needed. Crop it, or ask for more megapixels."
        )


def picture_file(comfy: Comfy, image: Any, image_format: str = "png", quality: int = 95) -> bytes:
    """The content of the file that SaveImage makes of an image tensor, or the same picture in another format."""
    prefix = secrets.token_hex(8)
    try:
        nodes.run(comfy, "SaveImage", images=image, filename_prefix=prefix)
        (saved,) = comfy.output_dir.glob(f"{prefix}*")
        return converted(saved.read_bytes(), image_format, quality)
    finally:
        for saved in comfy.output_dir.glob(f"{prefix}*"):
            saved.unlink()
