"""CLIPLoader, VAELoader, image 1 scaled as in the latent encoder, TextEncodeQwenImageEditPlus for each prompt."""

from typing import Any

from shared_utils.artifacts.images import checked_picture
from shared_utils.artifacts.paths import output_folder, write_whole
from shared_utils.artifacts.tensors import Conditioning, metadata_file, tensor_file
from shared_utils.comfy import nodes
from shared_utils.comfy.loader import Models
from shared_utils.comfy.pictures import check_proportions, load_picture, scaled_picture
from shared_utils.errors import failing_as
from shared_utils.stage import Stopwatch
from text_encoder.config import Config
from text_encoder.errors import EncodingFailedError
from text_encoder.models import TextEncoderMetadata, TextEncoderRequest, TextEncoderResponse


class TextEncoder:
    name = "text_encoder"
    verb = "encode"
    request_type = TextEncoderRequest
    response_type = TextEncoderResponse
    options_type = Config

    def __init__(self, options: Config, models: Models) -> None:
        self.options = options
        self.models = models

    def warm_up(self) -> None:
        self.models.clip(self.options.clip_model_name)
        self.models.vae(self.options.vae_model_name)

    def run(self, request: TextEncoderRequest) -> TextEncoderResponse:
        stopwatch = Stopwatch()
        folder = output_folder(request.output_dir, self.options)
        images = self._images(request)
        positive = self._encode(request, request.prompt, images)
        negative = self._encode(request, request.negative_prompt, images) if request.encode_negative else None

        references = positive[0][1].get("reference_latents", [])
        metadata = TextEncoderMetadata(
            image_shapes=[list(image.shape[1:]) for image in images.values()],
            reference_latent_shapes=[list(reference.shape) for reference in references],
            clip_model_name=request.clip_model_name,
            vae_model_name=request.vae_model_name,
            miniature=self.models.miniature(request.clip_model_name, request.vae_model_name),
            processing_time_ms=stopwatch.milliseconds(),
        )
        positive_file = folder / f"positive_{request.request_id}.pt"
        negative_file = folder / f"negative_{request.request_id}.pt" if negative else None
        files = {positive_file: tensor_file(positive)} | metadata_file(positive_file, metadata, self.options)
        if negative_file:
            files |= {negative_file: tensor_file(negative)} | metadata_file(negative_file, metadata, self.options)
        write_whole(files)
        return TextEncoderResponse.to(
            request,
            positive_encoding_path=str(positive_file),
            positive_encoding_shape=list(positive[0][0].shape),
            negative_encoding_path=negative_file and str(negative_file),
            negative_encoding_shape=negative and list(negative[0][0].shape),
            metadata=metadata,
        )

    def _images(self, request: TextEncoderRequest) -> dict[str, Any]:
        """The pictures under the names of the node's inputs."""
        paths = {"image1": request.image1_path, "image2": request.image2_path, "image3": request.image3_path}
        pictures = {name: checked_picture(path, self.options) for name, path in paths.items() if path is not None}
        comfy = self.models.comfy
        images = {name: load_picture(comfy, picture) for name, picture in pictures.items()}
        images["image1"] = scaled_picture(comfy, images["image1"], request)
        for image in images.values():
            check_proportions(image, megapixels=1)  # the node makes a reference latent of this size of each
        return images

    def _encode(self, request: TextEncoderRequest, prompt: str, images: dict[str, Any]) -> Conditioning:
        clip = self.models.clip(request.clip_model_name)
        vae = self.models.vae(request.vae_model_name)
        with failing_as(EncodingFailedError, "encoding the prompt and the pictures"):
            conditioning: Conditioning = nodes.run(
                self.models.comfy, "TextEncodeQwenImageEditPlus", clip=clip, vae=vae, prompt=prompt, **images
            )
        return conditioning
