"""The four stages, chained, against the whole workflow in one process: the same bits everywhere."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_utils.comfy.miniature import Sizes, write_miniatures
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import Failure, Success
from shared_utils.stage import answer
from tests.exactness import Case, assert_same, load, one_process

CHOICES: dict[str, tuple[Any, ...]] = {
    "shape": ("portrait", "landscape", "square"),
    "pictures": (2, 3),
    "cfg": (1.0, 2.5),
    "denoise": (1.0, 0.6),
    "lora_strength": (1.0, 0.0),
    "seed": (7, 2**64 - 1),
}


def covering_cases() -> list[Case]:
    """As few cases as a greedy choice finds so that every two values of two parameters meet in one of them."""
    names = list(CHOICES)
    open_pairs = {((a, x), (b, y)) for a, b in itertools.combinations(names, 2) for x in CHOICES[a] for y in CHOICES[b]}
    everything = [dict(zip(names, values, strict=True)) for values in itertools.product(*CHOICES.values())]
    chosen = []
    while open_pairs:
        best = max(everything, key=lambda values: len(open_pairs & _pairs(values)))
        open_pairs -= _pairs(best)
        chosen.append(Case(**best))
    return chosen


def _pairs(values: dict[str, Any]) -> set[tuple[tuple[str, Any], tuple[str, Any]]]:
    return set(itertools.combinations(values.items(), 2))


class Chain:
    """The stages one after the other, through their files."""

    def __init__(self, stages: Any, pictures: dict[str, Path], folder: Path) -> None:
        self.stages, self.pictures, self.folder = stages, pictures, folder
        self.encoded: dict[Any, tuple[Any, Any]] = {}

    def run(self, case: Case) -> dict[str, Any]:
        encoding, latent = self._encode(case)
        sampled = ask(
            self.stages.sampling,
            positive_encoding=encoding.positive_encoding_path,
            negative_encoding=encoding.negative_encoding_path,
            latent_image=latent.latent_file_path,
            steps=2,
            **{"cfg": case.cfg, "denoise": case.denoise, "lora_strength": case.lora_strength, "seed": case.seed},
            output_dir=str(self.folder),
        )
        assert sampled.metadata.seed == case.seed
        decoded = ask(self.stages.decoding, latent_path=sampled.sampled_latent_path, output_dir=str(self.folder))
        return {
            "latent": load(latent.latent_file_path),
            "positive": load(encoding.positive_encoding_path),
            "negative": load(encoding.negative_encoding_path),
            "sampled": load(sampled.sampled_latent_path),
            "image": Path(decoded.image_path),
        }

    def _encode(self, case: Case) -> tuple[Any, Any]:
        """Encodings do not depend on what the sampler is told, so the cases share them."""
        key = case.shape, case.pictures
        if key not in self.encoded:
            person, common = str(self.pictures[case.shape]), {"megapixels": 0.04, "output_dir": str(self.folder)}
            mask = {"image3_path": str(self.pictures["mask"])} if case.pictures == 3 else {}
            garment = str(self.pictures["garment"])
            self.encoded[key] = (
                ask(self.stages.text_encoder, image1_path=person, image2_path=garment, **mask, **common),
                ask(self.stages.latent_encoder, image_path=person, **common),
            )
        return self.encoded[key]


def ask(stage: Any, **fields: Any) -> Any:
    response = answer(stage, fields)
    assert isinstance(response, Success), response.error_message if isinstance(response, Failure) else response
    return response


@pytest.fixture(scope="module")
def chain(stages: Any, pictures: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return Chain(stages, pictures, tmp_path_factory.mktemp("chain"))


@pytest.mark.parametrize("case", covering_cases(), ids=str)
def test_the_chain_equals_the_monolith(case: Case, chain: Chain, oracle: Callable[[Case], dict[str, Any]]) -> None:
    ours = chain.run(case)
    assert_same(ours, oracle(case))
    references = ours["positive"][0][1]["reference_latents"]
    assert len(references) == case.pictures


def test_what_should_matter_does(chain: Chain) -> None:
    """Else the comparison above could hold because nothing ever changes."""
    plain = Case(cfg=2.5, denoise=0.6)
    others = [replace(plain, seed=8), replace(plain, cfg=1.0), replace(plain, denoise=1.0), replace(plain, pictures=3)]
    others.append(replace(plain, lora_strength=0.0))
    results = [chain.run(case)["sampled"]["samples"] for case in (plain, *others)]
    for a, b in itertools.combinations(results, 2):
        assert not torch.equal(a, b)


def test_other_sizes_of_miniatures(
    comfy: Comfy, make_stages: Callable[..., Any], pictures: dict[str, Path], tmp_path: Path
) -> None:
    """Nothing in the code may know how large a model is."""
    sizes = Sizes(layers=2, heads=2, text_layers=3, text_width=384, text_heads=8, text_mlp=320, vision_heads=2)
    sizes = replace(sizes, vision_layers=9, vision_mlp=96, vae_width=4, lora_rank=3)
    model_dir = tmp_path / "models"
    write_miniatures(comfy, model_dir, seed=3, sizes=sizes)
    case = Case(shape="landscape", denoise=0.6)
    ours = Chain(make_stages(model_dir=model_dir), pictures, tmp_path / "chain").run(case)
    assert ours["positive"][0][0].shape[-1] == 384
    assert_same(ours, one_process(case, pictures, tmp_path / "monolith", model_dir))
