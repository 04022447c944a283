# Tests run in three processes, also on two processors: they often wait.
# Each target sets up what it needs: a virtual environment with the project and its tools, in .venv.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

SOURCES := $(shell find src -name '*.py')

.PHONY: help demo test check docs fuzz crash bench wheel clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Twotick needs Python 3.11 or later with its venv module: install it, or name it with 'make PYTHON=...'"; exit 1; }
	@echo "setting up .venv (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable . --group dev
	@touch $@

demo: .venv/.installed  ## a server, a friend who answers, and you
	@$(BIN)/twotick demo

check: .venv/.installed  ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

test: check  ## every check and every test; those of the message path once more with it compiled
	$(BIN)/pytest -n 3
	@command -v cc >/dev/null || { echo "there is no C compiler (cc): the compiled message path is not tested"; exit 0; } && \
	$(MAKE) --no-print-directory build/compiled/.made && \
	set -x && PYTHONPATH=build/compiled $(BIN)/pytest -n 3 tests/wire tests/exchange tests/store tests/server

wheel: build/wheel/.made  ## the package for machines like this one, with the message path compiled, in build/wheel/
	@ls build/wheel/*.whl

# From a copy of the source: compiled modules beside the source would be imported instead of it, also after it has changed.
build/wheel/.made: .venv/.installed $(SOURCES)
	@echo "compiling the message path ..."
	@rm -rf build/wheel build/source && mkdir -p build/source
	@cp -R src pyproject.toml README.md LICENSE build/source
	@HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps \
		--wheel-dir build/wheel ./build/source
	@touch $@

build/compiled/.made: build/wheel/.made
	@rm -rf build/compiled
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --target build/compiled build/wheel/*.whl
	@touch $@

docs: .venv/.docs  ## the documentation as a site, in build/site/; a broken link is an error
	@rm -rf build/pages && mkdir -p build/pages
	@cp -R README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE docs examples build/pages
	@$(BIN)/zensical build --clean --strict

.venv/.docs: .venv/.installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --group docs
	@touch $@

fuzz: .venv/.installed  ## a minute of bytes of any kind for the parser
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --group fuzz
	@mkdir -p build/fuzz/corpus
	$(BIN)/python fuzz/fuzz_parser.py -max_total_time=60 -max_len=4096 -artifact_prefix=build/fuzz/ build/fuzz/corpus

bench: .venv/.installed  ## measure every figure of docs/performance.md again, or only those of PART=relay
	@$(BIN)/python bench/install.py
	$(BIN)/python bench/report.py $(PART)

bench/build/load: $(wildcard bench/load/*.c bench/load/*.h)
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -o $@ $(filter %.c,$^)

crash: .venv/.installed  ## kill a server 200 times under load, and look whether it kept its promises
	$(BIN)/python -m tests.simulation.crash --crashes 200

clean:  ## remove what the other targets made
	rm -rf .venv build dist bench/build
