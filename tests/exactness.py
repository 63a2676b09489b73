"""The whole workflow in one process, and what makes a result the same as its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monolith
import numpy as np
import torch
from compare_tensors import differences
from PIL import Image

from shared_utils.settings import Settings


@dataclass(frozen=True)
class Case:
    shape: str = "portrait"
    pictures: int = 2
    cfg: float = 1.0
    denoise: float = 1.0
    lora_strength: float = 1.0
    seed: int = 7

    def __str__(self) -> str:
        return f"{self.shape}-{self.pictures}-cfg{self.cfg}-denoise{self.denoise}-lora{self.lora_strength}-{self.seed}"


def load(path: str | Path) -> Any:
    return torch.load(path, weights_only=True)


def one_process(case: Case, pictures: dict[str, Path], folder: Path, model_dir: Path) -> dict[str, Any]:
    job = monolith.TryOn(
        person=pictures[case.shape],
        garment=pictures["garment"],
        mask=pictures["mask"] if case.pictures == 3 else None,
        output=folder,
        steps=2,
        megapixels=0.04,
        seed=case.seed,
        cfg=case.cfg,
        denoise=case.denoise,
        lora_strength=case.lora_strength,
    )
    monolith.run(job, Settings(model_dir=model_dir, comfyui_attention="pytorch"))
    return {name: load(folder / f"{name}.pt") for name in ("latent", "positive", "negative", "sampled")} | {
        "image": folder / "image.png"
    }


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name in ("latent", "positive", "negative", "sampled"):
        assert list(differences(ours[name], theirs[name])) == [], name
    with Image.open(ours["image"]) as a, Image.open(theirs["image"]) as b:
        assert np.array_equal(np.asarray(a), np.asarray(b))
