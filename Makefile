# Two commands matter: `make demo` and `make test`. Both set everything up in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
# Files of tests run beside each other, unit tests last: they fill what waits leave. What grades seconds runs alone, or would fail on what is only slow.
WORKERS ?= 3

.PHONY: help install demo test lint bench lock clean picture

help: ## Show the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## Make .venv with everything, pinned by hash

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tallystick needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## A theft, start to finish, on real parts
	$(BIN)/tallystick demo $(ARGS)

lint: install ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Lint, then every test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone" $(ARGS)
	$(BIN)/pytest -m alone $(ARGS)

bench: install ## Measure this machine
	$(BIN)/tallystick bench $(ARGS)

picture: install ## The README's pictures of the console
	$(BIN)/python -m tallystick_infra.demo.picture docs

lock: install ## Renew requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --all-extras --no-header --no-annotate --python-version 3.11 --quiet --upgrade pyproject.toml -o requirements.lock

clean: ## Remove what make made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
