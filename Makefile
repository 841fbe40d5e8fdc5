# Commands of this checkout. Each makes what it needs first: `make run` and `make test` work on a fresh machine with
# Python, make and a C library.

# The interpreter to build .venv with; looked for when empty.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
# Written last, so that an interrupted install starts again. They hold this folder's path: scripts in .venv/bin do too,
# so a checkout that was moved needs them anew.
INSTALLED := $(VENV)/.installed
INSTALLED_FOR_TESTS := $(VENV)/.installed-for-tests
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input

export PIP_REQUIRE_VIRTUALENV := 1
# Images of containers often set this; every start would compile the whole project again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test bench lint format requirements clean broken

help:
	@echo 'make run           start everything (PORT, DATA_DIR, DATABASE_URL, REDIS_URL: see README.md)'
	@echo 'make test          run the whole test suite'
	@echo 'make bench         measure what admission, jobs, flush and peers cost; write docs/benchmarks.md'
	@echo 'make lint          check style, types and the direction of imports'
	@echo 'make format        rewrite the code in the house style'
	@echo 'make requirements  compile requirements.in to requirements.txt'
	@echo 'make clean         remove .venv; your data stays'

# exec leaves no shell between make and the launcher: a signal to make reaches it. --with-parent: it also ends when make
# is killed.
run: $(INSTALLED)
	@exec $(BIN)/python -m worker.launcher --with-parent

# Neighbouring tests stay with one worker, which starts a browser or a cluster for all of them; who is done takes from others.
test: $(INSTALLED_FOR_TESTS)
	$(BIN)/python -m pytest -n auto --dist worksteal

# wrk is wanted (Debian, Ubuntu: apt install wrk), and Node with npm for one of the peers; without them their rows are left
# out. The peers are installed below bench/.
bench: $(INSTALLED)
	$(BIN)/python -m bench
	$(BIN)/python -m bench.router

lint: $(INSTALLED_FOR_TESTS)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive config.py wsgi.py webapp worker

format: $(INSTALLED_FOR_TESTS)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# A universal lock file: the same versions on every platform and Python that we support, each with its hashes. It names
# everything that is needed, so pip is told to look for nothing besides (--no-deps above): overrides.txt leaves some out.
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

requirements: $(INSTALLED)
	@$(PIP) install uv
	$(UV_COMPILE) --override overrides.txt requirements.in --output-file requirements.txt
	cd tests && ../$(UV_COMPILE) requirements.in --output-file requirements.txt

clean:
	rm -rf $(VENV)

# Whether .venv was made in this folder by a Python that is still there.
ifneq ($(shell test "$$(cat $(INSTALLED) 2>/dev/null)" = "$$(pwd -P)" && $(BIN)/python -c 'print("works")' 2>/dev/null),works)
$(INSTALLED): broken
endif

# A prerequisite that is never up to date.
broken:

# Prints the first usable Python. 3.11 to 3.13 come first: every dependency has a wheel for them. Each candidate is run:
# a pyenv shim exists even for a version that is not selected.
define FIND_PYTHON
supported='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; \
new_enough='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'; \
candidates='$(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python)'; \
find_python() { \
	for check in "$$supported" "$$new_enough"; do \
		for candidate in $$candidates; do \
			if "$$candidate" -c "$$check" >/dev/null 2>&1; then echo "$$candidate"; return; fi; \
		done; \
	done; \
}; \
is_new_without_venv() { \
	for candidate in $$candidates; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then return 0; fi; \
	done; \
	return 1; \
}
endef

$(INSTALLED): requirements.txt
	@$(FIND_PYTHON); \
	python=$$(find_python); \
	if [ -z "$$python" ] && is_new_without_venv; then \
		echo 'This Python cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python3-venv).' >&2; \
		exit 1; \
	elif [ -z "$$python" ]; then \
		echo 'Upcube Quantum needs Python 3.11 or newer: $(if $(PYTHON),$(PYTHON) is not one,none was found); name one as in: make run PYTHON=/path/to/python3.' >&2; \
		exit 1; \
	fi; \
	echo 'Installing dependencies (first start only) …'; \
	"$$python" -m venv --clear $(VENV) || \
		{ echo 'The virtual environment .venv could not be made; the lines above say why.' >&2; exit 1; }; \
	$(PIP) install --no-deps --require-hashes --requirement requirements.txt || \
		{ echo 'The dependencies could not be installed; the lines above say why.' >&2; exit 1; }; \
	pwd -P > $@

$(INSTALLED_FOR_TESTS): $(INSTALLED) tests/requirements.txt
	@echo 'Installing the tools of the tests …'; \
	$(PIP) install --no-deps --require-hashes --requirement tests/requirements.txt || \
		{ echo 'The tools of the tests could not be installed; the lines above say why.' >&2; exit 1; }; \
	touch $@
