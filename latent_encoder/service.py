"""LoadImage, ImageScaleToTotalPixels, VAEEncode."""

from typing import Any

from latent_encoder.config import Config
from latent_encoder.errors import EncodingFailedError
from latent_encoder.models import LatentEncoderMetadata, LatentEncoderRequest, LatentEncoderResponse
from shared_utils.artifacts.images import CheckedPicture, checked_picture
from shared_utils.artifacts.paths import output_folder, write_whole
from shared_utils.artifacts.tensors import as_bytes, as_tensor, metadata_file, tensor_file
from shared_utils.comfy import nodes
from shared_utils.comfy.loader import VAE, Models
from shared_utils.comfy.pictures import load_picture, picture_file, scaled_picture
from shared_utils.errors import failing_as
from shared_utils.stage import Stopwatch


class LatentEncoder:
    name = "latent_encoder"
    verb = "encode"
    request_type = LatentEncoderRequest
    response_type = LatentEncoderResponse
    options_type = Config

    def __init__(self, options: Config, models: Models) -> None:
        self.options = options
        self.models = models

    def warm_up(self) -> None:
        self.models.encoding_vae(self.options.vae_model_name)

    def run(self, request: LatentEncoderRequest) -> LatentEncoderResponse:
        stopwatch = Stopwatch()
        folder = output_folder(request.output_dir, self.options)
        picture = checked_picture(request.image_path, self.options)
        vae = self.models.identity(VAE, request.vae_model_name)
        scaling = request.upscale_method, request.megapixels, request.encode_content
        encoded = self.models.reuse.worked_out(
            self.name, [*picture.parts, *scaling, vae], lambda: self._encoded(request, picture)
        )
        latent = encoded["latent"]

        latent_file = folder / f"latent_{request.request_id}.pt"
        scaled_file = folder / f"scaled_image_{request.request_id}.png"
        metadata = LatentEncoderMetadata(
            original_image_shape=encoded["original_image_shape"],
            scaled_image_shape=encoded["scaled_image_shape"],
            latent_shape=list(latent.shape),
            vae_model_name=request.vae_model_name,
            miniature=self.models.miniature(VAE, request.vae_model_name),
            processing_time_ms=stopwatch.milliseconds(),
        )
        write_whole(
            {scaled_file: as_bytes(encoded["scaled_image"]), latent_file: tensor_file(latent)}
            | metadata_file(latent_file, metadata, self.options)
        )
        return LatentEncoderResponse.to(
            request,
            latent_file_path=str(latent_file),
            latent_shape=list(latent.shape),
            scaled_image_path=str(scaled_file),
            metadata=metadata,
        )

    def _encoded(self, request: LatentEncoderRequest, picture: CheckedPicture) -> dict[str, Any]:
        comfy = self.models.comfy
        vae = self.models.encoding_vae(request.vae_model_name)
        image = load_picture(comfy, picture)
        scaled = scaled_picture(comfy, image, request)
        with failing_as(EncodingFailedError, f"encoding {request.image_path}"):
            if request.encode_content:
                latent = nodes.run(comfy, "VAEEncode", pixels=scaled, vae=vae)["samples"]
            else:
                latent = _of_the_same_shape(vae, scaled)
            return {
                "latent": latent,
                "scaled_image": as_tensor(picture_file(comfy, scaled)),
                "original_image_shape": list(image.shape[1:]),
                "scaled_image_shape": list(scaled.shape[1:]),
            }


def _of_the_same_shape(vae: Any, pixels: Any) -> Any:
    """What VAEEncode would make of it, but zeros."""
    height, width = vae.vae_encode_crop_pixels(pixels).shape[1:3]
    down = vae.spacial_compression_encode()
    shape = (1, vae.latent_channels, *(1 for _ in range(vae.latent_dim - 2)), height // down, width // down)
    return pixels.new_zeros(shape, dtype=vae.vae_output_dtype())
