"""Files that are written whole are on the disk before they have their names, and their names before anybody is told."""

from pathlib import Path

import pytest

from shared_utils.artifacts import paths
from shared_utils.artifacts.paths import write_whole


def test_files_are_kept_first_and_then_each_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {tmp_path / folder / name: name.encode() for folder, name in (("a", "1"), ("a", "2"), ("b", "3"))}
    folders = {tmp_path / "a", tmp_path / "b"}
    synced: list[tuple[Path, bool]] = []

    def noted(path: Path) -> None:
        synced.append((path, all(file.exists() for file in files)))

    monkeypatch.setattr(paths, "sync", noted)
    write_whole(files)
    assert [named for _, named in synced] == [False] * 3 + [True] * 2
    assert {path for path, _ in synced[3:]} == folders
    assert {file: file.read_bytes() for file in files} == files
