# Every check is one command, the same at a desk and in CI.
.DEFAULT_GOAL := help
.PHONY: help setup demo page triton test test-kafka test-browser test-triton test-deploy test-images test-printed chaos \
        bench bench-gpu bench-load bench-tried bench-kafka bench-memory bench-gateway bench-triton test-bench lint format lock examples miniatures bench-miniatures schemas release clean

BIN := .venv/bin
READY := .venv/.ready

# glibc's allocator gives large blocks back to the system and asks for them again; this keeps them, and changes no bit.
# PyTorch's own attention is faster on a CPU, and changes the last bits of a result.
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 9000000000
demo: export COMFYUI_ATTENTION ?= pytorch

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh
	@touch $@

setup: $(READY)  ## make .venv with all that is needed, and fetch ComfyUI

demo: $(READY)  ## run two try-ons on miniature models; out/tryon_sheet.png shows them
	@$(BIN)/python scripts/demo.py --output out

page: export COMFYUI_ATTENTION ?= pytorch
page: $(READY)  ## serve the web page at http://127.0.0.1:8080 until Ctrl-C, on miniature models or those in MODEL_DIR
	@$(BIN)/python scripts/page.py --output out

triton: export COMFYUI_ATTENTION ?= pytorch
triton: $(READY)  ## serve the stages on a Triton server until Ctrl-C, on miniature models or those in MODEL_DIR
	@$(BIN)/python scripts/serve_triton.py --output out

test: $(READY)  ## run the tests
	@$(BIN)/pytest

test-kafka: $(READY)  ## run the tests on Apache Kafka; needs Java and Maven
	@$(BIN)/pytest -m "kafka and not triton" tests/kafka tests/printed/test_doors_document.py

test-printed: $(READY)  ## run the commands that the documents print; needs Java and Maven
	@$(BIN)/pytest -m kafka tests/printed/test_commands.py

test-browser: $(READY)  ## run the tests of the web page in Chromium; the pictures are out/browser
	@scripts/find_chromium.sh
	@$(BIN)/pytest -m browser tests/browser

test-triton: $(READY)  ## run the tests on the Triton server, which pip fetches
	@$(BIN)/pytest -m triton --ignore=tests/printed tests

test-deploy: $(READY)  ## hold k8s/ and docker-compose.yml to the schemas and to the product; needs kubectl or Go, Java and Maven
	@$(BIN)/pytest -m deploy tests/deploy

test-images: $(READY)  ## build the images and run the demo of docker-compose.yml as containers; needs Docker, or root on Debian
	@$(BIN)/python scripts/test_images.py

test-bench: $(READY)  ## run bench and bench-tried in their smallest form
	@$(BIN)/pytest -m bench tests/benchmarks

chaos: export TRYONS ?= 300
chaos: export KILLS ?= 60
chaos: $(READY)  ## kill processes and broker under load, and count what is lost: TRYONS=300 KILLS=60; needs Java and Maven
	@$(BIN)/python benchmarks/chaos.py --tryons $(TRYONS) --kills $(KILLS)

bench: $(READY)  ## measure vtryon against ComfyUI's stock server and the monolith, on miniature models or those in MODEL_DIR
	@$(BIN)/python benchmarks/bench.py

bench-gpu: $(READY)  ## the same at full size on an NVIDIA GPU, on random checkpoints made there; under 9 minutes
	@$(BIN)/python benchmarks/bench_gpu.py

bench-load: $(READY)  ## measure waiting under random arrivals, and 1 to 8 workers; needs Java and Maven
	@$(BIN)/python benchmarks/bench_load.py --curve docs/growth.png

bench-tried: $(READY)  ## measure what changes bits or was not built: attention, number types, batches, compiling
	@$(BIN)/python benchmarks/bench_tried.py

bench-kafka: $(READY)  ## measure the orchestrator on Apache Kafka; needs Java and Maven
	@$(BIN)/python benchmarks/bench_kafka.py

bench-memory: $(READY)  ## measure memory: the orchestrator's over 100,000 try-ons, a worker's over 10,000; needs Java and Maven
	@$(BIN)/python benchmarks/engine_memory.py
	@$(BIN)/python benchmarks/worker_memory.py

bench-gateway: $(READY)  ## measure the gateway: submits, reads and event streams; needs Java and Maven
	@$(BIN)/python benchmarks/bench_gateway.py

bench-triton: export COMFYUI_ATTENTION ?= pytorch
bench-triton: $(READY)  ## measure try-ons on Triton against workers on Kafka; needs Java and Maven too
	@$(BIN)/python benchmarks/bench_triton.py

lint: $(READY)  ## check style, types, and which part may import which
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@MYPYPATH=scripts:benchmarks $(BIN)/mypy --explicit-package-bases scripts benchmarks tests
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python scripts/generate_schemas.py --check

format: $(READY)  ## put the code into its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

examples: $(READY)  ## draw the pictures in examples/ anew
	@$(BIN)/python scripts/draw_examples.py --output examples

miniatures: $(READY)  ## train the miniatures again, into out/trained; about half an hour on two cores
	@$(BIN)/python scripts/train_miniatures.py --output out/trained

bench-miniatures: $(READY)  ## measure the trained miniatures on a hundred drawings; about two hours on two cores
	@$(BIN)/vtryon models miniature --output out/models
	@$(BIN)/python scripts/measure_miniatures.py --models out/models

schemas: $(READY)  ## write schemas/ and triton_models/ from the contracts
	@$(BIN)/python scripts/generate_schemas.py

lock: $(READY)  ## write constraints.txt from what is installed
	@scripts/lock.sh

release: $(READY)  ## make a release: the version, the changelog, a commit and a tag: VERSION=0.2.0
	@$(BIN)/python scripts/release.py "$(VERSION)"

clean:  ## remove what the commands above made in this folder
	rm -rf .venv out
