"""The four files of the workflow: where they are on Hugging Face, and how to tell that they are the right ones."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from shared_utils.contracts import CLIP, LORA, UNET, VAE


@dataclass(frozen=True)
class ModelFile:
    """One file, under the folder of the models that it belongs into."""

    folder: str
    name: str
    repository: str
    path: str
    size: int
    sha256: str
    licence: str
    older_folder: str | None = None
    """What ComfyUI called the folder before; it still looks there."""

    @property
    def label(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def place(self) -> str:
        """Its path below the address of Hugging Face, or of a mirror."""
        return f"{self.repository}/resolve/main/{quote(self.path)}"

    def target(self, models: Path) -> Path:
        """Where it lies, or is to lie."""
        older = models / self.older_folder / self.name if self.older_folder else None
        there = models / self.folder / self.name
        return older if older and older.exists() and not there.exists() else there


APACHE = "Apache-2.0"

# Sizes and digests are those of Git LFS at Hugging Face: of the files as published, not of copies that we made.
WORKFLOW: tuple[ModelFile, ...] = (
    ModelFile(
        folder="diffusion_models",
        name=UNET,
        repository="Comfy-Org/Qwen-Image-Edit_ComfyUI",
        path=f"split_files/diffusion_models/{UNET}",
        size=20_430_698_424,
        sha256="318568f61951ab9da21100c7b896e3c1da67f0d2efad6421545e022cfaa2b2b4",
        licence=APACHE,
        older_folder="unet",
    ),
    ModelFile(
        folder="text_encoders",
        name=CLIP,
        repository="Comfy-Org/Qwen-Image_ComfyUI",
        path=f"split_files/text_encoders/{CLIP}",
        size=9_384_670_680,
        sha256="cb5636d852a0ea6a9075ab1bef496c0db7aef13c02350571e388aea959c5c0b4",
        licence=APACHE,
        older_folder="clip",
    ),
    ModelFile(
        folder="vae",
        name=VAE,
        repository="Comfy-Org/Qwen-Image_ComfyUI",
        path=f"split_files/vae/{VAE}",
        size=253_806_246,
        sha256="a70580f0213e67967ee9c95f05bb400e8fb08307e017a924bf3441223e023d1f",
        licence=APACHE,
    ),
    ModelFile(
        folder="loras",
        name=LORA,
        repository="lightx2v/Qwen-Image-Lightning",
        path=LORA,
        size=1_698_951_104,
        sha256="878c519b75aaa19c5f37ef57b312ac035e936a0a36b14e02269e9dfd53d2c228",
        licence=APACHE,
    ),
)


def readable(size: int) -> str:
    """A size for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.1f} kB"
