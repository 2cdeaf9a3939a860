# make all: the default run, from nothing to tables and figures.  make check: lint, types and quick tests, in less than a minute on two cores.
# make test: all tests and the documentation too, in nine minutes on two cores.  Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
# As many processes as cores, up to four; of a thread each, unless a test says otherwise.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

.PHONY: all install restore check test docs test-gpu lint style types format release-check
.DELETE_ON_ERROR:

all: install
	$(BIN)/snakemake --cores all --quiet rules -- all
	@$(BIN)/molclr show

# A run that was made elsewhere: pulled, verified by hash, known to Snakemake. make restore ONLY="pretrain results": only that.
restore: install
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m workflow.provenance restore $(ONLY)

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("MolCLR needs Python 3.11 or newer; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

check: lint
	$(PYTEST) -m "not workflow and not slow"

test: install
	$(MAKE) --jobs 2 --output-sync=target style types docs
	$(PYTEST)

# The documentation site, into site/. A broken link is an error (not with --quiet, which hides it from --strict).
docs: install
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build --strict

# On a machine with an NVIDIA GPU, PyTorch, pytest and the libraries for training; RDKit, Snakemake and DVC are not needed.
test-gpu:
	PYTHONPATH=. $(PYTHON) -m pytest --numprocesses 4 --dist loadgroup --confcutdir tests/gpu -W default -m gpu tests/gpu

# Before a release: dvc.lock is that of this code and these parameters, so that clones can restore what it names.
release-check: install
	$(BIN)/python -m workflow.provenance check

lint: style types

style: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow
