"""The whole workflow in one process, as ComfyUI would run it: the oracle that the four services are held against.

None of the services' code is used here. ComfyUI is started the same way, and then its nodes are called one after the
other with everything in memory. Writes latent.pt, positive.pt, negative.pt, sampled.pt and image.png.

    python scripts/monolith.py --person examples/person_masked.png --garment examples/garment.png --seed 7 --output out
"""

import argparse
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from shared_utils.comfy.runtime import Comfy, open_folders, start
from shared_utils.contracts import CLIP, LORA, PROMPT, UNET, VAE
from shared_utils.settings import Settings


@dataclass(frozen=True)
class TryOn:
    """The parameters of the workflow, with its defaults."""

    person: Path
    garment: Path
    output: Path
    mask: Path | None = None
    prompt: str = PROMPT
    negative_prompt: str = ""
    seed: int = 0
    steps: int = 4
    cfg: float = 1.0
    sampler_name: str = "euler"
    scheduler: str = "simple"
    denoise: float = 1.0
    shift: float = 3
    strength: float = 1.0
    lora_strength: float = 1.0
    megapixels: float = 1.0
    upscale_method: str = "lanczos"
    unet: str = UNET
    lora: str = LORA
    clip: str = CLIP
    vae: str = VAE


@dataclass(frozen=True)
class Loaded:
    """The models, and the diffusion model with all that patches it."""

    vae: Any
    clip: Any
    model: Any


@torch.inference_mode()
def load_models(job: TryOn, settings: Settings) -> Loaded:
    """What a job needs. It does for every job that names the same files and strengths."""
    comfy = start(settings)
    open_folders(settings)
    nodes = comfy.nodes
    vae = nodes.VAELoader().load_vae(job.vae)[0]
    clip = nodes.CLIPLoader().load_clip(job.clip, "qwen_image")[0]
    model = nodes.UNETLoader().load_unet(job.unet, "default")[0]
    model = nodes.LoraLoaderModelOnly().load_lora_model_only(model, job.lora, job.lora_strength)[0]
    model = comfy.module("comfy_extras.nodes_model_advanced").ModelSamplingAuraFlow().patch_aura(model, job.shift)[0]
    model = comfy.module("comfy_extras.nodes_cfg").CFGNorm.execute(model, job.strength)[0]
    return Loaded(vae, clip, model)


@torch.inference_mode()
def run(job: TryOn, settings: Settings, loaded: Loaded | None = None) -> None:
    """One try-on, start to end."""
    models = loaded or load_models(job, settings)
    vae, clip, model = models.vae, models.clip, models.model
    comfy = start(settings)
    nodes = comfy.nodes
    qwen = comfy.module("comfy_extras.nodes_qwen")

    person, garment = load(comfy, job.person), load(comfy, job.garment)
    mask = load(comfy, job.mask) if job.mask else None
    scale = comfy.module("comfy_extras.nodes_post_processing").ImageScaleToTotalPixels
    person = scale.execute(person, job.upscale_method, job.megapixels, 1)[0]
    latent = nodes.VAEEncode().encode(vae, person)[0]
    encode = qwen.TextEncodeQwenImageEditPlus.execute
    positive = encode(clip, job.prompt, vae, person, garment, mask)[0]
    negative = encode(clip, job.negative_prompt, vae, person, garment, mask)[0]
    sampler = (job.seed, job.steps, job.cfg, job.sampler_name, job.scheduler)
    sampled = nodes.KSampler().sample(model, *sampler, positive, negative, latent, job.denoise)[0]
    image = nodes.VAEDecode().decode(vae, sampled)[0]

    job.output.mkdir(parents=True, exist_ok=True)
    torch.save(latent["samples"], job.output / "latent.pt")
    torch.save(positive, job.output / "positive.pt")
    torch.save(negative, job.output / "negative.pt")
    torch.save(sampled, job.output / "sampled.pt")
    saved = nodes.SaveImage().save_images(image, "monolith")["ui"]["images"][0]["filename"]
    shutil.move(comfy.output_dir / saved, job.output / "image.png")


def load(comfy: Comfy, picture: Path) -> Any:
    """LoadImage reads from ComfyUI's input folder only."""
    copy = Path(shutil.copy(picture, comfy.input_dir))
    image = comfy.nodes.LoadImage().load_image(copy.name)[0]
    copy.unlink()
    return image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(TryOn):
        required = field.name in {"person", "garment", "output"}
        kind = Path if required or field.name == "mask" else type(field.default)
        shown = "" if required or field.name == "mask" else f"default: {field.default!r}"
        parser.add_argument(
            f"--{field.name}", type=kind, required=required, default=None if required else field.default, help=shown
        )
    job = TryOn(**vars(parser.parse_args()))
    run(job, Settings.read())
    print(f"wrote {', '.join(sorted(file.name for file in job.output.iterdir()))} to {job.output}")


if __name__ == "__main__":
    main()
