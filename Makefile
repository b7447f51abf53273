# Every target makes what it needs. Nothing but Python >= 3.11 and make is
# expected; uv is used where it is there.

SHELL := /bin/sh
VENV := .venv
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v $$p; break; }; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := $(VENV)/bin
JOBS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-browser backends check format bench test-lowest test-gemini-legacy frameworks \
	constraints frameworks-constraints clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-23s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## set up, and run an eval of two agents, offline
	@$(BIN)/hudtrace demo

test: $(VENV)/.test  ## set up, and run the tests
	$(BIN)/python -m pytest -n $(JOBS) -q -rs $(ARGS)

test-slow: $(VENV)/.test  ## run the tests that take long, one at a time
	$(BIN)/python -m pytest -q -m slow --timeout 900 $(ARGS)

backends:  ## build a real Jaeger and collector for the tests (needs Go, once)
	@tools/backends/build.sh

check: $(VENV)/.check  ## lint, format check and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.check  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test  ## print the benchmark tables (half an hour)
	$(BIN)/python -m benchmarks.spans
	$(BIN)/python -m benchmarks.episodes
	$(BIN)/python -m benchmarks.imports
	$(BIN)/python -m benchmarks.calls
	$(BIN)/python -m benchmarks.queries
	$(BIN)/python -m benchmarks.server
	$(BIN)/python -m benchmarks.viewer

test-browser: $(VENV)/.test  ## run the tests of the viewer's pages in a real Chromium
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -q -rs -m browser $(ARGS) tests/browser

test-lowest:  ## run the tests with the oldest dependencies that are allowed
	@$(MAKE) --no-print-directory VENV=.venv-lowest CONSTRAINTS=constraints/lowest.txt \
		GROUPS=test test

test-gemini-legacy: $(BIN)/python  ## test google.generativeai, in an environment of its own
	@tools/gemini_legacy.sh $(BIN)/python
	@$${XDG_CACHE_HOME:-$$HOME/.cache}/hudtrace/gemini-legacy/bin/python -m pytest -q -rs tests/legacy_gemini $(ARGS)

frameworks:  ## test agent frameworks (SET=name for one set, ARGS for pytest, UPDATE=1)
	@$(PYTHON) tools/frameworks.py run $(SET) $(if $(UPDATE),--update) $(if $(ARGS),-- $(ARGS))

frameworks-constraints:  ## compile the exact versions of frameworks (SET=name; needs uv)
	@$(PYTHON) tools/frameworks.py compile $(SET)

constraints: EXTRAS = --extra openai --extra anthropic --extra google --extra server --extra view
constraints:  ## compile the exact versions that the tests use (needs uv)
	@test -n "$(UV)" || { echo "make constraints needs uv: pip install uv" >&2; exit 1; }
	uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url $(EXTRAS) --group check --group browser pyproject.toml -o constraints/test.txt
	uv pip compile -q --universal --python-version 3.11 --no-header --no-annotate \
		--no-emit-index-url $(EXTRAS) --group test --resolution lowest-direct \
		pyproject.toml -o constraints/lowest.txt

clean:  ## remove what the other targets made
	rm -rf .venv .venv-lowest dist build .pytest_cache .mypy_cache .ruff_cache

# Environments -----------------------------------------------------------------

CONSTRAINTS ?= constraints/test.txt
GROUPS ?= test instrumentors fuzz browser
ifneq ($(UV),)
INSTALL = VIRTUAL_ENV=$(CURDIR)/$(VENV) uv pip install -q
else
INSTALL = $(BIN)/python -m pip install -q --disable-pip-version-check
endif

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "hudtrace needs Python 3.11 or newer, and none was found; \
	install one (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python" >&2; exit 1; }
ifneq ($(UV),)
	@uv venv -q --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "the venv module of $(PYTHON) does not work; \
	install it (Debian: apt install python3-venv)" >&2; exit 1; }
endif

$(VENV)/.demo: pyproject.toml constraints/test.txt | $(BIN)/python
	@echo "setting up $(VENV) …" >&2
	@$(INSTALL) -c $(CONSTRAINTS) -e '.[openai,view]'
	@touch $@

$(VENV)/.test: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "setting up $(VENV) for tests …" >&2
	@$(INSTALL) -c $(CONSTRAINTS) -e '.[openai,anthropic,google,server,view]' $$($(BIN)/python tools/group.py $(GROUPS))
	@touch $@ $(VENV)/.demo

$(VENV)/.check: $(VENV)/.test
	@$(INSTALL) -c $(CONSTRAINTS) $$($(BIN)/python tools/group.py check)
	@touch $@
