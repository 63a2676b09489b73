"""The models of a process: each loaded once and shared; the least used let go when memory is short."""

import gc
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared_utils import errors
from shared_utils.comfy import nodes
from shared_utils.comfy.miniature import is_miniature, kind_of
from shared_utils.comfy.one_thread import busy
from shared_utils.comfy.runtime import Comfy, open_folders, start
from shared_utils.errors import ModelInvalidError, ModelNotFoundError, failing_as
from shared_utils.settings import Settings

if TYPE_CHECKING:  # it needs PyTorch, and who loads nothing has none
    from shared_utils.comfy.reuse import Reuse

log = logging.getLogger("vtryon.models")


@dataclass(frozen=True)
class Kind:
    """A kind of model: where its files lie, and what is said when one is missing or unusable."""

    title: str
    folder: str
    not_found: type[ModelNotFoundError]
    invalid: type[ModelInvalidError]


UNET = Kind("diffusion model", "diffusion_models", errors.UNETModelNotFoundError, errors.UNETModelInvalidError)
CLIP = Kind("text encoder", "text_encoders", errors.CLIPModelNotFoundError, errors.CLIPModelInvalidError)
VAE = Kind("VAE", "vae", errors.VAEModelNotFoundError, errors.VAEModelInvalidError)
LORA = Kind("LoRA", "loras", errors.LoRAModelNotFoundError, errors.LoRAModelInvalidError)


MOST_PATCHES = 4
"""How many variants of diffusion models, by LoRA and strength, are kept."""


@dataclass(frozen=True)
class Key:
    """What makes a model the same one. A file that was replaced is another model."""

    kind: Kind
    file: Path
    changed_ns: int
    file_size: int
    strength: float = 1.0
    base: "Key | None" = None
    """The model that this one patches: it stays in memory as long as this one does."""


@dataclass(frozen=True)
class Loaded:
    """One line of the listing."""

    kind: str
    file: Path
    size: int
    miniature: bool


