# What a person types. Every target sets up what it needs (.venv, the locked packages, amsctl itself), once.
# PYTHON picks the interpreter (3.11 or newer), WORKERS the number of test workers (one more than two cores have: some tests wait for
# processes), CAMPAIGN how much longer a campaign runs, SEEDS and FROM which seeds of the simulator.

PYTHON   ?= python3
WORKERS  ?= 3
CAMPAIGN ?= 20
SEEDS    ?= 10000
FROM     ?= 0

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/.ready

# Nothing a person has exported may change what is installed or imported, nor make each of the tests' processes compile amsctl anew.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONDONTWRITEBYTECODE PIP_TARGET PIP_PREFIX PIP_USER
export PIP_DISABLE_PIP_VERSION_CHECK := 1

SOURCES := $(wildcard amsctl tests tools benchmarks)

.DEFAULT_GOAL := help
.PHONY: help demo test check lint fix docs bench faults chaos campaign package lock clean

help:
	@echo "make demo      plan and apply an example limits repository against a local stand-in of the AMS"
	@echo "make test      every test, with the coverage gate; campaigns at their small size (500 seeds of the simulator, 5,000 damaged manifests, …)"
	@echo "make check     what CI runs: format, lint, types, import rules, then make test"
	@echo "make lint      make check without the tests"
	@echo "make fix       format the code and mend what the linter can mend"
	@echo "make docs      write docs/reference again from the commands and the schemas"
	@echo "make bench     measure: calls per account, what safety costs, the views of a long plan, then load, plan and apply on four sizes of book"
	@echo "make faults    the fault simulator on SEEDS=$(SEEDS) seeds, from FROM=$(FROM) on (HIDING=1: an AMS that hides sides; make test plays 500)"
	@echo "make chaos     real processes killed, paused and cut off, at every point (make test takes one in nine or so)"
	@echo "make campaign  the tests again with bigger numbers (CAMPAIGN=$(CAMPAIGN) times; takes long)"
	@echo "make package   build the wheel and the source archive, and look into them"
	@echo "make lock      pin the newest allowed packages again (needs uv)"
	@echo "make clean     remove .venv and everything that was built"

demo: $(READY)
	@$(BIN)/amsctl demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term-missing:skip-covered

check: lint test

lint: $(READY)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --config pyproject.toml
	$(BIN)/python tools/check_pipelines.py

fix: $(READY)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs: $(READY)
	$(BIN)/python tools/generate_reference.py

bench: $(READY)
	$(BIN)/python -m benchmarks.calls
	$(BIN)/python -m benchmarks.safety
	$(BIN)/python -m benchmarks.views
	$(BIN)/python -m benchmarks.books

campaign: $(READY)
	AMSCTL_CAMPAIGN=$(CAMPAIGN) $(BIN)/python -m pytest -n $(WORKERS) --timeout=0

faults: $(READY)
	$(BIN)/python -m tests.faults --seeds $(SEEDS) --from $(FROM) --workers $(WORKERS) $(if $(HIDING),--hiding)

chaos: $(READY)
	AMSCTL_CAMPAIGN=$(CAMPAIGN) $(BIN)/python -m pytest -n $(WORKERS) --timeout=0 tests/chaos

# The same commit gives the same bytes: file times are those of the commit.
package: $(READY)
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1767225600) $(BIN)/python -m hatchling build -d dist
	$(BIN)/python tools/check_package.py $(if $(TAG),--tag "$(TAG)")

# uv resolves, for every platform and Python at once; pip installs, and refuses what does not have the recorded hash.
LOCK := uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet
lock:
	@command -v uv >/dev/null || { echo "make lock: uv is not installed (any version from 0.5 will do)" >&2; exit 1; }
	$(LOCK) --output-file requirements/runtime.lock
	$(LOCK) --extra postgresql --output-file requirements/pipeline.lock
	$(LOCK) --group dev --output-file requirements/dev.lock

clean:
	rm -rf $(VENV) dist build htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

# One set-up for every target. The stamp is written last: what was interrupted is done again. The lock is complete, so pip has nothing to resolve
# (--no-deps): older ones go looking for a newer release where a package asks for another with extras, and then refuse it for want of a hash.
$(READY): requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "amsctl needs Python 3.11 or newer, and '$(PYTHON)' is not: $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment (on Debian and Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@rm -f $@
	@echo "Setting up $(VENV), once: this takes half a minute and the time to download."
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --only-binary :all: --requirement requirements/dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@$(BIN)/python -m pip check >/dev/null || { $(BIN)/python -m pip check; exit 1; }
	@touch $@
