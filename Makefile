# The first call of a target makes its environment; later calls find it and are quick.
# Needs Python 3.11 or newer with pip. To use another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
# Test processes side by side: two suit the smallest machine that the tests are meant for; a third makes lines that pass
# in their own time late. They take files in their order: sorted by their number of tests, those with one long test
# would come last.
WORKERS ?= 2
PYTEST_ARGS ?=
# Set it to run those too that take minutes each.
LONG ?=
# How long `make soak` takes, seconds.
SOAK_S ?= 3600
# One shift of the machining line, MPC against its simplest rivals.
RUN ?= run --plant machining_line --emulate --lockstep --shift 8h --seed 4 \
	--compare mpc,fixed,always_on

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench
INTEROP := tests/interop/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help install run test check bench soak docs interop clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | \
		while IFS='|' read -r target text; do printf '%-16s%s\n' "$$target" "$$text"; done

install: $(CORE) ## make the environment in .venv with what `make run` needs

run: $(CORE) ## run one shift on the emulated machining line and compare controllers
	$(BIN)/python -m twin.cli $(RUN)

test: $(DEV) interop ## run the tests; LONG=1 for all of them
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(if $(LONG),,-m "not long") $(PYTEST_ARGS)

check: $(DEV) ## lint, format, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict twin controllers
	$(BIN)/lint-imports --no-logo

bench: $(BENCH) ## measure the loop; prints JSON, and names the other benchmarks
	@$(BIN)/python -m benchmarks.loop --json
	@echo "also: $(BIN)/python -m benchmarks.NAME --json with anchors (the twin against theory)," \
		"engine (its speed), rl (that of training), writes (what leaves the guard), attach (its outlooks), identify (what records tell), mpc (solvers), line_layer (plans), pairing (the same luck), policy_inference (how fast policies answer)," \
		"standby (simple policies), opcua (the link)" >&2

soak: $(BENCH) ## an hour at 1,000 tags, cut off each minute; SOAK_S=240 for less
	@$(BIN)/python -m benchmarks.soak --json --seconds $(SOAK_S)

docs: $(DEV) ## run the code blocks of README.md and docs/
	$(BIN)/python -m pytest -q tests/docs

interop: ## install the independent OPC UA stack of the interoperability tests
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(INTEROP); else \
		echo "note: there is no npm: the tests with node-opcua will skip" >&2; fi

clean: ## remove the environment, builds and caches; runs/ stays
	rm -rf $(VENV) build dist *.egg-info tests/interop/node_modules
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './runs/*' -prune -exec rm -rf {} +

$(CORE): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(DEV): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $@ $(CORE)

# By the lock file, and without running anything of what is installed.
$(INTEROP): tests/interop/package.json tests/interop/package-lock.json
	npm ci --prefix tests/interop --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(BENCH): $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install --quiet -c constraints.txt -e '.[bench]'
	@touch $@ $(CORE)

# Some systems ship venv without ensurepip: then the interpreter's own pip fills the environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: $(PYTHON) is missing or older than Python 3.11." \
			"Install a newer one, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		rm -rf $(VENV); \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; } || { \
		rm -rf $(VENV); \
		echo "error: $(PYTHON) cannot make the environment $(VENV):" \
			"it needs its venv module, and pip 22.3 or newer." >&2; exit 1; }
