# `make` alone prints this list. Everything is installed by the targets that need it.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit fuzz kube lab-tests lab lab-down golden image chart clean

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
	$(PYTEST) tests/kube tests/lab -q

lint: $(READY)  ## style, and who may import whom
	@$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/lint-imports --no-logo 2>&1 | tail -n 3

types: $(READY)  ## mypy, strict
	@$(BIN)/mypy operator announcers

unit: $(READY)  ## the fast tests alone, seconds
	@$(PYTEST) tests/unit tests/property -q

SECONDS ?= 60
fuzz: $(VENV)/fuzz-ready  ## coverage-guided fuzzing for SECONDS=60, of TARGETS=all
	@PYTHONPATH=tests $(BIN)/python -m fuzz.run --seconds $(SECONDS) $(TARGETS)

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

chart: $(READY) programs  ## build/bellmetal-VERSION.tgz: the chart
	@PYTHONPATH=tests $(BIN)/python -m lab.chart build

clean:  ## what was built here; the lab's cache outside stays
	@rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: programs
programs: $(READY)  # the cluster's own programs: minutes the first time, then found again
	@$(LAB) build

$(VENV)/fuzz-ready: $(READY) constraints-fuzz.txt
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r constraints-fuzz.txt
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