class Models:
    """Loads by name. Safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: OrderedDict[Key, tuple[Any, Loaded]] = OrderedDict()
        self._lora_node: tuple[Key, Any] | None = None
        self._digests: dict[Key, str] = {}
        self._miniatures: dict[Key, bool] = {}

    @property
    def comfy(self) -> Comfy:
        return start(self._settings)

    @cached_property
    def reuse(self) -> "Reuse":
        """What has been worked out with these models."""
        from shared_utils.comfy.reuse import Reuse  # noqa: PLC0415

        return Reuse(self._settings, self.comfy)

    def vae(self, name: str) -> Any:
        return self._get(self._key(VAE, name), lambda: nodes.run(self.comfy, "VAELoader", vae_name=name))

    def encoding_vae(self, name: str) -> Any:
        """The same, for nodes to encode with: no picture twice."""
        return self.reuse.vae(self.vae(name), self.identity(VAE, name))

    def clip(self, name: str) -> Any:
        return self._get(self._key(CLIP, name), lambda: self._load_clip(name))

    def unet(self, name: str, lora_name: str, lora_strength: float) -> Any:
        """The diffusion model with the LoRA applied; at strength 0 as it is, and no LoRA is needed."""
        key = self._key(UNET, name)
        model = self._get(key, lambda: nodes.run(self.comfy, "UNETLoader", unet_name=name, weight_dtype="default"))
        if lora_strength == 0:
            return model
        lora_key = replace(self._key(LORA, lora_name), strength=lora_strength, base=key)
        patched = self._get(lora_key, lambda: self._apply_lora(model, lora_key, lora_name))
        self._forget_old_patches()
        return patched

    def loaded(self) -> list[Loaded]:
        """What is in memory, the most recently used last."""
        with busy:
            return [listing for _, listing in self._models.values()]

    def glance(self) -> list[Loaded]:
        """The same without waiting for the node that runs: what was loaded a moment ago."""
        # One step for Python, so that nobody can change it in between.
        return [listing for _, listing in list(self._models.values())]

    def miniature(self, kind: Kind, name: str) -> bool:
        """Whether this one is a miniature; it need not be loaded for that, as what it made may be reused."""
        key = self._key(kind, name)
        if key not in self._miniatures:
            self._miniatures[key] = is_miniature(key.file)
        return self._miniatures[key]

    def recover(self) -> None:
        """After a job ran out of memory: have ComfyUI give back the GPU's, so that the next one finds room there.

        What is loaded stays loaded, in the machine's memory."""
        with busy:
            if not self._models:
                return
            gc.collect()
            management = self.comfy.module("comfy.model_management")
            management.unload_all_models()
            management.soft_empty_cache()

    def _get(self, key: Key, load: Callable[[], Any]) -> Any:
        # ComfyUI runs one node at a time anyway, so whoever asks while a model is being loaded waits for it.
        with busy:
            if key not in self._models:
                self._make_room(key, key.file_size)
                title, miniature = f"{key.kind.title} {key.file.name}", kind_of(key.file)
                log.info("loading the %s%s", title, f" ({miniature})" if miniature else "")
                with failing_as(key.kind.invalid, f"loading the {title}, which may be cut off or of another kind"):
                    model = load()
                size = _size(model, key)
                self._make_room(key, size)  # in another number type it is larger than its file
                self._models[key] = model, Loaded(key.kind.title, key.file, size, miniature is not None)
            self._models.move_to_end(key)
            return self._models[key][0]

    def find(self, kind: Kind, name: str) -> Path:
        """The file of that name in the model folders."""
        return find_model(self._settings, kind, name)

    def identity(self, kind: Kind, name: str) -> str:
        """What tells this model from others: its place and time of writing; where processes share results, its content,
        which takes reading it once more."""
        key = self._key(kind, name)
        if self._settings.reuse_dir is None:
            return f"{key.file} {key.changed_ns} {key.file_size}"
        with busy:
            if key not in self._digests:
                with key.file.open("rb") as content:
                    self._digests[key] = hashlib.file_digest(content, "blake2b").hexdigest()
            return self._digests[key]

    def _key(self, kind: Kind, name: str) -> Key:
        file = self.find(kind, name)
        return Key(kind, file, file.stat().st_mtime_ns, file.stat().st_size)

    def _load_clip(self, name: str) -> Any:
        clip = nodes.run(self.comfy, "CLIPLoader", clip_name=name, type="qwen_image")
        if not hasattr(clip.cond_stage_model, "qwen25_7b"):
            raise errors.CLIPModelInvalidError(f"{name} is no Qwen2.5-VL text encoder, which this workflow needs.")
        return clip

    def _apply_lora(self, model: Any, key: Key, name: str) -> Any:
        # The node keeps the file that it read last, so that another strength reads nothing; but it goes by the name.
        file = replace(key, strength=1.0, base=None)
        if self._lora_node is None or self._lora_node[0] != file:
            self._lora_node = file, nodes.make(self.comfy, "LoraLoaderModelOnly")
        patched = nodes.run(self.comfy, self._lora_node[1], model=model, lora_name=name, strength_model=key.strength)
        if not patched.patches:
            raise errors.LoRAModelInvalidError(f"{name} fits nothing in this diffusion model: it is for another one.")
        return patched

    def _forget_old_patches(self) -> None:
        """A strength can be any number: without a bound, requests could fill the memory with variants."""
        with busy:
            variants = [key for key in self._models if key.base is not None]
            for key in variants[:-MOST_PATCHES]:
                del self._models[key]

    def _make_room(self, newcomer: Key, size: int) -> None:
        """Let go of the least recently used until the newcomer fits. One that never will is refused."""
        limit = self._settings.model_memory_gb
        if limit is None:
            return
        base = self._models.get(newcomer.base) if newcomer.base else None
        if size + (base[1].size if base else 0) > limit * 1e9:
            raise errors.OutOfMemoryError(_too_large(newcomer, size, base and base[1], limit))
        for key in list(self._models):
            if sum(listing.size for _, listing in self._models.values()) + size <= limit * 1e9:
                break
            if key in self._models and key != newcomer.base:
                self._let_go(key)
        # The patched models and what they patch refer to each other.
        gc.collect()
        self.comfy.module("comfy.model_management").soft_empty_cache()

    def _let_go(self, key: Key) -> None:
        """Drop a model, and before it those that patch it, which would keep its memory."""
        for other in [other for other in self._models if other.base == key]:
            self._let_go(other)
        log.info("letting go of the %s %s", key.kind.title, key.file.name)
        del self._models[key]
        if key.base is not None:
            self._lora_node = None


def patched(model: Any, by: Any, patch: Callable[[], Any]) -> Any:
    """What `patch` makes of a diffusion model of ours; `by` tells it from others.

    Made once: ComfyUI goes through all of a model's modules when it is given a new variant. They are kept with the
    model, which they hold on to, so that they go when it goes."""
    with busy:
        known: OrderedDict[Any, Any] = vars(model).setdefault("vtryon_patched", OrderedDict())
        if by not in known:
            known[by] = patch()
        known.move_to_end(by)
        while len(known) > MOST_PATCHES:
            known.popitem(last=False)
        return known[by]


def find_model(settings: Settings, kind: Kind, name: str) -> Path:
    """The file of that name in the model folders."""
    with busy:
        folder_paths = open_folders(settings)
        # VAELoader knows names that are no files; here a model is a file.
        found = folder_paths.get_full_path(kind.folder, name)
        if found is None:
            there = folder_paths.get_filename_list(kind.folder)
            raise kind.not_found(
                f"No {kind.title} {name} in {', '.join(folder_paths.get_folder_paths(kind.folder))}. "
                f"There {'is' if len(there) == 1 else 'are'}: {', '.join(there) or 'none'}."
            )
        return Path(found)


def _size(model: Any, key: Key) -> int:
    """Bytes in memory. A LoRA's are those of its file: its tensors are kept beside the model they patch."""
    if key.base is not None:
        return key.file_size
    return int(getattr(model, "patcher", model).model_size())


def _too_large(key: Key, size: int, base: Loaded | None, limit: float) -> str:
    beside = f" beside the {base.kind} that it patches, which takes {_in_gb(base.size)}" if base else ""
    return (
        f"Out of memory: the {key.kind.title} {key.file.name} takes {_in_gb(size)}{beside}; loaded models may take "
        f"{limit:g} GB together (MODEL_MEMORY_GB). Raise that, or use a smaller model."
    )


def _in_gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
