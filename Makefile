# Each target makes what it needs, such as a virtual environment with the project and its tools in .venv.
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

# Tests often wait, so four processes are quicker than two even on two cores.
PYTEST = $(BIN)/pytest -n $(WORKERS) --dist worksteal
WORKERS := 4
# Other tests run beside these, which hardly wait.
cover compiled: WORKERS := 2

# Tests start hundreds of processes. Without bytecode on disk, each of them would compile the program first.
unexport PYTHONDONTWRITEBYTECODE

SECONDS := 600

QUICK := tests/wire tests/exchange tests/store tests/client
COVERED := wire exchange store
LEAST_COVERAGE := 97

SOURCES := $(shell find src -name '*.py')

.PHONY: help demo quick test other-tests check check-page cover compiled pythons deep docs fuzz fuzz-parser fuzz-server crash crash-cluster crash-page cluster simulate bench wheel quickstart-debian containers clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Twotick needs Python 3.11 or later with its venv module: install it, or name it with 'make PYTHON=...'"; exit 1; }
	@echo "creating .venv ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable . --group dev
	@touch $@

demo: .venv/.installed  ## try it: a server, a friend who answers and you, in the terminal app
	@$(BIN)/twotick demo

# PLR0917 limits positional arguments. Ruff has it as a preview rule only.
check: .venv/.installed  ## check format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLR0917 src
	$(BIN)/pyright
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory check-page

# The page is plain JavaScript, whose types are in comments. Without npm they are checked in CI only.
check-page:
	@if command -v npm >/dev/null; then \
		$(MAKE) --no-print-directory build/node/.installed && build/node/node_modules/.bin/tsc -p tests/web/tsconfig.json; \
	elif test -n "$$TWOTICK_TEST_ALL"; then echo "there is no npm: apt-get install npm"; exit 1; \
	else echo "the types of the page are not checked: there is no npm"; fi

build/node/.installed: Makefile
	@mkdir -p $(@D)
	@npm install --loglevel=error --fetch-retries=5 --no-audit --no-fund --prefix build/node typescript@7.0.2 axe-core@4.14.1
	@touch $@

quick: .venv/.installed  ## run the tests of wire, exchange, store and client with few random examples
	$(PYTEST) --hypothesis-profile=quick $(QUICK)

# Two at once: tests often wait. `cover` runs the tests of what it covers, but for those of great volumes and those with
# random examples: measuring makes them twice as slow. The other tests are these, and all tests of the rest.
# One process compiles them for all: as long as there is no bytecode, each process would compile all tests itself.
test: check  ## run every check and every test, and measure the coverage
	@$(BIN)/pytest --collect-only -qq > /dev/null
	@$(MAKE) --no-print-directory --jobs=2 other-tests cover

other-tests: .venv/.installed
	$(PYTEST) $(COVERED:%=--only-long=tests/%)

cover: .venv/.installed  ## measure the coverage of wire, exchange and store, and fail below 97 %
	@rm -f build/coverage*
	$(PYTEST) --cov --cov-report= -m 'not volume and not hypothesis' $(COVERED:%=tests/%)
	@for floor in $(COVERED); do \
		echo "coverage of src/twotick/$$floor:"; \
		$(BIN)/coverage report --include="src/twotick/$$floor/*" --fail-under=$(LEAST_COVERAGE) || exit 1; done

# The same tests run uncompiled with all random examples, and those of the web port besides.
compiled: build/compiled/.made  ## test the message path as mypyc compiles it
	PYTHONPATH=build/compiled $(PYTEST) --hypothesis-profile=quick tests/wire tests/exchange tests/server tests/irc \
		--ignore=tests/server/web

