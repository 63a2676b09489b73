#!/usr/bin/env bash
# Builds TensorRT plans from the VAE's ONNX models in a model repository, and has Triton serve the plans instead.
# A plan fits one kind of GPU and one version of TensorRT: run this on the machine that serves, with the trtexec of the
# container that serves (tritonserver and TensorRT of the same release).
#
#   scripts/build_tensorrt.sh [--dry-run] [REPOSITORY]
#
#   REPOSITORY  made by `vtryon triton build --onnx DIR`; triton_models if not given
#   --dry-run   print the commands and change nothing; needs no TensorRT
#   TRTEXEC     the trtexec to use; found on the PATH, or where NVIDIA's containers have it, if not given
#   MIN_SIZE, OPT_SIZE, MAX_SIZE
#               height x width in pixels, multiples of 8: a plan takes pictures from MIN_SIZE (256x256) to MAX_SIZE
#               (1536x1536) and is tuned for OPT_SIZE (1024x1024). A larger MAX_SIZE takes more of the GPU's memory.
#
# `vtryon triton build --onnx DIR` goes back to the ONNX models.
set -euo pipefail

fail() {
    echo "$1" >&2
    exit 1
}

dry_run=
if [ "${1:-}" = --dry-run ]; then
    dry_run=yes
    shift
fi
[ $# -le 1 ] || fail "Usage: scripts/build_tensorrt.sh [--dry-run] [REPOSITORY]"
repository=${1:-triton_models}

run() {
    if [ -n "$dry_run" ]; then
        printf '%q ' "$@"
        echo
    else
        "$@"
    fi
}

find_trtexec() {
    for candidate in "${TRTEXEC:-}" trtexec /usr/src/tensorrt/bin/trtexec; do
        if [ -n "$candidate" ] && command -v "$candidate" > /dev/null; then
            echo "$candidate"
            return
        fi
    done
    [ -n "$dry_run" ] || fail "This needs TensorRT: no trtexec was found. Run it in NVIDIA's TensorRT container of the \
release that serves, or name it: TRTEXEC=/path/to/trtexec. --dry-run prints the commands."
    echo trtexec
}

# height:width of a size like 1024x768, in units of $2 pixels.
side_by_side() {
    [[ $1 =~ ^([1-9][0-9]*)x([1-9][0-9]*)$ ]] || fail "$1 is no size: give height x width, like 1024x768."
    local height=${BASH_REMATCH[1]} width=${BASH_REMATCH[2]}
    ((height % 8 == 0 && width % 8 == 0)) || fail "$1: both sides must be multiples of 8."
    echo "$((height / $2))x$((width / $2))"
}

# --minShapes, --optShapes and --maxShapes; in $1, HxW stands for the size in units of $2 pixels.
shapes() {
    local bound size
    for bound in min:"${MIN_SIZE:-256x256}" opt:"${OPT_SIZE:-1024x1024}" max:"${MAX_SIZE:-1536x1536}"; do
        size=$(side_by_side "${bound#*:}" "$2") || exit
        echo "--${bound%%:*}Shapes=${1/HxW/$size}"
    done
}

build() {
    local folder=$repository/$1 bounds
    bounds=$(shapes "$2" "$3") || exit
    [ -f "$folder/1/model.onnx" ] || fail "No $folder/1/model.onnx. Make it: vtryon triton export-onnx --output onnx, \
then vtryon triton build --output $repository --onnx onnx"
    # Without TF32, which is as coarse as FP16 in what it multiplies. The plan is renamed when it is whole.
    # shellcheck disable=SC2086  # three flags
    run "$trtexec" --onnx="$folder/1/model.onnx" --saveEngine="$folder/1/model.plan.part" $bounds --noTF32 --skipInference
    run mv "$folder/1/model.plan.part" "$folder/1/model.plan"
    run sed -i 's/^platform: "onnxruntime_onnx"$/platform: "tensorrt_plan"/' "$folder/config.pbtxt"
}

trtexec=$(find_trtexec) || exit
build vae_encoder pixels:1xHxWx3 1
build vae_decoder latent:1x16x1xHxW 8
[ -n "$dry_run" ] || echo "Triton serves the plans from its next start on: tritonserver --model-repository=$repository"
