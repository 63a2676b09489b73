#!/usr/bin/env bash
# Makes .venv with everything the services and the tests need, and fetches ComfyUI into the user's cache.
# Run it again whenever you like: what is there already stays.
set -euo pipefail

usage() {
    cat << 'END'
Usage: scripts/setup.sh [--help]

Makes .venv with PyTorch, vtryon and what it needs, and fetches ComfyUI into the user's cache. What is there already
stays as it is, so it can be run again and again.

Read from the environment:
  PYTHON           the Python to use (3.11 to 3.13); found by itself if not given
  TORCH_INDEX_URL  a package index for PyTorch alone. If not given: PyTorch's own, with the build for the GPU that is
                   here or for the CPU. Where that can't be reached: the ordinary one, whose build on Linux is for
                   NVIDIA GPUs, some 3 GB.

A PyTorch of the version in constraints.txt that is in .venv already is kept, whatever it was built for.
END
}

case "${1:-}" in
    "") ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
INSTALLED=.venv/.installed
WHEELS=https://download.pytorch.org/whl
REACH_SECONDS=10

say() { echo "== $*"; }

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
        if [ -n "$candidate" ] && supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "vtryon needs Python 3.11, 3.12 or 3.13. Install one, or name it: PYTHON=/path/to/python make setup" >&2
    return 1
}

# Not one that was moved here, whose commands begin with the old path, nor one whose making was broken off.
usable() {
    local made_at
    made_at=$(sed -nE 's/^command = .* -m venv (--clear )?//p' .venv/pyvenv.cfg 2> /dev/null) || return 1
    [ -z "$made_at" ] || [ "$made_at" -ef .venv ] || return 1
    supported .venv/bin/python && .venv/bin/python -m pip --version > /dev/null 2>&1
}

pip_install() {
    # Whoever watches sees pip's progress; a log gets our lines only.
    local quiet=()
    [ -t 1 ] || quiet=(--quiet)
    PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install "${quiet[@]}" --constraint constraints.txt "$@"
}

torch_wanted() { sed -n 's/^torch==//p' constraints.txt; }

# As it stands in the metadata: importing it takes seconds. 2.13.0+cpu is 2.13.0 for this.
torch_here() {
    .venv/bin/python -c 'from importlib.metadata import version; print(version("torch"))' 2> /dev/null || true
}

# The newest CUDA that the driver runs, such as 12.8; nothing where there is no NVIDIA GPU, or no driver that works.
cuda_of_driver() {
    local shown
    command -v nvidia-smi > /dev/null || return 0
    shown=$(nvidia-smi -L 2> /dev/null) && [[ "$shown" == "GPU "* ]] || return 0
    shown=$(nvidia-smi 2> /dev/null) || return 0
    sed -nE '/CUDA( UMD)? Version: [0-9]/{s/.*CUDA( UMD)? Version: ([0-9]+\.[0-9]+).*/\2/p;q}' <<< "$shown"
}

# The builds of PyTorch that a driver runs, the newest first. Without a driver, or one that is too old: the CPU's.
builds_for() {
    local cuda build
    cuda=${1/./}
    for build in 130 129 128 126; do
        [ "${cuda:-0}" -lt "$build" ] || echo "cu$build"
    done
    [ "${cuda:-0}" -ge 126 ] || echo cpu
}

# Whether PyTorch's own index has the version of torch that we want in this build: 0 yes, 1 no, 2 it can't be reached.
offers() {
    .venv/bin/python - "$WHEELS/$1/torch/" "$REACH_SECONDS" "$(torch_wanted)" << 'END' 2> /dev/null
import sys, urllib.error, urllib.request
address, seconds, version = sys.argv[1:]
try:
    with urllib.request.urlopen(address, timeout=float(seconds)) as page:
        sys.exit(f"torch-{version}" not in page.read().decode())
except urllib.error.HTTPError:
    sys.exit(1)
except OSError:
    sys.exit(2)
END
}

# The first build that the index has; nothing if it has none of them, or can't be reached.
offered_build() {
    local build answer
    for build in $(builds_for "$1"); do
        answer=0
        offers "$build" || answer=$?
        case $answer in
            0) echo "$build" && return ;;
            2) return ;;
        esac
    done
}

install_torch() {
    local wanted here cuda build
    wanted=$(torch_wanted)
    here=$(torch_here)
    if [ "${here%%+*}" = "$wanted" ]; then
        say "PyTorch $here is here: kept"
        if [[ "$here" == *+cpu ]] && [ -n "$(cuda_of_driver)" ]; then
            say "it does not use the NVIDIA GPU here. For one that does: .venv/bin/python -m pip uninstall torch, and again"
        fi
        return
    fi
    if [ -n "${TORCH_INDEX_URL:-}" ]; then
        say "installing PyTorch $wanted from the index in TORCH_INDEX_URL"
        pip_install --index-url "$TORCH_INDEX_URL" --no-deps torch
        return
    fi
    [ "$(uname -s)" = Linux ] || return 0 # elsewhere the ordinary index has the one build there is
    cuda=$(cuda_of_driver)
    if [ -z "$cuda" ]; then
        say "nvidia-smi shows no NVIDIA GPU: PyTorch for the CPU"
    else
        say "an NVIDIA GPU, whose driver runs CUDA $cuda: PyTorch for that"
    fi
    build=$(offered_build "$cuda")
    if [ -n "$build" ]; then
        say "installing PyTorch $wanted from $WHEELS/$build"
        pip_install --index-url "$WHEELS/$build" --no-deps torch && return
    fi
    say "PyTorch's own index can't be reached, or has no $wanted for this machine: it comes from the ordinary index," \
        "on Linux the build for NVIDIA GPUs (some 3 GB; it runs on a CPU too)"
}

# What was installed, from what: if nothing of it changed, pip need not be asked, and no network is needed.
fingerprint() { cat pyproject.toml constraints.txt shared_utils/__init__.py | cksum && pwd -P; }

# A link to the .venv of another checkout: installing here would have that one run this one's code.
owner_elsewhere() {
    local owner
    owner=$(sed -n 2p "$INSTALLED" 2> /dev/null) || return 0
    [ ! -L .venv ] || [ ! -d "$owner" ] || [ "$owner" -ef . ] || echo "$owner"
}

complete() {
    [ "$(cat "$INSTALLED" 2> /dev/null)" = "$(fingerprint)" ] && [ -n "$(torch_here)" ] && [ -x .venv/bin/vtryon ] &&
        .venv/bin/python -m pip check > /dev/null 2>&1
}

if usable; then
    say ".venv is here, with $(.venv/bin/python --version): kept"
else
    python=$(find_python)
    [ ! -e .venv ] || say ".venv does not work: made anew"
    [ -d .venv ] || rm -f .venv # a file, or a link to nowhere
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

if [ -n "$(owner_elsewhere)" ]; then
    say ".venv is a link to that of $(owner_elsewhere): nothing is installed into it"
elif complete; then
    say "PyTorch $(torch_here), vtryon and what it needs are installed: nothing to do"
else
    install_torch
    say "installing vtryon and what it needs"
    pip_install --editable '.[stages,dev]'
    fingerprint > "$INSTALLED"
fi

say "finding ComfyUI (the first time it is fetched: 12 MB)"
.venv/bin/python -m shared_utils.comfy.provision
