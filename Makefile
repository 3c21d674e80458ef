# The README's commands. Everything they need is set up by themselves: Python 3.11 with venv, a network to PyPI.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# Modules are compiled once, also where the environment forbids it: a process starts in a third of the time.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: up check test faults pictures lock servers clean

up: $(VENV)/.runtime
	@exec $(BIN)/tocsin up --demo $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_house.py tests/test_docs.py

# Real processes, sockets and seconds on two shared cores: what failed beside other tests is tried once more, alone.
test: $(VENV)/.dev servers
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder tests \
	  || { echo "once more, alone:"; $(BIN)/pytest -q --last-failed --last-failed-no-failures none tests; }

# TOCSIN_FAULT_SEED=107 make faults: the run that this seed stands for, again.
faults: $(VENV)/.dev
	@tests/install_servers.sh strace gcc
	$(BIN)/pytest -q -s tests -m faults

# The README's pictures, anew: a demo hub is filled and its screens are visited.
pictures: $(VENV)/.dev servers
	$(BIN)/python -m tests.e2e.pictures

# uv installs the hashed files in seconds; plain `pip install --require-hashes -r requirements.txt` does the same.
$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9

$(VENV)/.runtime: requirements.txt pyproject.toml | $(VENV)/bin/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@$(BIN)/python -m compileall -q -x '/[.]venv/' .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

# Real servers for the tests; where they may not be installed the tests say what is missing.
servers:
	@tests/install_servers.sh

lock: $(VENV)/bin/uv
	$(BIN)/uv lock
	$(BIN)/uv export --quiet --frozen --no-dev --no-emit-project -o requirements.txt
	$(BIN)/uv export --quiet --frozen --no-emit-project -o requirements-dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis data
