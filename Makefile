# Everything runs in .venv, which `make install` makes and every other target makes when it is missing or out of date.
# Needs make and a Python of 3.11 or later; choose one with `make install PYTHON=python3.13`.

PORT ?= 8080
PROFILE ?= default
STORE ?= sqlite
MINUTES ?= 10
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
INSTALLED := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test soak soak-stores lint format bench bench-http docs pictures clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with Palaver, its extras and the tools
	@echo "$(VENV) is ready"

run: $(INSTALLED) ## Serve the HTTP API on 127.0.0.1 (PORT=8080)
	$(BIN)/palaver serve --host 127.0.0.1 --port $(PORT)

test: $(INSTALLED) ## Run all tests (PROFILE=default|ci|soak, PYTEST_ARGS=...)
	$(PY) -m pytest -n auto --hypothesis-profile=$(PROFILE) $(PYTEST_ARGS)

soak: $(INSTALLED) ## Try every combination of cuts of every history, and wires on many random ones (an hour or so)
	$(PY) -m pytest -n auto -m "soak or not soak" --timeout=7200 --hypothesis-profile=soak \
		tests/corpus tests/properties/test_wires.py tests/e2e/test_promises.py \
		tests/conformance/test_stores.py tests/unit/test_any_moment.py $(PYTEST_ARGS)

soak-stores: $(INSTALLED) ## Everything at once on a store, with faults, against a model (STORE=sqlite, MINUTES=10)
	@$(PY) -m tests.soak --store '$(STORE)' --minutes $(MINUTES)

lint: $(INSTALLED) ## Check style, format and types, and change nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright

format: $(INSTALLED) ## Mend style and format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(INSTALLED) ## Run the benchmarks and print their figures (STORE=sqlite|memory|jsonl|postgresql|URL)
	@$(PY) -m bench --store '$(STORE)'

bench-http: $(INSTALLED) ## Measure the server beside the library (needs wrk)
	$(PY) -m bench.http

docs: $(INSTALLED) ## Check the documentation: its code runs, its links lead somewhere
	$(PY) -m pytest tests/docs $(PYTEST_ARGS)

pictures: $(INSTALLED) ## Take the pictures of the inspector in docs/images anew
	$(PY) -m tests.inspector.pictures docs/images

clean: ## Remove .venv and everything else that can be made again
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate is run, not only looked for: shims of version managers exist for versions that are not installed.
# A .venv without a working pip is what is left where the venv module was incomplete; it is made anew.
$(INSTALLED): pyproject.toml
	@set -e; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
		for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
			if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "Palaver needs Python 3.11 or later; tried: $(or $(PYTHON),python3 and python3.14 to python3.11)." >&2; \
			echo "Install one, or name one: make install PYTHON=/path/to/python3.13" >&2; exit 1; \
		fi; \
		echo "Making $(VENV) with $$found ($$("$$found" --version))"; \
		"$$found" -m venv --clear $(VENV); \
	fi
	@echo "Installing (a minute or two, once)"
	$(PY) -m pip install --quiet --editable '.[server,upstream,postgres,prices,tokens,tokens-mistral,dev]'
	@touch $@
