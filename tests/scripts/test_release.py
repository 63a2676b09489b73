"""The release command, on a small checkout with a git of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from release import NAMED, NoReleaseError, release

from shared_utils import __version__
from tests.conftest import ROOT

DAY = "2030-01-02"
IMAGES = "k8s/components/images/kustomization.yaml"
CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Sleeves.\n\n## [0.1.0] - 2029-01-01\n\n- Shirts.\n"


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "shared_utils").mkdir(parents=True)
    (root / "scripts").mkdir()
    (root / "shared_utils" / "__init__.py").write_text('"""Shared."""\n\n__version__ = "0.1.0"\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / IMAGES).parent.mkdir(parents=True)
    (root / IMAGES).write_text("images:\n  - name: ours\n    newTag: 0.1.0\n  - name: theirs\n    newTag: 4.1.0\n")
    # Stands for the writer of schemas, which has tests of its own: it leaves what it was asked.
    (root / "scripts" / "generate_schemas.py").write_text(
        "import sys\nwith open('asked.txt', 'a') as file:\n    print(*sys.argv[3:], file=file)\n"
    )
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "config", "user.name", "Somebody")
    git(root, "config", "user.email", "somebody@example.org")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Begin")
    return root


def test_a_release(checkout: Path) -> None:
    release(checkout, "0.2.0", DAY, dry_run=False)
    assert '__version__ = "0.2.0"' in (checkout / "shared_utils" / "__init__.py").read_text()
    assert re.findall(r"newTag: (.+)", (checkout / IMAGES).read_text()) == ["0.2.0", "4.1.0"]
    expected = CHANGELOG.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [0.2.0] - {DAY}\n")
    assert (checkout / "CHANGELOG.md").read_text() == expected
    assert (checkout / "asked.txt").read_text().splitlines() == ["", "--release 0.2.0"]
    assert git(checkout, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "cat-file", "-t", "v0.2.0") == "tag"
    message = git(checkout, "tag", "--list", "--format=%(contents)", "v0.2.0")
    assert "### Added\n\n- Sleeves." in message
    assert "Shirts" not in message


def test_a_second_one_needs_something_to_tell(checkout: Path) -> None:
    release(checkout, "0.2.0", DAY, dry_run=False)
    with pytest.raises(NoReleaseError, match="nothing stands under"):
        release(checkout, "0.3.0", DAY, dry_run=False)


def test_a_dry_run_changes_nothing(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release(checkout, "1.0.0", DAY, dry_run=True)
    assert git(checkout, "status", "--porcelain") == ""
    assert git(checkout, "tag") == ""
    assert "0.1.0 -> 1.0.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "said"),
    [("0.1.0", "not above"), ("0.0.9", "not above"), ("v0.2.0", "no version"), ("0.2", "no version"), ("01.0.0", "no")],
)
def test_versions_that_are_none(checkout: Path, version: str, said: str) -> None:
    with pytest.raises(NoReleaseError, match=said):
        release(checkout, version, DAY, dry_run=False)


def test_what_is_not_committed_is_in_the_way(checkout: Path) -> None:
    (checkout / "new.txt").touch()
    with pytest.raises(NoReleaseError, match="not committed"):
        release(checkout, "0.2.0", DAY, dry_run=False)


def test_a_tag_that_is_there(checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    with pytest.raises(NoReleaseError, match="there already"):
        release(checkout, "0.2.0", DAY, dry_run=False)


@pytest.mark.parametrize("file", NAMED)
def test_the_version_stands_where_it_is_looked_for(file: Path) -> None:
    assert NAMED[file].format(__version__) in (ROOT / file).read_text(encoding="utf-8")


def test_the_command_says_why_not() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "release.py"), "0.0.1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("No release: 0.0.1 is not above")
