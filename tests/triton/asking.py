"""A server, asked for try-ons step by step or at once, and what comes back, as the monolith's files have it."""

from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from shared_utils.transports.triton.client import TritonClient
from shared_utils.transports.triton.wire import Value
from tests.exactness import Case

COMMON = {"megapixels": Value.of("FP64", 0.04)}


class Triton:
    """Small tries of the pictures given."""

    def __init__(self, client: TritonClient, pictures: dict[str, Path]) -> None:
        self.client = client
        self._pictures = pictures

    def infer(self, model: str, *outputs: str, **inputs: Value) -> dict[str, Value]:
        return self.client.infer(model, inputs, outputs)

    def step_by_step(self, case: Case, folder: Path) -> dict[str, Any]:
        """Each model by itself, what one gives handed to the next."""
        latent = self.infer("latent_encoder", "latent", image=self.person(case), **COMMON)["latent"]
        encoded = self.encoded(case)
        sampled = self.infer("sampling", "sampled_latent", latent=latent, **encoded, **sampler(case))
        image = self.infer("decoding", "image", **sampled)["image"]
        return {
            "latent": _tensor(latent),
            "positive": _loaded(encoded["positive"]),
            "negative": _loaded(encoded["negative"]),
            "sampled": {"samples": _tensor(sampled["sampled_latent"])},
            "image": _saved(image, folder),
        }

    def encoded(self, case: Case) -> dict[str, Value]:
        pictures = {"image1": self.person(case), **self._others(case, "image2", "image3")}
        return self.infer("text_encoder", "positive", "negative", **pictures, **COMMON)

    def at_once(self, case: Case, **others: Value) -> Value:
        """The picture out of the ensemble."""
        return self.infer("vtryon_pipeline", "image", **self.whole(case), **others)["image"]

    def quickly(self, case: Case) -> Value:
        """The same, for a case that does not read the negative encoding."""
        return self.at_once(case, encode_negative=Value.of("BOOL", False))

    def whole(self, case: Case) -> dict[str, Value]:
        """What the ensemble is asked with."""
        return {"person": self.person(case), **self._others(case, "garment", "mask"), **COMMON, **sampler(case)}

    def person(self, case: Case) -> Value:
        return _content(self._pictures[case.shape])

    def _others(self, case: Case, garment: str, mask: str) -> dict[str, Value]:
        third = {mask: _content(self._pictures["mask"])} if case.pictures == 3 else {}
        return {garment: _content(self._pictures["garment"]), **third}


def sampler(case: Case, steps: int = 2) -> dict[str, Value]:
    numbers = {"cfg": case.cfg, "denoise": case.denoise, "lora_strength": case.lora_strength}
    return {
        "steps": Value.of("INT64", steps),
        "seed": Value.of("UINT64", case.seed),
        **{name: Value.of("FP64", number) for name, number in numbers.items()},
    }


def _content(file: Path) -> Value:
    return Value.data(file.read_bytes())


def _tensor(value: Value) -> torch.Tensor:
    return torch.frombuffer(bytearray(value.content), dtype=torch.float32).reshape(value.shape)


def _loaded(value: Value) -> Any:
    return torch.load(BytesIO(value.content), weights_only=True)


def _saved(value: Value, folder: Path) -> Path:
    file = folder / "image from Triton.png"
    file.write_bytes(value.content)
    return file
