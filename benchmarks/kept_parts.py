"""Parts of a try-on in a process that stays, done in ways that vtryon does not do them: a line in, an answer out.

    alone      the sampler for one try-on, as vtryon does it
    batch N    for N of them in one pass through the model
    compiled   for one, the model compiled by ComfyUI's TorchCompileModel
    decode     the VAE decodes on the main thread, as vtryon does it
    elsewhere  the same on a thread of its own
    files DIR  what the stages hand over, written to a folder and read again as they do it

It starts from what scripts/monolith.py left in a folder: latent.pt, positive.pt and negative.pt.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import monolith
import torch

from shared_utils.artifacts.paths import write_whole
from shared_utils.artifacts.tensors import read_conditioning, read_latent, tensor_file
from shared_utils.comfy.runtime import start
from shared_utils.settings import Settings


class Parts:
    """The models, and what goes into the sampler."""

    def __init__(self, inputs: Path, steps: int) -> None:
        self.settings = Settings.read()
        self.job = monolith.TryOn(person=inputs, garment=inputs, output=inputs, steps=steps)
        self.models = monolith.load_models(self.job, self.settings)
        self.latent = read_latent(inputs / "latent.pt", self.settings)
        self.positive, self.negative = (
            read_conditioning(inputs / f"{name}.pt", self.settings) for name in ("positive", "negative")
        )
        self._compiled: Any = None
        self._alone: torch.Tensor | None = None
        self._decoded: torch.Tensor | None = None

    def alone(self) -> dict[str, Any]:
        sampled, milliseconds = self._sample(self.models.model, 1)
        self._alone = sampled
        return {"ms": milliseconds, "off": 0.0}

    def batch(self, count: str) -> dict[str, Any]:
        """Of each picture; the first one is held against the one alone."""
        sampled, milliseconds = self._sample(self.models.model, int(count))
        return {"ms": milliseconds / int(count), "off": _between(sampled[:1], self._alone)}

    def compiled(self) -> dict[str, Any]:
        if self._compiled is None:
            node = start(self.settings).module("comfy_extras.nodes_torch_compile").TorchCompileModel
            self._compiled = node.execute(self.models.model, "inductor")[0]
        sampled, milliseconds = self._sample(self._compiled, 1)
        return {"ms": milliseconds, "off": _between(sampled[:1], self._alone)}

    def decode(self) -> dict[str, Any]:
        self._decoded, milliseconds = self._decode()
        return {"ms": milliseconds, "off": 0.0}

    def elsewhere(self) -> dict[str, Any]:
        with ThreadPoolExecutor(1) as pool:
            picture, milliseconds = pool.submit(self._decode).result()
        return {"ms": milliseconds, "off": _between(picture, self._decoded)}

    def files(self, folder: str) -> dict[str, Any]:
        """Latent, conditioning and sampled latent, which has the latent's size."""
        latents = [Path(folder) / f"{name}.pt" for name in ("latent", "sampled")]
        conditioning = Path(folder) / "conditioning.pt"
        began = time.perf_counter()
        for file in latents:
            write_whole({file: tensor_file(self.latent)})
        write_whole({conditioning: tensor_file(self.positive)})
        written = time.perf_counter()
        for file in latents:
            read_latent(file, self.settings)
        read_conditioning(conditioning, self.settings)
        read = time.perf_counter()
        megabytes = sum(file.stat().st_size for file in (*latents, conditioning)) / 1e6
        return {"write ms": (written - began) * 1000, "read ms": (read - written) * 1000, "MB": megabytes}

    @torch.inference_mode()
    def _sample(self, model: Any, count: int) -> tuple[torch.Tensor, float]:
        samples = self.latent["samples"]
        # The same noise for all of them, so that each of a batch has something to be held against.
        latent = {"samples": samples.repeat(count, *[1] * (samples.ndim - 1)), "batch_index": [0] * count}
        sampler = start(self.settings).nodes.KSampler()
        how = (self.job.seed, self.job.steps, self.job.cfg, self.job.sampler_name, self.job.scheduler)
        began = time.perf_counter()
        sampled = sampler.sample(model, *how, self.positive, self.negative, latent, self.job.denoise)[0]
        return sampled["samples"], (time.perf_counter() - began) * 1000

    @torch.inference_mode()
    def _decode(self) -> tuple[torch.Tensor, float]:
        began = time.perf_counter()
        picture = start(self.settings).nodes.VAEDecode().decode(self.models.vae, self.latent)[0]
        return picture, (time.perf_counter() - began) * 1000


def _between(tensor: torch.Tensor, reference: torch.Tensor | None) -> float:
    """The largest difference from what the way of vtryon gave."""
    if reference is None:
        raise RuntimeError("'alone' and 'decode' come first: the others are held against them")
    return float((tensor - reference).abs().max())


def main() -> int:
    # What ComfyUI prints goes where its log goes.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    parts = Parts(Path(sys.argv[1]), int(sys.argv[2]))
    ways: dict[str, Callable[..., dict[str, Any]]] = {
        "alone": parts.alone,
        "batch": parts.batch,
        "compiled": parts.compiled,
        "decode": parts.decode,
        "elsewhere": parts.elsewhere,
        "files": parts.files,
    }
    for line in sys.stdin:
        way, *words = line.split()
        answers.write(json.dumps(ways[way](*words)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
