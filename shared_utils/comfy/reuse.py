"""Work that was done before is not done again: results are found by all that decides their bits.

That is what went in, the models, ComfyUI's release and settings, PyTorch and the device. A result that came about in
another way than usual, since memory was short, is not kept.
"""

from collections.abc import Callable, Iterable
from functools import cached_property, wraps
from typing import Any, TypeVar

import torch

from shared_utils.artifacts.cache import Cache, digest
from shared_utils.comfy.provision import tree_digest
from shared_utils.comfy.runtime import Comfy, device_name, flags
from shared_utils.settings import Settings
from shared_utils.telemetry.reuse import looked_for

T = TypeVar("T")

IN_TILES = ("encode_tiled_3d", "_encode_tiled_owned", "decode_tiled_3d", "_decode_tiled_owned")
"""What ComfyUI's VAE does when it has run out of memory: the same picture, but for its bits."""


class Reuse:
    """What one process has worked out, or several that share a folder."""

    def __init__(self, settings: Settings, comfy: Comfy) -> None:
        self._settings = settings
        self._comfy = comfy
        self._cache = Cache(settings)
        self._doubts = 0

    def worked_out(self, what: str, parts: Iterable[Any], work: Callable[[], T]) -> T:
        """What `work` returns; from before, if these parts are the same."""
        if not self._cache.on:
            return work()
        try:
            key = digest(what, self._basis, list(parts))
        except TypeError:  # somebody's tensor file holds what can't be compared
            return work()
        found: T | None = self._cache.get(key)
        looked_for.tell(what, found is not None)
        if found is not None:
            return found
        before = self._doubts
        done = work()
        if self._doubts == before:
            self._cache.put(key, done)
        return done

    def result(self, what: str, parts: Iterable[Any], work: Callable[[], T]) -> T:
        """The same for what a request asks for in the end, if that is allowed."""
        return self.worked_out(what, parts, work) if self._settings.reuse_results else work()

    def vae(self, vae: Any, identity: str) -> Any:
        """The same VAE, for nodes to encode with: it encodes no picture twice."""
        return _Vae(self.watched(vae), self, identity)

    def watched(self, vae: Any) -> Any:
        """Notices where results are not the usual ones."""
        for name in IN_TILES:
            usual = getattr(vae, name, None)
            if usual is not None and not hasattr(usual, "doubted"):
                setattr(vae, name, self._doubted(usual))
        return vae

    def _doubted(self, usual: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(usual)
        def tiled(*args: Any, **kwargs: Any) -> Any:
            self._doubts += 1
            return usual(*args, **kwargs)

        tiled.doubted = True  # type: ignore[attr-defined]
        return tiled

    @cached_property
    def _basis(self) -> list[Any]:
        """What all results rest on."""
        threads = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
        releases = tree_digest(self._comfy.tree), torch.__version__
        return [*releases, device_name(self._comfy), *threads, flags(self._settings)]


class _Vae:
    def __init__(self, vae: Any, reuse: Reuse, identity: str) -> None:
        self._vae = vae
        self._reuse = reuse
        self._identity = identity

    def encode(self, pixels: Any) -> Any:
        return self._reuse.worked_out("VAE", [self._identity, pixels], lambda: self._vae.encode(pixels))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)
