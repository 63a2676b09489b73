"""CLIPLoader, VAELoader, image 1 scaled as in the latent encoder, TextEncodeQwenImageEditPlus for each prompt."""

import functools
from collections.abc import Callable
from typing import Any

from shared_utils.artifacts.images import CheckedPicture, checked_picture
from shared_utils.artifacts.paths import output_folder, write_whole
from shared_utils.artifacts.tensors import Conditioning, metadata_file, tensor_file
from shared_utils.comfy import nodes
from shared_utils.comfy.loader import CLIP, VAE, Models
from shared_utils.comfy.pictures import check_proportions, load_picture, scaled_picture
from shared_utils.errors import failing_as
from shared_utils.stage import Stopwatch
from text_encoder.config import Config
from text_encoder.errors import EncodingFailedError
from text_encoder.models import TextEncoderMetadata, TextEncoderRequest, TextEncoderResponse

Pictures = dict[str, CheckedPicture]
Images = dict[str, Any]
"""ComfyUI's tensors of them."""


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
        self.models.identity(CLIP, self.options.clip_model_name)
        self.models.encoding_vae(self.options.vae_model_name)

    def run(self, request: TextEncoderRequest) -> TextEncoderResponse:
        stopwatch = Stopwatch()
        folder = output_folder(request.output_dir, self.options)
        pictures = self._pictures(request)
        images = functools.cache(lambda: self._images(request, pictures))  # not loaded where nothing is to be encoded
        positive, shapes = self._encoded(request, request.prompt, pictures, images)
        negative = None
        if request.encode_negative:
            negative, _ = self._encoded(request, request.negative_prompt, pictures, images)

        references = positive[0][1].get("reference_latents", [])
        metadata = TextEncoderMetadata(
            image_shapes=shapes,
            reference_latent_shapes=[list(reference.shape) for reference in references],
            clip_model_name=request.clip_model_name,
            vae_model_name=request.vae_model_name,
            miniature=self.models.miniature(CLIP, request.clip_model_name)
            or self.models.miniature(VAE, request.vae_model_name),
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

    def _pictures(self, request: TextEncoderRequest) -> Pictures:
        """The pictures under the names of the node's inputs."""
        paths = {"image1": request.image1_path, "image2": request.image2_path, "image3": request.image3_path}
        return {name: checked_picture(path, self.options) for name, path in paths.items() if path is not None}

    def _images(self, request: TextEncoderRequest, pictures: Pictures) -> Images:
        comfy = self.models.comfy
        images = {name: load_picture(comfy, picture) for name, picture in pictures.items()}
        images["image1"] = scaled_picture(comfy, images["image1"], request)
        for image in images.values():
            check_proportions(image, megapixels=1)  # the node makes a reference latent of this size of each
        return images

    def _encoded(
        self, request: TextEncoderRequest, prompt: str, pictures: Pictures, images: Callable[[], Images]
    ) -> tuple[Conditioning, list[list[int]]]:
        """The conditioning, and the shapes of the pictures that it was made of."""

        def work() -> dict[str, Any]:
            shapes = [list(image.shape[1:]) for image in images().values()]
            return {"conditioning": self._encode(request, prompt, images()), "image_shapes": shapes}

        models = self.models.identity(CLIP, request.clip_model_name), self.models.identity(VAE, request.vae_model_name)
        scaling = request.upscale_method, request.megapixels
        parts = [prompt, *scaling, *models, {name: picture.parts for name, picture in pictures.items()}]
        found = self.models.reuse.worked_out(self.name, parts, work)
        return found["conditioning"], found["image_shapes"]

    def _encode(self, request: TextEncoderRequest, prompt: str, images: Images) -> Conditioning:
        clip = self.models.clip(request.clip_model_name)
        vae = self.models.encoding_vae(request.vae_model_name)
        with failing_as(EncodingFailedError, "encoding the prompt and the pictures"):
            conditioning: Conditioning = nodes.run(
                self.models.comfy, "TextEncodeQwenImageEditPlus", clip=clip, vae=vae, prompt=prompt, **images
            )
        return conditioning
