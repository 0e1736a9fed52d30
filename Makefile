# mevflow. `make` alone lists what there is.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
KEEP ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test test-truth lint format proto proto-check bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv with the mevflow command, and check the machine

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "mevflow needs Python 3.11 or 3.12: apt-get install python3 python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@find . -path ./.venv -prune -o -name '*.nb[ic]' -exec rm -f {} +  # compiled kernels name the modules they came from
	@echo "installing the locked dependencies (a few minutes the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/mevflow doctor
	@$(BIN)/mevflow compile
	@touch $@

run: setup ## Run the main job on the recorded days and print a report (KEEP=1 leaves it running)
	@$(BIN)/mevflow demo $(if $(KEEP),--keep)

test: setup ## Run all tests, with the real broker and the real engine
	@$(BIN)/pytest

test-truth: setup ## Hold states, quotes and executed opportunities against contracts on a real EVM; write docs/truth.md
	@$(BIN)/python -m tests.truth

lint: setup ## Lint, format check, types and the rooms' import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## Format the code
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

proto: setup ## Generate the protobuf modules
	@$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto proto/mevflow/v1/*.proto
	@$(BIN)/python -m grpc_tools.protoc -Iproto --grpc_python_out=proto proto/mevflow/v1/control_service.proto

proto-check: setup ## Check that the generated modules are current
	@rm -rf build/proto && mkdir -p build/proto
	@$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=build/proto --pyi_out=build/proto proto/mevflow/v1/*.proto
	@$(BIN)/python -m grpc_tools.protoc -Iproto --grpc_python_out=build/proto proto/mevflow/v1/control_service.proto
	@for f in build/proto/mevflow/v1/*; do cmp $$f proto/mevflow/v1/$$(basename $$f) || { echo "run make proto" >&2; exit 1; }; done
	@echo "the generated modules are current"

bench: setup ## Run every bench and write docs/benchmarks.md
	@$(BIN)/python -m mevflow.bench.report

lock: ## Compile requirements.lock anew
	@$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url \
	  --no-header --quiet -o requirements.lock pyproject.toml

clean: ## Remove what was built (var/ with its data stays)
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	@find . -path ./.venv -prune -o -name '*.nb[ic]' -exec rm -f {} +
