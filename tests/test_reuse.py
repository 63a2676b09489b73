"""With everything skipped that can't matter, and everything reused that was done before: the same bits all the same."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_utils.artifacts.cache import ENDING
from shared_utils.comfy.progress import Step
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import FROM_THE_TOP, SamplerOptions, Success
from shared_utils.stage import answer
from tests.conftest import Stages
from tests.exactness import Case, assert_same, load
from tests.test_exactness import covering_cases

WORK = {"LoadImage", "ImageScaleToTotalPixels", "VAEEncode", "TextEncodeQwenImageEditPlus", "KSampler", "VAEDecode"}
"""The nodes that do more than load models."""
MANY_STEPS = (1, 2, 3, 4, 7, 8, 20, 50, 999)
SHIFTS = (3, 1, 1.73, 0.5, 2.5, 3.1, 12, 99.99, 0, 0.01)


@dataclass
class Line:
    """The stages, asked for whole try-ons as the orchestrator asks them, and the nodes that ran for each."""

    stages: Stages
    pictures: dict[str, Path]
    folder: Path
    ran: Counter[str]

    def run(self, case: Case, between: Callable[[], None] = lambda: None) -> dict[str, Any]:
        self.ran.clear()
        options = SamplerOptions(cfg=case.cfg, denoise=case.denoise, lora_strength=case.lora_strength, steps=2)
        person, common = str(self.pictures[case.shape]), {"megapixels": 0.04}
        pictures = {"image1_path": person, "image2_path": str(self.pictures["garment"])}
        if case.pictures == 3:
            pictures["image3_path"] = str(self.pictures["mask"])
        latent = self._ask(
            self.stages.latent_encoder, image_path=person, **common, encode_content=options.reads_latent()
        )
        between()
        encoding = self._ask(self.stages.text_encoder, **pictures, **common, encode_negative=options.reads_negative())
        between()
        sampled = self._ask(
            self.stages.sampling,
            positive_encoding=encoding.positive_encoding_path,
            negative_encoding=encoding.negative_encoding_path,
            latent_image=latent.latent_file_path,
            seed=case.seed,
            **options.model_dump(exclude={"unet_model_name", "lora_model_name"}),
        )
        between()
        decoded = self._ask(self.stages.decoding, latent_path=sampled.sampled_latent_path)
        negative = encoding.negative_encoding_path
        return {
            "latent": load(latent.latent_file_path),
            "positive": load(encoding.positive_encoding_path),
            "negative": negative and load(negative),
            "sampled": load(sampled.sampled_latent_path),
            "image": Path(decoded.image_path),
        }

    def _ask(self, stage: Any, **fields: Any) -> Any:
        response = answer(stage, {**fields, "output_dir": str(self.folder)}, self._watch)
        assert isinstance(response, Success), response
        return response

    def _watch(self, step: Step) -> None:
        if step.total == 0:
            self.ran[step.node] += 1


@pytest.fixture
def line(
    make_stages: Callable[..., Stages], model_dir: Path, pictures: dict[str, Path], tmp_path: Path
) -> Callable[..., Line]:
    def make(**settings: Any) -> Line:
        stages = make_stages(model_dir=model_dir, **{"reuse_memory_mb": 100, **settings})
        return Line(stages, pictures, tmp_path / "line", Counter())

    return make


def assert_right(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """All that was made is as it is made in one process; what was not is not there, or zeros of that shape."""
    if not ours["latent"].any():
        assert ours["latent"].shape == theirs["latent"].shape
        assert ours["latent"].dtype == theirs["latent"].dtype
        ours = {**ours, "latent": theirs["latent"]}
    if ours["negative"] is None:
        ours = {**ours, "negative": theirs["negative"]}
    assert_same(ours, theirs)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the cases have in common is worked out once, as it would be."""
    return tmp_path_factory.mktemp("kept")


@pytest.mark.parametrize("case", covering_cases(), ids=str)
def test_every_shortcut(case: Case, line: Any, oracle: Any, shared: Path) -> None:
    made = line(reuse_dir=shared, reuse_results=True)
    assert_right(made.run(case), oracle(case))
    assert made.ran["KSampler"] == made.ran["VAEDecode"] == 1
    assert_right(made.run(case), oracle(case))
    assert not made.ran, "all was there"


CASE = Case(denoise=0.6)


def test_what_is_skipped_and_what_is_found(line: Any, oracle: Any, tmp_path: Path) -> None:
    made = line(reuse_dir=tmp_path / "kept", reuse_results=True)
    assert_right(made.run(Case()), oracle(Case()))
    assert "VAEEncode" not in made.ran, "the latent is not read at denoise 1"
    assert made.ran["TextEncodeQwenImageEditPlus"] == 1, "nor the negative at cfg 1"
    assert_right(made.run(CASE), oracle(CASE))
    assert made.ran["VAEEncode"] == 1
    assert "TextEncodeQwenImageEditPlus" not in made.ran
    another = line(reuse_dir=tmp_path / "kept", reuse_results=True)
    assert_right(another.run(CASE), oracle(CASE))
    assert not another.ran.keys() & WORK, "another process finds it too"


def test_full(line: Any, oracle: Any, tmp_path: Path) -> None:
    """So full that hardly anything stays."""
    made = line(reuse_memory_mb=0.2, reuse_dir=tmp_path / "kept", reuse_dir_gb=0.0002, reuse_results=True)
    for case in (CASE, replace(CASE, seed=8), CASE):
        assert_right(made.run(case), oracle(case))


def _poison(folder: Path) -> None:
    for file in folder.rglob(f"*{ENDING}"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)


def _exchange(folder: Path) -> None:
    """Whole entries, each in the place of another."""
    files = sorted(folder.rglob(f"*{ENDING}"))
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):
        file.write_bytes(content)


