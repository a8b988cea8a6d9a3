# `make demo` and `make test` set everything up on a fresh machine (Python 3.11 or later, git, make).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo figures sweeps-small test test-slow test-extras setup clean
setup: $(VENV)/.ready

# torch comes first and pinned: a looser request lets pip replace a CPU build by gigabytes of CUDA.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

demo: setup
	$(BIN)/sbp run experiments/demo.toml

figures: setup
	$(BIN)/sbp figures

# Every sweep in a small version, one after the other: about half an hour of one core, resumable.
sweeps-small: setup
	for file in experiments/sweep-*-small.toml experiments/arms-small.toml; do $(BIN)/sbp run $$file || exit; done

test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not network and not extras"

test-slow: setup
	$(BIN)/python -m pytest -m "(slow or network) and not extras"

test-extras: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 --editable '.[hub,text,eval,cluster]'
	$(BIN)/python -m pytest -m extras

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .hypothesis
