"""What a figure was taken on: without that it says nothing."""

import os
import platform
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from processes import ROOT


def described() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "processor": _found(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")),
        "cores": len(os.sched_getaffinity(0)),
        "memory GB": round(int(_found(r"MemTotal:\s*(\d+)", Path("/proc/meminfo")) or 0) / 1024**2, 1),
        "GPU": gpu(),
        "load before": round(os.getloadavg()[0], 2),
        "Python": platform.python_version(),
        "PyTorch": version("torch"),
    }


def commit() -> str:
    """With a plus sign if what runs is not quite that."""
    name = _said("git", "rev-parse", "--short", "HEAD") or "unknown"
    return f"{name}+" if _said("git", "status", "--porcelain", "--untracked-files=no") else name


def gpu() -> str | None:
    return _said("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def _said(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return ran.stdout.strip() or None if ran.returncode == 0 else None


def _found(pattern: str, file: Path) -> str | None:
    found = re.search(pattern, file.read_text())
    return found[1].strip() if found else None
