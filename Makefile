# Two commands do everything: `make run` and `make test`. They need Python 3.11, make and the package registries.
VENV   ?= .venv
PYTHON ?= python3
PY     := $(VENV)/bin/python
ARGS   ?=
LOCK    = uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header

# a run starts hundreds of processes; with this set in the environment each would compile everything anew
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check bench lock browser

$(VENV)/.ok: requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed; name one with make PYTHON=python3.11")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null; then uv pip sync -q --python $(PY) --require-hashes requirements/dev.lock; \
	else $(PY) -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/dev.lock; fi
	@touch $@

run: $(VENV)/.ok  ## everything for a first look; ARGS="--jobs 4 --exit" and so on go to `manage.py demo`
	@exec $(PY) manage.py demo $(ARGS)

test: $(VENV)/.ok browser  ## the whole suite on real PostgreSQL, side by side; what kills processes after the others, a file at a time
	@$(PY) -m pytest -n auto --dist worksteal -m "not processes" $(ARGS) || { [ $$? = 5 ] && [ -n "$(ARGS)" ]; }
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder -m processes $(ARGS) || { [ $$? = 5 ] && [ -n "$(ARGS)" ]; }

browser:  ## Chromium for the browser tests, from the system's packages
	@.ci/browser

check: $(VENV)/.ok  ## lint, types, contracts between the floors, templates, migrations, API schema
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint --lint --quiet templates
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py spectacular --validate --fail-on-warn --file /tmp/genqueue-schema.yml

bench: $(VENV)/.ok  ## the figures of benchmarks/README.md; ARGS="NAME" for one of them
	@$(PY) manage.py bench $(ARGS)

lock:  ## renew requirements/*.lock (needs uv)
	$(LOCK) --extra embedded --extra redis -o requirements/base.lock
	$(LOCK) --extra embedded --extra redis --extra dev -o requirements/dev.lock
