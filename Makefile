# The commands of this project. They need make, and a Python with venv.
PYTHON ?= python3
VENV = .venv/bin/python
WORK = .work

# actionlint needs Go 1.25 or newer.
GO ?= go
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

# The tests of `make test`. `make test TESTS=tests/cache` runs only some of them.
TESTS ?= tests
# The same for `make test-slow`.
SLOW ?= tests/slow
# Three processes keep two cores busy: some tests wait for a clock, a server or the network.
PROCESSES ?= 3
PYTEST = -m pytest -q -n $(PROCESSES) --dist worksteal --ignore tests/slow --ignore tests/platforms

.PHONY: test test-slow test-platforms remote-servers platforms wasmtime lint check docs docs-check docs-tables example bench bench-quick clean

# Some machines tell Python to write no bytecode. The tests start thousands of processes, and each would compile
# the package again.
test: export PYTHONDONTWRITEBYTECODE =

# `make test COVERAGE=1` also shows the lines of the package that no test and no build runs.
test: .venv/made
	@echo "These tests need 7 minutes on two idle cores. The last lines name what is missing here, and how to install it."
	$(if $(COVERAGE),rm -rf $(WORK)/coverage && mkdir -p $(WORK)/coverage)
	$(VENV) $(if $(COVERAGE),-m coverage run) $(PYTEST) $(TESTS)
	$(if $(COVERAGE),$(VENV) -m coverage combine -q && $(VENV) -m coverage report)

# In the order of their names: xdist would take the files with the fewest tests last, and these are the longest.
test-slow: .venv/made
	$(VENV) -m pytest -q -n $(PROCESSES) --dist loadfile --no-loadscope-reorder $(SLOW)

test-platforms: platforms
	$(VENV) -m pytest -q -n 2 --dist loadfile tests/platforms

# Sets up Pythons of other platforms, and Python 3.14, once; needs two minutes.
platforms: .venv/made wasmtime
	$(VENV) tests/platforms/set_up.py aarch64-linux x86_64-windows x86_64-linux-python3.14

# Sets up the servers that tests of the shared cache start, once: three minutes, with Go and npm.
remote-servers: .venv/made
	GO="$(GO)" $(VENV) tests/support/server_programs.py

# Downloads the wasmtime CLI, which compiles for all platforms, once; 17 MB.
wasmtime: .venv/made
	$(VENV) tests/platforms/set_up.py wasmtime

lint: .venv/made
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m mypy

# All checks without tests: lint, types, spelling, the site, the sdist's files, the workflows.
check: .venv/checks $(WORK)/bin/actionlint docs-check
	$(VENV) -m pre_commit run --all-files
	$(WORK)/bin/actionlint .github/workflows/*.yml docs/recipes/*.yml docs/recipes/github/*.yml

# Builds the site and serves it on this machine, at the port PORT.
PORT ?= 8000
docs: .venv/docs
	$(VENV) -m docs.build --serve $(PORT)

# Builds the site. A warning, such as a link to a heading that does not exist, is an error.
docs-check: .venv/docs
	$(VENV) -m docs.build --strict

# Writes the tables of the docs and the JSON schema again, from the code.
docs-tables: .venv/made
	$(VENV) -m docs.tables

# Builds this project and the example, installs the example alone, and times its first call.
example: $(WORK)/build/made
	rm -rf $(WORK)/example && mkdir -p $(WORK)/example
	$(WORK)/build/bin/python -m build -q --wheel --outdir $(WORK)/example/links .
	PIP_FIND_LINKS="$(CURDIR)/$(WORK)/example/links $(PIP_FIND_LINKS)" \
	$(WORK)/build/bin/python -m build --wheel --outdir $(WORK)/example/dist example_project
	$(PYTHON) -m venv $(WORK)/example/venv
	$(WORK)/example/venv/bin/python -m pip install -q $(WORK)/example/dist/*.whl
	cd $(WORK)/example && venv/bin/gofmt-py $(CURDIR)/example_project/sample.go
	cd $(WORK)/example && venv/bin/python $(CURDIR)/example_project/demo.py

# Runs all benchmarks, and writes docs/performance and the README. Names the goals that are missed.
# Needs two hours on an idle machine.
bench: .venv/bench wasmtime
	$(VENV) -m bench

# Runs the small benchmarks in three minutes. Changes no file of the project.
bench-quick: .venv/bench
	$(VENV) -m bench --quick

clean:
	rm -rf .venv $(WORK) dist

.venv/made: pyproject.toml
	$(PYTHON) -m venv .venv
	$(VENV) -m pip install -q --upgrade pip
	$(VENV) -m pip install -q --editable . --group dev
	touch $@

.venv/checks: .venv/made
	$(VENV) -m pip install -q --group check
	touch $@

.venv/docs: .venv/made
	$(VENV) -m pip install -q --group docs
	touch $@

$(WORK)/bin/actionlint:
	@$(GO) version >/dev/null || { echo "actionlint needs Go 1.25: install it, or run make GO=/path/to/go" >&2; exit 1; }
	GOBIN=$(CURDIR)/$(WORK)/bin $(GO) install $(ACTIONLINT)

# yowasp-runtime does not admit wasmtime 48 yet, but the measured part of it works with 48. Of both
# packages only the cache is measured, which needs no other of their dependencies.
.venv/bench: .venv/made
	$(VENV) -m pip install -q --group bench
	$(VENV) -m pip install -q --no-deps yowasp-runtime==1.96 amla-sandbox==0.2.8
	touch $@

$(WORK)/build/made:
	$(PYTHON) -m venv $(WORK)/build
	$(WORK)/build/bin/python -m pip install -q build
	touch $@
