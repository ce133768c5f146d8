# What a contributor runs, and CI the same: Python 3.11 or newer and make are enough, `make setup` brings the rest.

.DEFAULT_GOAL := help
.PHONY: help setup demo test check faults bench bench-all screenshots lock clean
.DELETE_ON_ERROR:

BIN := .venv/bin
UV := .boot/bin/uv
SOURCES := schemas processors sinks api runtime
# The oldest first: it is the one that CI runs. `make setup PYTHON=/path/to/python` takes another.
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	$(if $(UPGRADE),--upgrade)

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST)

setup: .venv/compiled  ## make .venv with everything in it, every hash verified, and afterword itself

demo: .venv/compiled  ## real conversations through the whole stack on this machine, then the summary
	@$(BIN)/afterword demo $(ARGS)

test: check  ## check, then all tests with branch coverage; ARGS="-k closes" goes to pytest
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder \
		$(addprefix --cov=,$(SOURCES)) --cov-branch --cov-report=term:skip-covered $(ARGS)

check: .venv/compiled  ## lint, format, types, and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

faults: .venv/compiled  ## the whole fault laboratory on Apache Kafka, over an hour; ARGS="--list", "--only NAME", "--seed N"
	$(BIN)/python -m tests.faults $(ARGS)

# What both end with needs no contenders: how long labels and events take, and what pages of Learning take.
define BESIDE_THE_CONTENDERS
	$(BIN)/python -m bench.label_latency
	$(BIN)/python -m bench.event_latency
	$(BIN)/python -m bench.learning_page
endef

bench: .venv/compiled .venv-bench/installed  ## measure events/s, CPU and memory beside other Python on Apache Kafka; ARGS go to the bench
	$(BIN)/python -m bench $(ARGS)
	$(BESIDE_THE_CONTENDERS)

bench-all: .venv/compiled .venv-bench/installed  ## the same with 3,000,000 events, and beside Kafka Streams and Flink: over an hour
	$(BIN)/python -m bench --all --events 3_000_000 $(ARGS)
	$(BESIDE_THE_CONTENDERS)

screenshots: .venv/compiled  ## the pictures of the README, from a simulated shop; ARGS="FOLDER" gets all of them
	@$(BIN)/python -m tests.browser.chromium
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

# Beside what pyproject.toml names: what it is built with, and editables, which hatchling asks for in an editable install.
lock: .boot/installed  ## write the lock files anew from pyproject.toml and bench/requirements.in; UPGRADE=1 takes newer versions
	@.boot/bin/python -c 'import tomllib; \
		print("editables", *tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(COMPILE) --group dev pyproject.toml - --output-file requirements.lock
	@echo uv | $(COMPILE) - --output-file requirements-uv.lock
	@$(COMPILE) bench/requirements.in --output-file bench/requirements.lock

clean:  ## remove all that these targets made, Kafka's jars too; what `afterword up` keeps in .afterword stays
	rm -rf .venv .venv-bench .boot .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage build dist
	rm -f processors/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The installer, in a place of its own, so that .venv holds what the lock names and nothing else.
.boot/installed: requirements-uv.lock
	@test -n "$(PYTHON)" || { echo 'Afterword needs Python 3.11 or newer, and none was found: install it,' \
		'or name it: make setup PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(PYTHON) is not a Python of 3.11 or newer' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make environments: install its' \
		'venv package (Debian and Ubuntu: apt-get install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv --clear .boot
	.boot/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

.venv/installed: requirements.lock pyproject.toml .boot/installed
	$(UV) venv --quiet --clear --python .boot/bin/python .venv
	$(UV) pip sync --quiet --python .venv --require-hashes requirements.lock
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@touch $@

# The hot path in C, where that can be; without it everything works, and costs more.
COMPILED := $(wildcard processors/*.pxd)
.venv/compiled: .venv/installed hatch_build.py $(COMPILED) $(COMPILED:.pxd=.py)
	@$(BIN)/python hatch_build.py && touch $@ || test $$? -eq 3

# Only for the bench, and apart: its packages want other versions of what Afterword stands on.
.venv-bench/installed: bench/requirements.lock .boot/installed
	$(UV) venv --quiet --clear --python .boot/bin/python .venv-bench
	$(UV) pip sync --quiet --python .venv-bench --require-hashes bench/requirements.lock
	@touch $@
