"""What try-ons leave behind: what is removed, and what is not."""

import os
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts import SWEEP_SECONDS, Cleaner, leftovers, remove
from orchestrator.config import Config

HOUR = 3600.0
NOW = 1_800_000_000.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return made(tmp_path)


def made(tmp_path: Path, **settings: Any) -> Config:
    folders: dict[str, Any] = {"intermediate_dir": tmp_path / "intermediate", "output_dir": str(tmp_path / "output")}
    for folder in folders.values():
        Path(folder).mkdir(exist_ok=True)
    return Config(**folders | settings)


def aged(path: Path, hours: float) -> Path:
    os.utime(path, (NOW - hours * HOUR,) * 2)
    return path


def a_try_on(config: Config, name: str, folder_hours: float, file_hours: float) -> Path:
    folder = config.intermediate_dir / name
    folder.mkdir()
    file = folder / f"latent_{name}.pt"
    file.write_text("tensor")
    aged(file, file_hours)
    return aged(folder, folder_hours)


def test_only_what_is_old_is_left_over(config: Config) -> None:
    old = a_try_on(config, "old", 25, 25)
    a_try_on(config, "written to", 25, 1)
    a_try_on(config, "new", 1, 25)
    somebody_elses = a_try_on(config, "holidays", 25, 25)
    (somebody_elses / "beach.jpg").write_text("a picture")
    aged(somebody_elses / "beach.jpg", 25)
    aged(somebody_elses, 25)
    (config.intermediate_dir / "empty").mkdir()
    empty = aged(config.intermediate_dir / "empty", 25)
    output = Path(config.output_dir)
    for name in (f".{'0' * 16}.part", f".{'1' * 16}.part", "tryon.png", ".hidden.part"):
        (output / name).write_text("half")
        aged(output / name, 25 if name[1] != "1" else 1)
    assert set(leftovers(config, NOW)) == {old, empty, output / f".{'0' * 16}.part"}


def test_what_is_to_be_kept_is_not_left_over(tmp_path: Path) -> None:
    config = made(tmp_path, keep_intermediates=True)
    a_try_on(config, "old", 25, 25)
    assert list(leftovers(config, NOW)) == []


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    config = Config(intermediate_dir=tmp_path / "nowhere", output_dir=str(tmp_path / "neither"))
    assert list(leftovers(config, NOW)) == []


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "precious").write_text("kept")
    (tmp_path / "link").symlink_to(target)
    remove(tmp_path / "link")
    assert (target / "precious").exists()
    assert not (tmp_path / "link").is_symlink()


def test_removed_in_the_background(config: Config) -> None:
    first, second = a_try_on(config, "first", 0, 0), a_try_on(config, "second", 0, 0)
    cleaner = Cleaner(config)
    cleaner.remove(str(first))
    cleaner.remove(str(config.intermediate_dir / "not there"))
    cleaner.remove(str(second))
    cleaner.close()
    assert not first.exists()
    assert not second.exists()


def test_swept_at_first_and_then_each_hour(config: Config) -> None:
    cleaner = Cleaner(config)
    found = []
    for at, name in ((5.0, "one"), (6.0, "two"), (5.0 + SWEEP_SECONDS + 1, "three")):
        folder = config.intermediate_dir / name
        folder.mkdir()
        os.utime(folder, (1, 1))
        cleaner.sweep_if_due(at)
        found.append(folder)
    cleaner.close()
    assert [folder.exists() for folder in found] == [False, False, False]


def test_not_swept_again_within_the_hour(config: Config) -> None:
    cleaner = Cleaner(config)
    cleaner.sweep_if_due(5.0)
    folder = config.intermediate_dir / "old"
    folder.mkdir()
    os.utime(folder, (1, 1))
    cleaner.sweep_if_due(5.0 + SWEEP_SECONDS - 1)
    cleaner.close()
    assert folder.exists()


def test_what_can_not_be_removed_holds_up_nobody(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    real = remove

    def refused(path: Path) -> None:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        real(path)

    monkeypatch.setattr("orchestrator.artifacts.remove", refused)
    other = a_try_on(config, "other", 0, 0)
    cleaner = Cleaner(config)
    cleaner.remove(str(config.intermediate_dir / "locked"))
    cleaner.remove(str(other))
    cleaner.close()
    assert not other.exists()
