"""One load for each model, however often and from however many threads it is asked for."""

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from shared_utils.comfy import loader, nodes
from shared_utils.comfy.loader import Models
from shared_utils.comfy.miniature import write_miniatures
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import CLIP, LORA, UNET, VAE, Success
from shared_utils.errors import LoRAModelInvalidError, OutOfMemoryError, VAEModelNotFoundError
from shared_utils.settings import Settings
from shared_utils.stage import answer


@pytest.fixture
def files_read(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the checkpoints that ComfyUI reads, in order."""
    utils = comfy.module("comfy.utils")
    read: list[str] = []
    load = utils.load_torch_file

    def counted(path: str, *args: Any, **kwargs: Any) -> Any:
        read.append(Path(path).name)
        return load(path, *args, **kwargs)

    monkeypatch.setattr(utils, "load_torch_file", counted)
    return read


def test_many_threads_one_load(model_dir: Path, files_read: list[str]) -> None:
    models = Models(Settings(model_dir=model_dir))
    together, found = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        found.append((models.vae(VAE), models.unet(UNET, LORA, 1.0)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(files_read) == sorted([VAE, UNET, LORA])
    assert len({(id(vae), id(unet)) for vae, unet in found}) == 1
    assert len(found) == 8


def test_a_second_request_loads_nothing(
    fresh_stages: Any, files_read: list[str], examples: Path, tmp_path: Path
) -> None:
    person, garment = str(examples / "person_masked.png"), str(examples / "garment.png")
    inputs = {
        "positive_encoding": torch.zeros(1, 4, 256),
        "latent_image": torch.zeros(1, 16, 1, 8, 8),
    }
    for name, tensor in inputs.items():
        torch.save(tensor, tmp_path / f"{name}.pt")
    requests: list[tuple[Any, dict[str, Any]]] = [
        (fresh_stages.latent_encoder, {"image_path": person, "megapixels": 0.01}),
        (fresh_stages.text_encoder, {"image1_path": person, "image2_path": garment, "encode_negative": False}),
        (fresh_stages.sampling, {name: str(tmp_path / f"{name}.pt") for name in inputs} | {"steps": 1}),
        (fresh_stages.decoding, {"latent_path": str(tmp_path / "latent_image.pt")}),
    ]
    for stage, fields in requests:
        assert isinstance(answer(stage, fields), Success)
    assert sorted(files_read) == sorted([VAE, CLIP, UNET, LORA]), "each once, the VAE for three stages"
    files_read.clear()
    for stage, fields in requests:
        assert isinstance(answer(stage, fields), Success)
    assert files_read == []


def test_warm_up_loads_what_a_default_request_needs(fresh_stages: Any, files_read: list[str]) -> None:
    fresh_stages.sampling.warm_up()
    fresh_stages.text_encoder.warm_up()
    assert [loaded.kind for loaded in fresh_stages.models.loaded()] == [
        "diffusion model",
        "LoRA",
        "text encoder",
        "VAE",
    ]
    assert all(loaded.size > 0 for loaded in fresh_stages.models.loaded())


def test_alternating_strengths_reload_nothing(model_dir: Path, files_read: list[str]) -> None:
    models = Models(Settings(model_dir=model_dir))
    first = models.unet(UNET, LORA, 1.0)
    models.unet(UNET, LORA, 0.5)
    assert models.unet(UNET, LORA, 1.0) is first
    assert files_read.count(UNET) == 1
    assert files_read.count(LORA) == 1, "the file is kept, a strength is only a number"


def test_strengths_do_not_fill_the_memory(model_dir: Path) -> None:
    models = Models(Settings(model_dir=model_dir))
    last = None
    for number in range(20):
        last = models.unet(UNET, LORA, number / 10 + 0.1)
    assert kinds(models) == ["LoRA", "LoRA", "LoRA", "diffusion model", "LoRA"]
    assert models.unet(UNET, LORA, 2.0) is last


def test_no_lora_is_needed_at_strength_0(model_dir: Path) -> None:
    models = Models(Settings(model_dir=model_dir))
    assert models.unet(UNET, "not there.safetensors", 0.0) is models.unet(UNET, "nor this.safetensors", 0.0)


def test_whether_a_model_is_a_miniature(comfy: Comfy, model_dir: Path, tmp_path: Path) -> None:
    safetensors: Any = importlib.import_module("safetensors.torch")
    models = Models(Settings(model_dir=tmp_path))
    (tmp_path / "vae" / "sub").mkdir(parents=True)
    (tmp_path / "vae" / VAE).write_bytes((model_dir / "vae" / VAE).read_bytes())
    # The same tensors, without the mark that says what they are.
    safetensors.save_file(
        safetensors.load_file(tmp_path / "vae" / VAE), tmp_path / "vae" / "sub" / "painted.safetensors"
    )
    assert models.miniature(loader.VAE, VAE)
    assert not models.miniature(loader.VAE, "sub/painted.safetensors")
    with pytest.raises(VAEModelNotFoundError):
        models.miniature(loader.VAE, "elsewhere.safetensors")
    assert models.loaded() == []


def test_a_replaced_file_is_another_model(comfy: Comfy, tmp_path: Path) -> None:
    write_miniatures(comfy, tmp_path, seed=1)
    models = Models(Settings(model_dir=tmp_path))
    vae, unet = models.vae(VAE), models.unet(UNET, LORA, 1.0)
    write_miniatures(comfy, tmp_path, seed=2)
    assert models.vae(VAE) is not vae
    assert first_patch(models.unet(UNET, LORA, 1.0)) != first_patch(unet)


def first_patch(model: Any) -> bytes:
    """Of a LoRA's numbers, as they are applied."""
    (_, adapter, *_), *_ = next(iter(model.patches.values()))
    numbers: bytes = adapter.weights[0].numpy().tobytes()
    return numbers


def kinds(models: Models) -> list[str]:
    return [loaded.kind for loaded in models.loaded()]


@pytest.fixture
def tight() -> Callable[[Path, float], Models]:
    """Models with a budget in megabytes."""
    return lambda folder, megabytes: Models(Settings(model_dir=folder, model_memory_gb=megabytes / 1000))


def test_the_least_used_goes_when_memory_is_short(model_dir: Path, tight: Callable[[Path, float], Models]) -> None:
    # The text encoder is some 80 MB, the diffusion model 1.6, the VAE 0.3.
    models = tight(model_dir, 81)
    models.vae(VAE)
    models.unet(UNET, LORA, 1.0)
    models.vae(VAE)
    models.clip(CLIP)
    assert kinds(models) == ["VAE", "text encoder"], "the diffusion model and its LoRA were used longest ago"
    models.unet(UNET, LORA, 1.0)
    assert kinds(models)[-2:] == ["diffusion model", "LoRA"]


def test_a_model_larger_than_the_limit_is_refused(
    model_dir: Path, files_read: list[str], tight: Callable[[Path, float], Models]
) -> None:
    models = tight(model_dir, 10)
    models.vae(VAE)
    with pytest.raises(OutOfMemoryError, match=rf"{CLIP} takes 0.0\d+ GB; .* 0.01 GB together \(MODEL_MEMORY_GB\)"):
        models.clip(CLIP)
    assert files_read == [VAE], "the file's size was enough to know"
    assert kinds(models) == ["VAE"], "nothing was let go of for a model that does not fit"
    models.unet(UNET, LORA, 1.0)


def test_a_lora_that_does_not_fit_beside_its_model_is_refused(
    model_dir: Path, tight: Callable[[Path, float], Models]
) -> None:
    alone = Models(Settings(model_dir=model_dir))
    alone.unet(UNET, LORA, 0.0)
    (unet,) = alone.loaded()
    models = tight(model_dir, (unet.size + 1000) / 1e6)
    with pytest.raises(OutOfMemoryError, match=f"the LoRA {LORA} takes .* beside the diffusion model that it patches"):
        models.unet(UNET, LORA, 1.0)
    assert kinds(models) == ["diffusion model"]


def test_the_limit_holds_in_the_number_type_that_is_loaded(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_utils.comfy.loader._size", lambda model, key: 2 * key.file_size)
    file = (model_dir / "vae" / VAE).stat().st_size
    models = Models(Settings(model_dir=model_dir, model_memory_gb=1.5 * file / 1e9))
    with pytest.raises(OutOfMemoryError, match=VAE):
        models.vae(VAE)
    assert models.loaded() == []


def test_an_evicted_model_is_freed(model_dir: Path, tight: Callable[[Path, float], Models]) -> None:
    import gc
    import weakref

    models = tight(model_dir, 81)
    gone = weakref.ref(models.unet(UNET, LORA, 1.0).model)
    models.clip(CLIP)
    gc.collect()
    assert gone() is None


def test_after_running_out_of_memory_the_models_work_on(comfy: Comfy, model_dir: Path) -> None:
    models = Models(Settings(model_dir=model_dir))
    management = comfy.module("comfy.model_management")
    models.recover()  # nothing was loaded

    def encoded() -> Any:
        return nodes.run(comfy, "VAEEncode", pixels=torch.zeros(1, 64, 64, 3), vae=models.vae(VAE))["samples"]

    first = encoded()
    assert management.current_loaded_models
    models.recover()
    assert not management.current_loaded_models
    assert torch.equal(encoded(), first)
    assert kinds(models) == ["VAE"]


def test_a_lora_for_another_model_is_refused(comfy: Comfy, model_dir: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    models = Models(Settings(model_dir=tmp_path))
    for folder in ("diffusion_models", "loras"):
        (tmp_path / folder).mkdir()
    (tmp_path / "diffusion_models" / UNET).symlink_to(model_dir / "diffusion_models" / UNET)
    save_file({"elsewhere.lora_up.weight": torch.zeros(4, 4)}, tmp_path / "loras" / LORA)
    with pytest.raises(LoRAModelInvalidError, match=LORA):
        models.unet(UNET, LORA, 1.0)
