# Volley's commands. `make` alone lists them.
VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= python3
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
MESSAGES ?= 100000
WORKERS ?= 2
KB ?= 22
SMTP ?=
ROUNDS ?= 30
SEED ?=
ARGS ?=
# A bench has a PostgreSQL and a Redis of its own; each prints one JSON line.
BENCH = VOLLEY_VAR=$(CURDIR)/var/bench $(PY) -m config.run --once

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: setup ## set everything up, run Volley and print its address
	@$(PY) -m config.run

workers: setup ## on a further host: senders and a clock alone, for DATABASE_URL and REDIS_URL
	@test -n "$(DATABASE_URL)" -a -n "$(REDIS_URL)" || { echo "Set DATABASE_URL and REDIS_URL to those of the first host."; exit 1; }
	@SEND_WORKERS=$${SEND_WORKERS:-$$(nproc)} $(PY) -m config.processes send clock

test: setup-dev ## set up, check style and types, run every test
	ruff check .
	ruff format --check .
	lint-imports
	djlint templates --lint --quiet
	mypy .
	$(PY) -m pytest -n $$((2 * $$(nproc))) -p no:cacheprovider

setup: $(VENV)/.base $(VENV)/.assets

setup-dev: setup $(VENV)/.dev

$(VENV)/.base: requirements.txt
	@echo "Setting up Python packages ..."
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Volley needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.base
	@echo "Setting up test tools ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/.assets: package-lock.json package.json $(VENV)/.base
	@echo "Setting up front-end packages ..."
	@npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

texts: setup-dev ## take the texts that recipients read into locale/, compile them, name what is not translated
	@$(PY) -m config.catalogs

demo-data: setup ## fill a workspace with believable contacts and campaigns
	@$(PY) -m config.run --once "manage.py demo_data"

shell: setup ## a Python shell with everything loaded
	@$(PY) -m config.run --once "manage.py shell"

bench-send: setup ## measure the pipeline: MESSAGES= WORKERS= SMTP=host:port KB= ARGS=--signed
	@$(BENCH) "-m bench.send --messages $(MESSAGES) --workers $(WORKERS) --kb $(KB) $(if $(SMTP),--smtp $(SMTP)) $(ARGS)"

bench-plan: setup ## measure planning: freeze a million recipients into the ledger
	@$(BENCH) "-m bench.plan"

bench-distance: setup ## measure a server 20 ms away, and ARGS="--ms 50 --lanes 20"
	@$(BENCH) "-m bench.distance $(ARGS)"

bench-late: setup ## measure a server that answers 50 ms late, by lanes and hosts
	@$(BENCH) "-m bench.late $(ARGS)"

bench-pace: setup ## measure how well limits are kept and used, four workers, two minutes
	@$(BENCH) "-m bench.pace --more $(ARGS)"

bench-fairness: setup ## measure how long few wait behind many, and ARGS="--late 50" at a slow server
	@$(BENCH) "-m bench.fairness $(ARGS)"

bench-contacts: setup ## measure a million contacts: ARGS="export --contacts 100000"
	@$(BENCH) "-m bench.contacts $(ARGS)"

bench-esp: setup ## measure batch calls to ESPs that answer 50 ms late: ARGS="--esps postmark"
	@$(BENCH) "-m bench.esp $(ARGS)"

bench-tracking: setup ## measure opens and clicks, and ARGS="--kill" with processes killed in the middle
	@$(BENCH) "-m bench.tracking $(ARGS)"

bench-hooks: setup ## measure webhooks: 200 000 events applied, repeated, and in any order
	@$(BENCH) "-m bench.hooks $(ARGS)"

bench-million: setup ## compare a message's cost at a million with that at ten thousand, some minutes
	@$(BENCH) "-m bench.million $(ARGS)"

faults: setup ## kill, flush and drop at random: ROUNDS= SEED=
	@$(PY) -m tests.faults.campaign --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

lint: setup-dev ## style, types, imports between the rooms
	ruff check . && ruff format --check . && lint-imports && djlint templates --lint --quiet && mypy .

format: setup-dev ## rewrite code and templates in the house style
	ruff check --fix . ; ruff format . ; djlint templates --reformat --quiet

lock: setup-dev ## pin every requirement with its hashes
	$(PY) -m pip install --quiet uv
	uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --universal --python-version 3.11 requirements.in -o requirements.txt
	uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

tail: ## the ten largest files and functions
	@git ls-files '*.py' '*.html' '*.js' '*.css' | grep -v migrations | xargs wc -l | sort -rn | sed -n 2,11p
	@$(PY) -c "import ast,subprocess; fs=subprocess.check_output(['git','ls-files','*.py'],text=True).split(); rows=[(n.end_lineno-n.lineno+1,f,n.name) for f in fs if 'migrations' not in f for n in ast.walk(ast.parse(open(f).read())) if isinstance(n,(ast.FunctionDef,ast.AsyncFunctionDef))]; [print(*r) for r in sorted(rows,reverse=True)[:10]]"

.PHONY: texts help run workers test setup setup-dev demo-data shell bench-send bench-plan bench-distance bench-late bench-pace bench-fairness bench-contacts bench-esp bench-tracking bench-hooks bench-million faults lint format lock tail
.DEFAULT_GOAL := help
