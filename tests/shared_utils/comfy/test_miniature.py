"""Miniatures are the same for the same seed, and carry a mark that says what they are."""

from pathlib import Path

from shared_utils.comfy.miniature import Sizes, is_miniature, write_miniatures
from shared_utils.comfy.runtime import Comfy

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
