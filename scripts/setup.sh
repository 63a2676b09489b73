#!/usr/bin/env bash
# Makes .venv with everything the services and the tests need, and fetches ComfyUI into the user's cache.
# Run it again whenever you like: what is there already stays.
#
#   PYTHON           the Python to use (3.11 to 3.13); found by itself if not given
#   TORCH_INDEX_URL  a package index for PyTorch alone. On Linux the ordinary one has the build for NVIDIA GPUs, some
#                    3 GB; PyTorch's own index for CPUs has a much smaller one.
set -euo pipefail
cd "$(dirname "$0")/.."

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        if [ -n "$candidate" ] && supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "vtryon needs Python 3.11, 3.12 or 3.13. Install one, or name it: PYTHON=/path/to/python make setup" >&2
    exit 1
}

if ! supported .venv/bin/python; then
    python=$(find_python)
    echo "== making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

# Whoever watches sees pip's progress; a log gets our lines only.
quiet=$([ -t 1 ] || echo --quiet)
pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install $quiet --constraint constraints.txt"
if [ -n "${TORCH_INDEX_URL:-}" ]; then
    echo "== installing PyTorch from the index given"
    $pip --index-url "$TORCH_INDEX_URL" --no-deps torch
fi
echo "== installing vtryon and what it needs (the first time PyTorch is downloaded: some 3 GB on Linux)"
$pip --editable '.[stages,dev]'

echo "== finding ComfyUI (the first time it is fetched: 12 MB)"
.venv/bin/python -m shared_utils.comfy.provision
