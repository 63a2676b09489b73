"""Miniatures are the same for the same seed, and carry a mark that says what they are."""

from pathlib import Path

import pytest

from shared_utils.comfy.miniature import (
    TRAINED_FILES,
    Sizes,
    has_trained,
    is_miniature,
    kind_of,
    write_miniatures,
    write_trained,
)
from shared_utils.comfy.runtime import Comfy
from shared_utils.contracts import CLIP, LORA, UNET, VAE
from shared_utils.errors import InvalidRequestError

TINY = Sizes(layers=1, text_layers=1, vision_layers=1, vae_width=2)


def test_the_same_seed_the_same_files(comfy: Comfy, tmp_path: Path) -> None:
    first = write_miniatures(comfy, tmp_path / "a", seed=1, sizes=TINY)
    again = write_miniatures(comfy, tmp_path / "b", seed=1, sizes=TINY)
    other = write_miniatures(comfy, tmp_path / "c", seed=2, sizes=TINY)
    for a, b, c in zip(first, again, other, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()


def test_the_mark(model_dir: Path, tmp_path: Path) -> None:
    assert all(is_miniature(file) for file in model_dir.rglob("*.safetensors"))
    (tmp_path / "other.safetensors").write_text("not one at all")
    assert not is_miniature(tmp_path / "other.safetensors")
    assert not is_miniature(tmp_path / "nowhere.safetensors")


def test_the_trained_set(comfy: Comfy, tmp_path: Path) -> None:
    """Three files as they are stored, and the text encoder that they were trained with."""
    assert not has_trained(tmp_path)
    written = write_trained(comfy, tmp_path)
    assert has_trained(tmp_path)
    assert {file.name for file in written} == {UNET, CLIP, VAE, LORA}
    assert all(file.is_file() for file in written)
    for name, stored in TRAINED_FILES.items():
        assert (tmp_path / name).read_bytes() == stored.read_bytes()
        assert "trained" in str(kind_of(tmp_path / name))
    write_miniatures(comfy, tmp_path / "random", seed=0)
    encoder = Path("text_encoders", CLIP)
    assert (tmp_path / encoder).read_bytes() == (tmp_path / "random" / encoder).read_bytes()


def test_one_set_takes_the_place_of_the_other(comfy: Comfy, tmp_path: Path) -> None:
    write_miniatures(comfy, tmp_path, sizes=TINY)
    assert not has_trained(tmp_path)
    write_trained(comfy, tmp_path)
    assert has_trained(tmp_path)


def test_a_real_model_is_not_replaced(comfy: Comfy, tmp_path: Path) -> None:
    real = tmp_path / "loras" / LORA
    real.parent.mkdir()
    real.write_bytes(b"somebody's")
    with pytest.raises(InvalidRequestError, match="no miniature"):
        write_trained(comfy, tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [real]
    assert real.read_bytes() == b"somebody's"


def test_what_is_stored_is_small() -> None:
    assert sum(file.stat().st_size for file in TRAINED_FILES.values()) < 15_000_000
