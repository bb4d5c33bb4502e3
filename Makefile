# Two commands matter: `make demo` and `make test`. Both set everything up in .venv first; what that says is on standard error,
# so that standard output is the command's alone (`make demo ARGS="--headless --json"`).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DETECTORS := stream_jobs/tallystick_stream_jobs/detectors
COMPILED := $(VENV)/.compiled
ARGS ?=
# Files of tests run beside each other, unit tests last: they fill what waits leave. What grades seconds runs alone, or would fail on what is only slow.
WORKERS ?= 3

.PHONY: help install demo test lint bench audit lock clean picture

help: ## Show the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install: $(STAMP) $(COMPILED) ## Make .venv with everything, pinned by hash, and compile the detectors

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Tallystick needs Python 3.11 or newer; set PYTHON=python3.11")'
	@echo 'Making $(VENV): some 190 packages (2 GB on disk), then the detectors are compiled. This takes 2 to 10 minutes and says little meanwhile.' >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . >&2
	@touch $@

# Needs a C compiler and says so where there is none; rules that changed since run as they are written.
$(COMPILED): $(STAMP) $(wildcard $(DETECTORS)/*.py)
	@$(BIN)/python -m tallystick_infra.compiling >&2
	@touch $@

demo: install ## A theft, start to finish, on real parts
	@$(BIN)/tallystick demo $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: install lint ## Lint, then every test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not alone" $(ARGS)
	$(BIN)/pytest -m alone $(ARGS)

bench: install ## Measure this machine
	@$(BIN)/tallystick bench $(ARGS)

picture: install ## The README's pictures of the console
	$(BIN)/python -m tallystick_infra.demo.picture docs

audit: install ## Bill of materials (dist/sbom.cdx.json), and known vulnerabilities of what is locked; ADVISORIES=PATH asks OSV records on disk
	@$(BIN)/python -m tallystick_infra.supply $(if $(ADVISORIES),--advisories "$(ADVISORIES)") $(ARGS)

lock: install ## Renew requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --all-extras --no-header --no-annotate --python-version 3.11 --quiet --upgrade pyproject.toml -o requirements.lock

clean: ## Remove what make made
	rm -rf $(VENV) $(DETECTORS)/_compiled .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
