# Every check is one command, the same at a desk and in CI.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format lock examples clean

BIN := .venv/bin
READY := .venv/.ready

# glibc's allocator gives large blocks back to the system and asks for them again; this keeps them, and changes no bit.
# PyTorch's own attention is faster on a CPU, and changes the last bits of a result.
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 9000000000
demo: export COMFYUI_ATTENTION ?= pytorch

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh
	@touch $@

setup: $(READY)  ## make .venv with all that is needed, and fetch ComfyUI

demo: $(READY)  ## run one try-on on miniature models; the picture is out/tryon.png
	@$(BIN)/python scripts/demo.py --output out

test: $(READY)  ## run the tests
	@$(BIN)/pytest

lint: $(READY)  ## check style, types, and which part may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=scripts $(BIN)/mypy --explicit-package-bases scripts tests
	@$(BIN)/lint-imports --no-logo

format: $(READY)  ## put the code into its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

examples: $(READY)  ## draw the pictures in examples/ anew
	@$(BIN)/python scripts/draw_examples.py --output examples

lock: $(READY)  ## write constraints.txt from what is installed
	@scripts/lock.sh

clean:  ## remove what the commands above made in this folder
	rm -rf .venv out
