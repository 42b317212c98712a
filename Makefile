# Needs make and Python 3.11 or newer. Another interpreter: make test PYTHON=python3.13
PYTHON ?= python3
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt --editable
DEMO_READY := $(VENV)/.demo-ready
DOCS_READY := $(VENV)/.docs-ready
TEST_READY := $(VENV)/.test-ready

.DELETE_ON_ERROR:
.PHONY: demo test bench docs simulations-quick simulations lint clean

demo: $(DEMO_READY)
	$(BIN)/python -m moegate.demo

test bench simulations-quick simulations: export OPENBLAS_NUM_THREADS = 1
test bench simulations-quick simulations: export OMP_NUM_THREADS = 1
test bench simulations-quick simulations: export MKL_NUM_THREADS = 1

test: $(TEST_READY)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pytest -n $(WORKERS)

bench: $(TEST_READY)
	$(BIN)/python -m pytest benchmarks --benchmark-only

# Warnings and dead links are errors. Runs the notebooks that have changed (all ten: 2 to 3 minutes); DOCS_EXECUTION=off runs none.
docs: export DOCS_EXECUTION ?= cache
docs: $(DOCS_READY)
	$(BIN)/python -m sphinx -E -a -W --keep-going -b html docs docs/_build/html
	$(BIN)/python -m pytest -q tests/test_docs.py -k built

simulations-quick: $(TEST_READY)
	$(BIN)/python -m simulations all --quick --workers $(WORKERS)

# Hours; goes on where it was stopped.
simulations: $(TEST_READY)
	$(BIN)/python -m simulations all --workers $(WORKERS)

lint: $(TEST_READY)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

clean:
	rm -rf docs/_build docs/generated docs/guide/*.ipynb docs/performance.md demo build dist .benchmarks .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Nothing is installed again until one of these two files changes.
$(DEMO_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing moegate into $(VENV) (once, about a minute)"
	$(PIP) '.[progress]'
	@touch $@

# The development install holds all that the demo needs.
$(TEST_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing moegate and its development tools into $(VENV) (once, about a minute)"
	$(PIP) '.[dev,progress]'
	@touch $@ $(DEMO_READY)

$(DOCS_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing moegate and its documentation tools into $(VENV) (once, about a minute)"
	$(PIP) '.[dev,progress,docs]'
	@touch $@ $(TEST_READY) $(DEMO_READY)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit("moegate needs Python 3.11 or newer, but $(PYTHON) is %d.%d; name another one: make PYTHON=python3.13" % v[:2] if v < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
