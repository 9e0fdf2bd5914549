# `make` alone prints this list. Everything is installed by the targets that need it.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit fuzz chaos bench kube lab lab-down golden image sbom audit chart manifests clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
LAB := PYTHONPATH=tests $(BIN)/python -m lab.cli
PYTEST := $(BIN)/python -m pytest

help:  ## print this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(READY) programs  ## the story: an address, a client, a node that dies (needs root)
	@PYTHONPATH=tests $(BIN)/python -m lab.demo

test: $(READY) lint types programs  ## everything: lint, types, unit, property, fuzz, kube and lab tests
	@$(PYTEST) tests/unit tests/property tests/fuzz -q
	if ! $(PYTEST) tests/kube tests/lab -q; then
		echo "make: what failed is played once more, with all of its file"
		$(PYTEST) tests/kube tests/lab -q --again
	fi

lint: $(READY)  ## style, and who may import whom
	@$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/lint-imports --no-logo 2>&1 | tail -n 3

types: $(READY)  ## mypy, strict
	@$(BIN)/mypy operator announcers examples

unit: $(READY)  ## the fast tests alone, seconds
	@$(PYTEST) tests/unit tests/property -q

SECONDS ?= 60
fuzz: $(VENV)/fuzz-ready  ## coverage-guided fuzzing for SECONDS=60, of TARGETS=all
	@PYTHONPATH=tests $(BIN)/python -m fuzz.run --seconds $(SECONDS) $(TARGETS)

MINUTES ?= 5
SEEDS ?= 1 2 3 4 5 6
chaos: $(READY) programs  ## seeded faults under clients: MINUTES=5 for each of SEEDS="1 2 3 4 5 6" (needs root)
	@PYTHONPATH=tests $(BIN)/python -m chaos.run --minutes $(MINUTES) --seed $(SEEDS)

RUNS ?= 20
bench: $(READY) programs  ## every benchmark that has rows: build/bench; RUNS=20, ONLY=scale,curves (needs root)
	@PYTHONPATH=tests $(BIN)/python -m bench.suite --runs $(RUNS) --only "$(ONLY)"

kube: $(READY) programs  ## the tests against a real API server
	@$(PYTEST) tests/kube -q

lab: $(READY) programs image  ## a three-node cluster with the chart installed, left running
	@PYTHONPATH=tests $(BIN)/python -m lab.demo --keep --no-story

lab-down: $(READY)  ## take it down
	@$(LAB) down --name demo

golden: $(READY) programs  ## write the golden files anew
	@$(PYTEST) tests/unit -q --golden

image: $(READY) programs  ## build/bellmetal-VERSION.tar: the container image, for docker load or ctr import
	@PYTHONPATH=tests $(BIN)/python -m lab.make_image build

sbom: $(READY) programs  ## build/bellmetal-VERSION.cdx.json: the packages in the image, and what takes room in it
	@PYTHONPATH=tests $(BIN)/python -m lab.sbom build

audit: $(VENV)/audit/ready  ## the image's Python packages against known vulnerabilities (asks a service on the internet)
	@PYTHONPATH=tests $(BIN)/python -m lab.audit $(VENV)/audit/bin/pip-audit

chart: $(READY) programs  ## build/bellmetal-VERSION.tgz: the chart
	@PYTHONPATH=tests $(BIN)/python -m lab.chart build

IMAGE ?= bellmetal
manifests: $(READY) programs  ## build/bellmetal-VERSION.yaml: the chart for kubectl apply; IMAGE=registry.example/bellmetal
	@PYTHONPATH=tests $(BIN)/python -m lab.manifests build $(IMAGE)

clean:  ## what was built here; the lab's cache outside stays
	@rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: programs
programs: $(READY)  # the cluster's own programs: minutes the first time, then found again
	@$(LAB) build

$(VENV)/fuzz-ready: $(READY) constraints-fuzz.txt
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r constraints-fuzz.txt
	touch $@

$(VENV)/audit/ready: $(READY) constraints-audit.txt
	@$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r constraints-audit.txt
	touch $@

$(READY): pyproject.toml constraints.txt
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then
	  echo "installing Debian's python3-venv"
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv; } >/dev/null
	fi
	echo "installing the Python packages into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r constraints.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
