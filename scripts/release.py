"""Make a release: the version, the changelog, the kept schemas, one commit and one tag. Nothing is pushed.

    python scripts/release.py 0.2.0             bump, commit and tag
    python scripts/release.py 0.2.0 --dry-run   say what would be done, and change nothing

What stands under [Unreleased] in CHANGELOG.md becomes the release's section and the tag's message. Pushing the tag is
what has images built and published: .github/workflows/images.yml.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION_FILE = Path("shared_utils/__init__.py")
CHANGELOG = Path("CHANGELOG.md")
NAMED = {VERSION_FILE: '"{}"', Path("k8s/components/images/kustomization.yaml"): "newTag: {}\n"}
"""Where the version stands, and how."""
UNRELEASED = "## [Unreleased]\n"
NUMBERS = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class NoReleaseError(Exception):
    """Why there is none, and what to do."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="of the release, such as 0.2.0")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    given = parser.parse_args()
    try:
        release(given.root, given.version, datetime.now(UTC).date().isoformat(), dry_run=given.dry_run)
    except NoReleaseError as reason:
        print(f"No release: {reason}", file=sys.stderr)
        return 1
    return 0


def release(root: Path, version: str, day: str, *, dry_run: bool) -> None:
    """All checks come before the first change."""
    old = current((root / VERSION_FILE).read_text(encoding="utf-8"))
    changelog = (root / CHANGELOG).read_text(encoding="utf-8")
    check(root, old, version)
    notes = unreleased(changelog)
    print(f"{old} -> {version}\n\n{notes}")
    if dry_run:
        return
    for file, form in NAMED.items():
        before = (root / file).read_text(encoding="utf-8")
        (root / file).write_text(before.replace(form.format(old), form.format(version)), encoding="utf-8")
    heading = f"{UNRELEASED}\n## [{version}] - {day}\n"
    (root / CHANGELOG).write_text(changelog.replace(UNRELEASED, heading, 1), encoding="utf-8")
    # Each in a process of its own, which reads the new version.
    schemas = [sys.executable, str(root / "scripts" / "generate_schemas.py"), "--root", str(root)]
    run(root, *schemas)
    run(root, *schemas, "--release", version)
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", f"Release {version}")
    # A heading of the changelog is no comment.
    run(root, "git", "tag", "--cleanup=verbatim", "--annotate", f"v{version}", "--message", f"{version}\n\n{notes}")
    print(f"\nCommitted and tagged v{version}. To publish it: git push --follow-tags")


def current(text: str) -> str:
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise NoReleaseError(f"{VERSION_FILE} names no version.")
    return found[1]


def check(root: Path, old: str, version: str) -> None:
    if numbers(version) <= numbers(old):
        raise NoReleaseError(f"{version} is not above {old}, the version that {VERSION_FILE} names.")
    if run(root, "git", "status", "--porcelain"):
        raise NoReleaseError("there are changes that are not committed. Commit or stash them first.")
    if run(root, "git", "tag", "--list", f"v{version}"):
        raise NoReleaseError(f"the tag v{version} is there already.")


def numbers(version: str) -> tuple[int, ...]:
    if not NUMBERS.fullmatch(version):
        raise NoReleaseError(f"{version!r} is no version: three numbers with dots, such as 0.2.0.")
    return tuple(map(int, version.split(".")))


def unreleased(changelog: str) -> str:
    """What the next release brings."""
    _, found, rest = changelog.partition(UNRELEASED)
    notes = re.split(r"^## \[", rest, maxsplit=1, flags=re.MULTILINE)[0].strip()
    if not found or not notes:
        raise NoReleaseError(f"nothing stands under [Unreleased] in {CHANGELOG}. Say there what changed.")
    return notes


def run(root: Path, *command: str) -> str:
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NoReleaseError(f"`{' '.join(command)}` failed:\n{ran.stdout}{ran.stderr}".rstrip())
    return ran.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
