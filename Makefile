# Every target sets itself up: Python 3.11 or newer, make and a shell are all it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
ROOT ?= .automations

.DEFAULT_GOAL := help
.PHONY: help up demo test check format docs bench simulate build clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

up: $(VENV)/.run ## Watch automations.d, listen on 127.0.0.1:7391, execute (stop with Ctrl-C)
	@echo "data root: $(ROOT)   status: $(BIN)/automations --dir $(ROOT) status"
	@exec env AUTOMATIONS_WEBHOOK_SECRET_HELLO=$${AUTOMATIONS_WEBHOOK_SECRET_HELLO:-not-a-secret} \
	  $(BIN)/automations-daemon --dir $(ROOT) serve automations.d

demo: $(VENV)/.run ## The tour with an end: edit, signed webhook, two steps, forgery, bad edit, clean stop
	@BIN="$(CURDIR)/$(BIN)" sh tests/e2e/demo.sh

test: $(VENV)/.dev $(VENV)/.yamlls ## Run all tests
	@$(BIN)/python -m pytest -q -n 2

check: $(VENV)/.dev ## Format, lint, types, layers, generated docs
	@$(BIN)/ruff format --check src tests docs
	@$(BIN)/ruff check src tests docs
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python docs/generate.py --check

format: $(VENV)/.dev ## Rewrite formatting, safe lint fixes and generated docs
	@$(BIN)/ruff format src tests docs
	@$(BIN)/ruff check --fix src tests docs
	@$(BIN)/python docs/generate.py

docs: $(VENV)/.dev ## Rewrite docs/reference from the source
	@$(BIN)/python docs/generate.py

bench: $(VENV)/.dev ## Measure our paths beside their floors, in one run
	@PYTHONPATH=tests $(BIN)/python -m benchmarks

simulate: $(VENV)/.dev ## Run the deterministic simulation over many seeds
	@PYTHONPATH=tests $(BIN)/python -m simulation --seeds 1000

build: $(VENV)/.dev ## Build the wheel and the source archive into dist/
	@$(BIN)/python -m pip wheel -q --no-deps -w dist . && ls dist

clean: ## Remove what was built or installed here
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it, or say: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; say: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { echo "could not make a virtual environment; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e . && touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	@echo "installing with the development tools into $(VENV) …"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]' && touch $@ $(VENV)/.run

# The language server that the tests of editors drive; without node and npm they are skipped.
$(VENV)/.yamlls: tests/editors/package-lock.json | $(VENV)/.dev
	@command -v node >/dev/null && command -v npm >/dev/null || exit 0; \
	  rm -rf $@ && mkdir $@ && cp tests/editors/package*.json $@ && \
	  npm ci --prefix $@ --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null && touch $@ || \
	  { rm -rf $@; echo "yaml-language-server could not be installed; its tests are skipped"; }
