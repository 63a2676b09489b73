"""LoadImage, ImageScaleToTotalPixels, VAEEncode."""

from latent_encoder.config import Config
from latent_encoder.errors import EncodingFailedError
from latent_encoder.models import LatentEncoderMetadata, LatentEncoderRequest, LatentEncoderResponse
from shared_utils.artifacts.images import checked_picture
from shared_utils.artifacts.paths import output_folder, write_whole
from shared_utils.artifacts.tensors import metadata_file, tensor_file
from shared_utils.comfy import nodes
from shared_utils.comfy.loader import Models
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
        self.models.vae(self.options.vae_model_name)

    def run(self, request: LatentEncoderRequest) -> LatentEncoderResponse:
        stopwatch = Stopwatch()
        folder = output_folder(request.output_dir, self.options)
        picture = checked_picture(request.image_path, self.options)
        vae = self.models.vae(request.vae_model_name)
        comfy = self.models.comfy

        image = load_picture(comfy, picture)
        scaled = scaled_picture(comfy, image, request)
        with failing_as(EncodingFailedError, f"encoding {request.image_path}"):
            latent = nodes.run(comfy, "VAEEncode", pixels=scaled, vae=vae)["samples"]
            scaled_content = picture_file(comfy, scaled)

        latent_file = folder / f"latent_{request.request_id}.pt"
        scaled_file = folder / f"scaled_image_{request.request_id}.png"
        metadata = LatentEncoderMetadata(
            original_image_shape=list(image.shape[1:]),
            scaled_image_shape=list(scaled.shape[1:]),
            latent_shape=list(latent.shape),
            vae_model_name=request.vae_model_name,
            miniature=self.models.miniature(request.vae_model_name),
            processing_time_ms=stopwatch.milliseconds(),
        )
        write_whole(
            {scaled_file: scaled_content, latent_file: tensor_file(latent)}
            | metadata_file(latent_file, metadata, self.options)
        )
        return LatentEncoderResponse.to(
            request,
            latent_file_path=str(latent_file),
            latent_shape=list(latent.shape),
            scaled_image_path=str(scaled_file),
            metadata=metadata,
        )