pythons:  ## run the quick tests on every Python from 3.11 to 3.14 that this machine has
	@for minor in 11 12 13 14; do \
		python=$$(ls -d "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$$minor.*/bin/python 2>/dev/null | tail -1); \
		python=$${python:-python3.$$minor}; \
		$$python -c 'import venv' 2>/dev/null || { echo "there is no Python 3.$$minor here"; continue; }; \
		$$python --version && $(MAKE) --no-print-directory build/python3.$$minor/.installed PYTHON=$$python && \
		build/python3.$$minor/bin/pytest -n 3 --hypothesis-profile=quick $(QUICK) || exit 1; done

build/python3.%/.installed: pyproject.toml
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(@D)/bin/python -m pip install -qq --disable-pip-version-check --editable . --group test
	@touch $@

deep: .venv/.installed  ## run every test with 20 times as many random examples; takes hours
	$(PYTEST) --hypothesis-profile=deep --timeout=0

wheel: build/wheel/.made  ## build a wheel for this platform with the message path compiled, in build/wheel/
	@ls build/wheel/*.whl

# Compile a copy: Python would import compiled modules beside the source instead of the source, even after it has changed.
build/wheel/.made: .venv/.installed $(SOURCES)
	@command -v cc >/dev/null || { echo "install a C compiler (cc): mypyc needs one"; exit 1; }
	@echo "compiling wire, exchange and irc ..."
	@rm -rf build/wheel build/source && mkdir -p build/source
	@cp -R src pyproject.toml hatch_build.py README.md LICENSE build/source
	@HATCH_BUILD_HOOK_ENABLE_MYPYC=1 $(BIN)/python -m pip wheel -qq --disable-pip-version-check --no-deps \
		--wheel-dir build/wheel ./build/source
	@touch $@

build/compiled/.made: build/wheel/.made
	@rm -rf build/compiled
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --target build/compiled build/wheel/*.whl
	@touch $@

docs: .venv/.docs  ## build the documentation as a site in build/site/; a broken link is an error
	@rm -rf build/pages && mkdir -p build/pages
	@cp -R README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE docs examples build/pages
	@$(BIN)/zensical build --clean --strict

.venv/.docs: .venv/.installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --group docs
	@touch $@

fuzz: fuzz-parser fuzz-server  ## fuzz the parser for a minute, and a server for 10 minutes or SECONDS=60

fuzz-parser: .venv/.installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --group fuzz
	@mkdir -p build/fuzz/corpus
	$(BIN)/python fuzz/fuzz_parser.py -max_total_time=60 -max_len=4096 -artifact_prefix=build/fuzz/ build/fuzz/corpus

fuzz-server: .venv/.installed
	$(BIN)/python -m tests.simulation.fuzz --seconds $(SECONDS)

bench: .venv/.installed  ## measure every figure of docs/performance.md again, or only those of PART=relay; takes 25 minutes
	@$(BIN)/python bench/install.py
	$(BIN)/python bench/report.py $(PART)

bench/build/load: $(wildcard bench/load/*.c bench/load/*.h)
	@mkdir -p $(@D)
	$(CC) -O2 -Wall -Wextra -o $@ $(filter %.c,$^)

cluster: .venv/.installed  ## run three servers on one PostgreSQL at once, kill them in turn, and check that no message is lost
	$(BIN)/python -m tests.simulation.cluster

crash: .venv/.installed  ## kill a server 200 times under load, and check that no message is lost or doubled
	$(BIN)/python -m tests.simulation.crash --crashes 200

crash-cluster: .venv/.installed build/patroni/.installed  ## let each part of a cluster fail under load in 50 rounds, or ROUNDS=n [SERVERS=n] [ONLY=kind,...]
	nice $(BIN)/python -m tests.simulation.crash_cluster --rounds $(or $(ROUNDS),50) --servers $(or $(SERVERS),3) $(if $(ONLY),--only $(ONLY))

# Patroni runs as a user who may not enter root's home, where pyenv has its Pythons.
build/patroni/.installed: Makefile
	@for each in etcd nats-server; do PATH=$$PATH:/usr/sbin command -v $$each >/dev/null || { echo "there is no $$each: apt-get install etcd-server nats-server postgresql"; exit 1; }; done
	@/usr/bin/python3 -m venv --clear build/patroni
	@build/patroni/bin/pip install -qq --disable-pip-version-check 'patroni[etcd3,psycopg3]==4.1.5' 'psycopg[binary]'
	@touch $@

crash-page: .venv/.installed  ## kill the tab or the server at 50 moments while a message is under way, or KILLS=n
	TWOTICK_TEST_KILLS=$(or $(KILLS),50) $(BIN)/pytest -p no:xdist --timeout=0 tests/web/test_nothing_lost.py -k killed

simulate: .venv/.installed  ## run 1000 schedules of a simulated world, or SEEDS=n; with SEED=n print what happens in one
	$(BIN)/python -m tests.simulation.simulate $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000))
	$(if $(SEED),,$(BIN)/python -m tests.simulation.several --seeds $(or $(SEEDS),1000))

quickstart-debian: .venv/.installed  ## set up a server twice in an empty Debian, as root; downloads 100 MB
	tests/debian/quickstart.sh

containers: .venv/.installed  ## build the image and use both compose files, as root, with podman; downloads 300 MB
	tests/debian/containers.sh

clean:  ## remove everything that the other targets created
	rm -rf .venv .cache build dist bench/build
