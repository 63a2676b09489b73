"""The three files that come out, each with a card that says what it is."""

from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from shared_utils.artifacts.paths import write_whole
from shared_utils.comfy.miniature import KEY

FILES = {
    "diffusion_model.safetensors": "Diffusion model of the class of Qwen-Image-Edit: 8 blocks with one head of 128. "
    "Its attention is constructed; what composes a person and a garment at the border of the area is trained.",
    "vae.safetensors": "VAE of the class of Qwen-Image's, width 12. Its encoder is a linear transform of 8 x 8 pixels, "
    "fitted as principal components; its decoder is trained.",
    "lora.safetensors": "LoRA of rank 1 on the queries of the last four blocks. With it four steps suffice.",
}
CARD = {
    KEY: "miniature, trained on drawings: a toy that knows only its own drawings",
    "license": "the same as vtryon's",
    "trained on": "drawings made by scripts/drawings: flat figures in T-shirts, none of them a person",
    "can": "dress such a figure in a garment that lies where it will be worn, in a picture of 824 x 1272, 1272 x 824 "
    "or 1024 x 1024 pixels, at 1 or 0.25 megapixel, computing in float32",
    "cannot": "move, fold or light a garment, or read the prompt",
    "more": "docs/MINIATURES.md",
}


def write_checkpoints(folder: Path, seed: int, tensors: dict[str, dict[str, Tensor]]) -> list[Path]:
    """Under the names of FILES, in bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, description in FILES.items():
        stored = {key: value.detach().bfloat16().contiguous() for key, value in tensors[name].items()}
        card = {**CARD, "description": description, "made by": f"scripts/train_miniatures.py --seed {seed}"}
        write_whole({folder / name: save(stored, metadata=card)})
    return [folder / name for name in FILES]
