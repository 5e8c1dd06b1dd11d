# make demo and make test work in a fresh clone; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
CLIENT := js/client
STAMPS := $(VENV)/.stamps
CODE := $(wildcard src tests bench scripts examples)
HOST ?= 127.0.0.1
PORT ?= 7860
PYTEST_ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# An environment that was moved with its checkout, or whose Python is gone, is made anew.
$(shell [ ! -e $(STAMPS)/venv ] || { [ "$$(cat $(STAMPS)/venv)" = "$(CURDIR)" ] && $(BIN)/python -c ''; } 2>/dev/null \
  || rm -rf $(VENV))

.NOTPARALLEL:

.PHONY: help demo install dev test check check-python check-js format pytest programs docs bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: install ## speak to a Python function on http://127.0.0.1:7860 (PORT=... for another port)
	@exec $(BIN)/fastrtc demo --host $(HOST) --port $(PORT)

install: $(STAMPS)/install ## the package, in .venv

dev: $(STAMPS)/dev ## the package and what its tests need, in .venv

test: dev programs ## every check and every test
	@failed=; \
	$(MAKE) --no-print-directory --keep-going check || failed="the checks"; \
	$(MAKE) --no-print-directory pytest || failed="$${failed:+$$failed and }the tests"; \
	[ -z "$$failed" ] || { echo "make test: $$failed failed" >&2; exit 1; }

check: check-python check-js ## style, types, layers, the browser client's own checks

pytest: $(STAMPS)/dev ## every Python test (PYTEST_ARGS="-k name" for some)
	@scripts/run_tests $(BIN)/python $(PYTEST_ARGS)

check-python: $(STAMPS)/dev
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/test_layers.py --require-tests

check-js:
	@scripts/check_js $(CLIENT)

format: $(STAMPS)/dev ## rewrite the Python code in the project's style
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

programs:
	@scripts/install_programs

docs: $(STAMPS)/dev ## the documentation, into site/
	@$(BIN)/python scripts/api_table.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Read it with: $(BIN)/python -m http.server --directory site 8000"

bench: $(STAMPS)/dev ## every figure, into bench/out/*.json
	@scripts/run_benches $(BIN)/python

clean: ## remove what make made (the environment, caches, results)
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis dist site bench/out $(CLIENT)/node_modules
	find src tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/venv:
	@scripts/make_venv $(VENV)
	@mkdir -p $(STAMPS) && printf '%s' "$(CURDIR)" > $@

$(STAMPS)/install: pyproject.toml | $(STAMPS)/venv
	@echo "Installing fastrtc into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(STAMPS)/dev: pyproject.toml | $(STAMPS)/venv
	@echo "Installing fastrtc and what its tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(STAMPS)/install