@pytest.mark.parametrize("harm", [_poison, _exchange, shutil.rmtree])
@pytest.mark.parametrize("when", ["before", "in mid-run"])
def test_harmed(harm: Callable[[Path], None], when: str, line: Any, oracle: Any, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    made = line(reuse_memory_mb=0, reuse_dir=folder, reuse_results=True)
    assert_right(made.run(CASE), oracle(CASE))
    if when == "before":
        harm(folder)
        assert_right(made.run(CASE), oracle(CASE))
        assert made.ran["KSampler"] == 1, "nothing harmed was taken"
    else:
        assert_right(made.run(CASE, between=lambda: harm(folder) if folder.exists() else None), oracle(CASE))


def test_another_seed_runs_the_sampler_and_what_follows(line: Any, oracle: Any) -> None:
    made = line()
    made.run(CASE)
    other = replace(CASE, seed=8)
    assert_right(made.run(other), oracle(other))
    assert made.ran == Counter({"KSampler": 1, "VAEDecode": 1, "SaveImage": 1})
    assert_right(made.run(other), oracle(other))
    assert made.ran["KSampler"] == 1, "results are reused where the settings allow it only"


def _counted(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pictures that the VAE itself encodes."""
    vae = stages.models.vae(stages.latent_encoder.options.vae_model_name)
    encode, seen = vae.encode, list[Any]()

    def counted(pixels: Any) -> Any:
        seen.append(pixels)
        return encode(pixels)

    monkeypatch.setattr(vae, "encode", counted)
    return seen


def test_each_picture_is_encoded_once(
    line: Any, monkeypatch: pytest.MonkeyPatch, pictures: dict[str, Path], tmp_path: Path
) -> None:
    """The same garment on other people, and the person's reference for both prompts."""
    made = line()
    seen = _counted(made.stages, monkeypatch)
    made.run(Case(denoise=0.6, cfg=2.5))
    assert len(seen) == 3, "the scaled person, and the references of person and garment, for two prompts"
    made.run(Case(denoise=0.6, cfg=2.5, shape="square"))
    assert len(seen) == 5
    made.pictures = {**pictures, "garment": pictures["mask"]}
    made.run(Case(denoise=0.6, cfg=2.5))
    assert len(seen) == 6
    for a in range(len(seen)):
        for b in range(a):
            assert seen[a].shape != seen[b].shape or not torch.equal(seen[a], seen[b])


@contextmanager
def _short_of_memory(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The VAE's first way to encode runs out of memory; ComfyUI then goes on in tiles."""
    kind = comfy.module("comfy.ldm.wan.vae").WanVAE
    whole, calls = kind.encode, Counter[str]()

    def encode(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls["encode"] += 1
        if calls["encode"] == 1:
            raise torch.OutOfMemoryError
        return whole(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "encode", encode)
        yield
    assert calls["encode"] > 1


def test_what_was_made_in_tiles_is_not_kept(
    line: Any, oracle: Any, comfy: Comfy, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = line()
    with _short_of_memory(comfy, monkeypatch):
        made.run(CASE)
    assert_right(made.run(CASE), oracle(CASE))
    assert made.ran["VAEEncode"] == 1, "what rests on it is made anew"
    assert_right(made.run(CASE), oracle(CASE))
    assert made.ran["VAEEncode"] == 0


def test_a_changed_model_is_another_model(
    make_stages: Callable[..., Stages], model_dir: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    """Of the same name, size and time of writing: with a shared folder its content counts."""
    import os

    from shared_utils.contracts import VAE

    shutil.copytree(model_dir, tmp_path / "models")
    file = tmp_path / "models" / "vae" / VAE
    results = []
    for _ in range(2):
        stages = make_stages(model_dir=tmp_path / "models", reuse_memory_mb=100, reuse_dir=tmp_path / "kept")
        results.append(Line(stages, pictures, tmp_path / "line", Counter()).run(Case(denoise=0.6))["latent"])
        seen = file.stat()
        content = bytearray(file.read_bytes())
        content[-3] ^= 0x40
        file.write_bytes(content)
        os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert not torch.equal(*results)


@pytest.mark.parametrize("shift", SHIFTS)
def test_which_schedules_begin_at_exactly_one(comfy: Comfy, stages: Stages, shift: float) -> None:
    """What reads_latent says of each of ComfyUI's schedulers, against the schedule that ComfyUI makes."""
    options = stages.sampling.options
    model = stages.models.unet(options.unet_model_name, options.lora_model_name, 0)
    sampling = comfy.module("comfy.model_sampling")
    kind = type("Sampling", (sampling.ModelSamplingDiscreteFlow, sampling.CONST), {})
    made = kind(model.model.model_config)
    made.set_parameters(shift=shift, multiplier=1.0)
    samplers = comfy.module("comfy.samplers")
    skipping = 0
    for scheduler in samplers.SCHEDULER_NAMES:
        for steps in MANY_STEPS:
            said = SamplerOptions(scheduler=scheduler, steps=steps, shift=shift)
            if said.reads_latent():
                continue
            skipping += 1
            assert float(samplers.calculate_sigmas(made, scheduler, steps)[0]) == 1.0, (scheduler, steps)
    assert {*FROM_THE_TOP} <= {*samplers.SCHEDULER_NAMES}
    assert skipping or shift not in (3, 1, 12)


@pytest.mark.parametrize(
    ("fields", "reads"),
    [({}, False), ({"denoise": 0.99995}, False), ({"denoise": 0.9}, True), ({"scheduler": "ddim_uniform"}, True)],
)
def test_when_the_latent_is_read(fields: dict[str, Any], reads: bool) -> None:
    assert SamplerOptions(**fields).reads_latent() is reads
