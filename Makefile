# Two commands are enough for a newcomer: `make run` and `make test`.
PYTHON ?= python3
PORT   ?= 8080
VENV   := .venv
BIN    := $(VENV)/bin
QUICK  := tests/unit tests/contract
REAL   := tests/chart tests/cluster tests/e2e

.PHONY: help image image-parts run check lint test test-node test-thorough mutants docs manifests controlplane node \
	node-parts bench bench-operator bench-node bench-image lock clean

help:  ## Say what each command does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Angarium needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/test.txt
	@touch $@

run: $(VENV)/.run  ## Start Angarium on this machine, without a cluster, with examples/quickstart (PORT=8080)
	@$(BIN)/python examples/quickstart/start.py --port $(PORT)

lint: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

check: lint  ## The quick tier: style, types, import rules, unit and contract tests (two minutes)
	@$(BIN)/pytest -q -n auto --dist loadfile -m "not thorough" $(QUICK)

controlplane: $(VENV)/.test  ## Build the programs that the cluster tests use: a Kubernetes control plane, Helm, kstatus (minutes, then cached)
	@$(BIN)/python tools/controlplane/build.py

image-parts: $(VENV)/bin/python
	@$(BIN)/python -m tools.image --keep

node-parts: $(VENV)/.test  ## Bring what a Kubernetes node is made of (minutes, then cached), if this machine can carry one
	@$(BIN)/python -m tools.node.parts

test-node: node-parts image-parts  ## Real pods on a real Kubernetes node of the tests' own (needs root and Debian 12)
	@$(BIN)/pytest -q -m "not thorough" tests/node

node: node-parts image-parts  ## A Kubernetes node with the image, and a shell that knows it; it ends with the shell
	@$(BIN)/python -m tests.node

test: check controlplane node-parts image-parts  ## Everything: what has to pass before a change lands
	@$(BIN)/pytest -q -n 3 --dist loadfile -m "not thorough" $(REAL)
	@$(MAKE) --no-print-directory test-node

test-thorough: lint controlplane image-parts  ## The long rounds: outages of minutes, many kills
	@$(BIN)/pytest -q -m thorough --timeout 600

mutants: $(VENV)/.test  ## Break the named rules one by one: each must turn a test red (minutes)
	@$(BIN)/python -m tests.mutants

image: $(VENV)/bin/python  ## Build the image as an OCI archive, without an engine (Debian 12; docs/image.md)
	@$(BIN)/python -m tools.image

docs: $(VENV)/.test  ## Write the pages of docs/ that are made from the program (make check fails on a stale one)
	@$(BIN)/python -m tools.docs

manifests: $(VENV)/.test  ## Write the chart's README and CRDs, and deploy/*.yaml from the chart (after a change of either)
	@$(BIN)/python -m tools.manifests

bench: $(VENV)/.test  ## Measure speed and memory, docs/benchmarks.md (SCENARIO=sustained ROUNDS=3 SECONDS_EACH=8 MARKDOWN=1)
	@$(BIN)/python -m tests.bench $(SCENARIO) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS_EACH),--seconds $(SECONDS_EACH)) $(if $(MARKDOWN),--markdown)

bench-operator: controlplane  ## Measure the operator with 5,000 Schedules, docs/benchmarks.md (SCENARIO=start ROUNDS=1 SCHEDULES=5000 RATE=2000 MARKDOWN=1)
	@$(BIN)/python -m tests.bench.operator $(SCENARIO) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SCHEDULES),--schedules $(SCHEDULES)) $(if $(RATE),--rate $(RATE)) $(if $(MARKDOWN),--markdown)

bench-node: node-parts image-parts  ## Measure the start of the image in a real pod, docs/benchmarks.md
	@$(BIN)/python -m tests.node.figures

bench-image: controlplane image-parts  ## Measure how soon the image is ready, and its memory, docs/image.md (ROUNDS=5; root, Debian 12)
	@$(BIN)/python -m tests.bench.image $(if $(ROUNDS),--rounds $(ROUNDS))

lock: $(VENV)/.test  ## Pin every dependency again, with hashes and without any index URL
	@$(BIN)/python requirements/lock.py

clean:  ## Remove the environment and local data
	rm -rf $(VENV) build .angarium .mypy_cache .ruff_cache .pytest_cache
