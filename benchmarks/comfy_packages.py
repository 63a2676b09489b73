"""What ComfyUI's own server needs and vtryon does not: fetched with pip into the cache, not installed into this Python.

`python benchmarks/comfy_packages.py` fetches it; a machine without a network gets the folder that this prints.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from shared_utils.settings import cache_dir, one_process_at_a_time

# All that is not in constraints.txt of what `python main.py` imports, dependencies included; its nodes for other
# workflows go without theirs. Pinned, and fetched without dependencies, so that nothing of ours is hidden by it.
PINNED = (
    "aiohappyeyeballs==2.7.1",
    "aiohttp==3.14.5",
    "aiosignal==1.4.0",
    "frozenlist==1.8.0",
    "multidict==7.2.1",
    "propcache==0.5.4",
    "sqlalchemy==2.1.9",
    "yarl==1.25.1",
)
SECONDS = 600


def fetch() -> Path:
    """The folder to put on the server's path."""
    versions = hashlib.sha256("\n".join((sys.version, *PINNED)).encode()).hexdigest()[:12]
    folder = cache_dir() / "comfyui-server" / versions
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(folder.parent / ".lock"):
        if not folder.is_dir():
            print("fetching what ComfyUI's server needs with pip, about 8 MB ...", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
                _install(Path(incoming) / "packages")
                (Path(incoming) / "packages").rename(folder)
    return folder


def _install(folder: Path) -> None:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--no-deps",
    ]
    command = [*pip, "--only-binary", ":all:", "--target", str(folder), *PINNED]
    ran = subprocess.run(command, timeout=SECONDS, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = [line.strip() for line in ran.stderr.splitlines() if line.strip()]
        raise RuntimeError(f"What ComfyUI's server needs could not be fetched: {said[-1] if said else 'pip failed'}")


if __name__ == "__main__":
    print(fetch())
