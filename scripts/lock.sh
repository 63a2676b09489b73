#!/usr/bin/env bash
# Writes the versions installed in .venv to constraints.txt. What PyTorch brings along for GPUs is left to PyTorch,
# which pins it itself, differently on each platform.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    sed -n '/^#/p' constraints.txt
    .venv/bin/python -m pip freeze --exclude-editable | grep -viE '^(nvidia|cuda|triton|setuptools|pip)' | sed 's/+[a-z0-9.]*$//' | sort -f
} > constraints.txt.new
mv constraints.txt.new constraints.txt
