"""VAEDecode, SaveImage."""

from typing import Any

from decoding.config import Config
from decoding.errors import DecodingFailedError, InputTensorMismatchError
from decoding.models import DecodingMetadata, DecodingRequest, DecodingResponse
from shared_utils.artifacts.paths import output_folder, plain_file_name, write_whole
from shared_utils.artifacts.tensors import as_bytes, as_tensor, metadata_file, read_latent
from shared_utils.comfy import nodes
from shared_utils.comfy.loader import VAE, Models
from shared_utils.comfy.pictures import picture_file
from shared_utils.contracts import ImageFormat
from shared_utils.errors import failing_as
from shared_utils.stage import Stopwatch

ENDINGS: dict[str, ImageFormat] = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg", ".webp": "webp"}


class Decoding:
    name = "decoding"
    verb = "decode"
    request_type = DecodingRequest
    response_type = DecodingResponse
    options_type = Config

    def __init__(self, options: Config, models: Models) -> None:
        self.options = options
        self.models = models

    def warm_up(self) -> None:
        self.models.vae(self.options.vae_model_name)

    def run(self, request: DecodingRequest) -> DecodingResponse:
        stopwatch = Stopwatch()
        filename, image_format = _name_and_format(request)
        file = output_folder(request.output_dir, self.options) / filename
        latent = read_latent(request.latent_path, self.options)
        vae = self.models.vae(request.vae_model_name)
        shape = list(latent["samples"].shape)
        if shape[1] != vae.latent_channels:
            raise InputTensorMismatchError(
                f"{request.latent_path} has {shape[1]} channels, but the VAE {request.vae_model_name} decodes "
                f"{vae.latent_channels}: it was made with another VAE."
            )

        if latent["samples"].ndim < vae.latent_dim + 2:
            # The sampler takes a latent without the dimension for time, this VAE does not.
            latent = {"samples": latent["samples"].unsqueeze(2)}

        def work() -> dict[str, Any]:
            with failing_as(DecodingFailedError, f"decoding {request.latent_path}"):
                image = nodes.run(self.models.comfy, "VAEDecode", samples=latent, vae=self.models.reuse.watched(vae))
                content = picture_file(self.models.comfy, image, image_format, request.quality)
            return {"content": as_tensor(content), "shape": list(image.shape[1:])}

        parts = [latent, self.models.identity(VAE, request.vae_model_name), image_format, request.quality]
        picture = self.models.reuse.result(self.name, parts, work)
        content, (height, width, _) = as_bytes(picture["content"]), picture["shape"]
        metadata = DecodingMetadata(
            latent_shape=shape,
            image_shape=picture["shape"],
            output_format=image_format,
            file_size=len(content),
            vae_model_name=request.vae_model_name,
            miniature=self.models.miniature(VAE, request.vae_model_name),
            processing_time_ms=stopwatch.milliseconds(),
        )
        write_whole({file: content} | metadata_file(file, metadata, self.options))
        return DecodingResponse.to(request, image_path=str(file), width=width, height=height, metadata=metadata)


def _name_and_format(request: DecodingRequest) -> tuple[str, ImageFormat]:
    """The file's full name and what goes into it; an ending that fits the format is not repeated."""
    given = request.output_filename
    name = plain_file_name(f"tryon_{request.request_id}" if given is None else given)
    dot = name.rfind(".")
    ending = name[dot:].lower() if dot > 0 else ""
    image_format = request.output_format or ENDINGS.get(ending, "png")
    return (name if ENDINGS.get(ending) == image_format else f"{name}.{image_format}"), image_format
