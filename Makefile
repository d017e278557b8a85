# Every target makes .venv first when it is missing or older than pyproject.toml or constraints.txt.
#
#   PYTHON       the interpreter to make .venv with (3.11 or newer)
#   TORCH_INDEX  a package index to take torch from, e.g. https://download.pytorch.org/whl/cu130

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
TORCH_INDEX ?=
TORCH := torch==2.13.0
CPU_INDEX := https://download.pytorch.org/whl/cpu
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
STAMP := .venv/.installed
# A file's tests share what they set up, and most of the slow ones wait.
PARALLEL := -n auto --dist loadfile

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(STAMP) ## build a small model and improve it over three rounds on this machine
	@$(BIN)/roundhouse demo

test: $(STAMP) ## the fast tests, and how much of lib they reach (at least 90 %)
	@$(BIN)/python -m pytest -q $(PARALLEL) -m "not slow and not gpu" --cov --cov-fail-under=90 --cov-report=term:skip-covered

test-slow: $(STAMP) ## the slow tests: real kills, servers, whole campaigns
	@$(BIN)/python -m pytest -q $(PARALLEL) -m "slow and not gpu"

test-all: test test-slow ## every test that needs no GPU

check: $(STAMP) ## format, lint, types, import contracts, size budget
	@$(BIN)/ruff format --check --quiet . || { echo "make check: run '$(BIN)/ruff format .'" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/test_layout.py

bench: $(STAMP) ## every measurement of bench/, in its quick form
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python "$$script" --quick || exit 1; done

clean: ## remove .venv and caches; data/ stays
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench/out
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp goes first and comes back last, so an install that was cut off is never taken for a finished one.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "make: '$(PYTHON)' is missing or older than Python 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "make: $(PYTHON) has no venv module; install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "making .venv (a few minutes; once)"
	@rm -f $(STAMP)
	@$(PYTHON) -m venv .venv
	@$(install_torch)
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

# Plain PyPI serves the CUDA build for Linux, several GB, so without an NVIDIA GPU torch's own CPU index is tried first. Where
# it cannot be reached (a closed network with a wheel folder or a mirror set up for pip), plain pip decides.
GET := import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=10)
define install_torch
index='$(TORCH_INDEX)'; \
if [ -z "$$index" ] && [ "$$(uname)" = Linux ] && ! command -v nvidia-smi >/dev/null \
  && $(BIN)/python -c '$(GET)' $(CPU_INDEX)/torch/ 2>/dev/null; then index=$(CPU_INDEX); fi; \
$(PIP) $${index:+--index-url "$$index"} $(TORCH)
endef

.PHONY: help demo test test-slow test-all check bench clean
