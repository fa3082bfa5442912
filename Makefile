# `make run` and `make test` do everything. You need Python 3.11, make and access to the package registries.
VENV   ?= .venv
PYTHON ?= python3
PY     := $(VENV)/bin/python
ARGS   ?=
BROWSER ?=
LOCK    = uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header

# A run starts hundreds of processes. With this variable set, each of them would compile everything again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check bench storm lock browser

# The lock is complete, so install exactly what it lists: a resolver could pick releases of extras that are not in the lock.
# Modules are compiled when they are first imported: most of them never are.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is required. Choose it with make PYTHON=python3.11")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null; then uv pip install -q --python $(PY) --no-deps --require-hashes -r $<; \
	else $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: --no-compile -r $<; fi
	@said=$$($(PY) -m pip --disable-pip-version-check check 2>&1) || { echo "$$said" >&2; exit 1; }
	@touch $@ $(VENV)/.ok
endef

$(VENV)/.base: requirements/base.lock
	$(install)

# it names all that the base names
$(VENV)/.dev: requirements/dev.lock
	$(install)

run: $(VENV)/.base  ## run a complete demo; ARGS (such as "--jobs 4 --exit") go to `manage.py demo`
	@exec $(PY) manage.py demo $(ARGS)

test: $(VENV)/.dev browser  ## the full suite on real PostgreSQL, in parallel
	@exec $(PY) -m pytest -n auto $(ARGS)

browser:  ## install Chromium for the browser tests, from system packages
	@.ci/browser $(BROWSER)

check: $(VENV)/.dev  ## lint, types, architecture contracts, templates, migrations, API schema
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint --lint --quiet templates
	$(VENV)/bin/djlint --check --quiet templates
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py spectacular --validate --fail-on-warn | diff docs/openapi.yaml - || { echo "run: make openapi" >&2; exit 1; }

openapi: $(VENV)/.base  ## write docs/openapi.yaml, the API's document
	$(PY) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

bench: $(VENV)/.dev  ## the figures in benchmarks/README.md; ARGS="NAME" runs one of them
	@$(PY) manage.py bench $(ARGS)

storm: $(VENV)/.dev  ## five minutes of chaos on a complete installation; ARGS="--seed 1 2 3 4 --jobs 100"
	@exec $(PY) -m benchmarks.storm $(ARGS)

lock:  ## update requirements/*.lock (needs uv)
	$(LOCK) --extra embedded --extra redis --extra s3 -o requirements/base.lock
	$(LOCK) --extra embedded --extra redis --extra s3 --extra dev -o requirements/dev.lock
