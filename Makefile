# mevflow. `make` alone lists what there is.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
KEEP ?=
RUNS ?= 100
FAULTS ?= 8
INPUTS ?= 2400000
MINUTES ?= 30

.DEFAULT_GOAL := help
.PHONY: help setup web run test test-web test-truth chaos fuzz soak peers test-quick coverage mutate wheel lint format proto proto-check proto-breaking docs decisions wrap bench bench-peers bench-check lock release clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/ready ## Make .venv with the mevflow command, and check the machine

.venv/ready: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "mevflow needs Python 3.11 or 3.12: apt-get install python3 python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@find . -path ./.venv -prune -o -name '*.nb[ic]' -exec rm -f {} +  # compiled kernels name the modules they came from
	@echo "installing the locked dependencies (a few minutes the first time)"
	@set -o pipefail; total=$$(grep -c '^[a-z].*==' requirements.lock); \
	  $(BIN)/pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock \
	  | awk -v total=$$total '/^(Collecting|Requirement already)/ {printf "\r  %d of %d packages", ++n, total; fflush()} \
	    /^Installing/ {printf "\n  installing them\n"; fflush()} END {print ""}'
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/mevflow doctor
	@$(BIN)/mevflow compile
	@$(BIN)/python -m mevflow.web.build --if-needed
	@touch $@

web: setup ## Build the dashboard's files anew (web/dist)
	@$(BIN)/python -m mevflow.web.build

run: setup ## Run the main job on the recorded days and print a report (KEEP=1 leaves it running)
	@$(BIN)/python -m mevflow.web.build --if-needed
	@$(BIN)/mevflow demo $(if $(KEEP),--keep)

test: setup ## Run all tests, with the real broker and the real engine, in three processes
	@$(BIN)/pytest -n 3 --dist loadgroup --no-loadscope-reorder --reruns 1 -rfER

test-web: setup ## Try every page of the dashboard in a real Chromium (Debian: apt-get install chromium)
	@$(BIN)/python -m mevflow.web.build --if-needed
	@$(BIN)/pytest tests/web

test-truth: setup ## Hold states, quotes and executed opportunities against contracts and programs; write docs/truth.md
	@$(BIN)/python -m tests.truth
	@$(BIN)/python -m tests.truth.solana

test-quick: setup ## Run the tests that need no service and compute for seconds only
	@$(BIN)/pytest -m "not services and not heavy" -n 2 --dist loadgroup --no-loadscope-reorder

coverage: setup ## Measure branch coverage of the quick tests
	@mkdir -p var/coverage
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -m "not services and not heavy"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered --sort=cover

mutate: setup ## Change the code that decides money or truth, and show which changes no test notices (FILES=…)
	@$(BIN)/python -m tests.mutation.run $(FILES)

wheel: setup ## Build wheel and sdist, install them elsewhere beside others, run the demo from there
	@$(BIN)/python -m tests.wheel.try_wheel

chaos: setup ## Strike RUNS runs with FAULTS faults each and compare with undisturbed ones; write docs/reliability.md
	@$(BIN)/python -m tests.chaos --runs $(RUNS) --faults $(FAULTS)

fuzz: setup ## Give INPUTS damaged inputs to every place where strangers' bytes come in; write docs/reliability.md
	@$(BIN)/python -m tests.fuzz --inputs $(INPUTS)

soak: setup ## Run for MINUTES with a burst and a flood of garbage; write docs/reliability.md
	@$(BIN)/python -m tests.soak --minutes $(MINUTES)

peers: setup ## Run the tests of clickhouse-connect (SUITE=its checkout) against the embedded ClickHouse; write docs/reliability.md
	@$(BIN)/python -m tests.peers $(SUITE)

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

proto-breaking: setup ## Check that today's messages can still read what was written before
	@$(BIN)/python -m tests.proto.breaking

decisions: setup ## Write docs/decisions/README.md from the records
	@$(BIN)/python docs/decisions/index.py --write

wrap: setup ## Wrap the prose of the docs at 120 characters
	@$(BIN)/python docs/wrap.py --write

docs: setup ## Build the documentation site into var/site, with strict links (needs the extra `docs`)
	@$(BIN)/mkdocs build --strict --quiet --site-dir var/site

bench: setup ## Run every bench and write docs/benchmarks.md
	@$(BIN)/python -m mevflow.bench.report
	@$(BIN)/python -m mevflow.bench.capacity
	@$(BIN)/python docs/wrap.py --write

bench-peers: setup ## Build the peers in Java, hold their rows against ours in Python, measure them (SHORT=1: only hold)
	@$(BIN)/pytest tests/bench/try_peers.py
	@$(if $(SHORT),,$(BIN)/python -m mevflow.bench.report peers && $(BIN)/python docs/wrap.py --write)

bench-check: setup ## Hold the ratios of pipeline, detect and decide against docs/benchmarks.md (median of 5, or RUNS=n)
	@$(BIN)/python -m mevflow.bench.check $(if $(filter-out file default,$(origin RUNS)),$(RUNS))

lock: ## Compile requirements.lock anew
	@$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --extra docs --extra ops --extra otel --generate-hashes --no-emit-index-url \
	  --no-header --quiet -o requirements.lock pyproject.toml

release: setup ## Show what VERSION=x.y.z would release; DO=1 writes, commits, tags and builds it
	@$(BIN)/python -m tests.release.prepare $(VERSION) $(if $(DO),--do)

clean: ## Remove what was built (var/ with its data stays)
	@rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	@find . -path ./.venv -prune -o -name '*.nb[ic]' -exec rm -f {} +
