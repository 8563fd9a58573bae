# Everything that is done with this checkout. `make help` lists the targets.

PYTHON := .venv/bin/python
STATE := .local
TEST_STATE := .test
export PYTHONUNBUFFERED := 1
# Hundreds of processes of the tests import our code: it is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: .venv/ready ## Install the locked Python packages into .venv

.venv/ready: requirements-dev.lock
	@python3 -m venv .venv 2>/dev/null || { apt-get update -qq && apt-get install -qq -y python3-venv && python3 -m venv .venv; }
	.venv/bin/pip install --quiet --require-hashes -r requirements-dev.lock
	@touch $@

.PHONY: build
build: build-everything ## Build all tools for the local cluster and the tests (once; see README)

build-%: venv
	@$(PYTHON) -m e2e.cluster build $* >/dev/null

.PHONY: up
up: venv ## Start the local cluster, install the CRD, run the operator from this checkout
	$(PYTHON) -m e2e.cluster up --state $(STATE)
	$(PYTHON) -m e2e.operator start --state $(STATE)

.PHONY: down
down: venv ## Stop the local cluster and the operator, and remove every trace
	$(PYTHON) -m e2e.cluster down --state $(STATE)

.PHONY: demo
demo: up ## Migrate a shop's database twice, and show each step
	$(PYTHON) -m e2e.demo --state $(STATE)

.PHONY: recording
recording: up ## Record the terminal at the top of the README on the local cluster: docs/images/terminal.svg
	$(PYTHON) -m e2e.recording --state $(STATE)

.PHONY: test
test: lint types unit build packaging integration matrix clusters ## Run everything: lint, types and all tests

.PHONY: lint
lint: venv ## Check style, import direction, and that generated files are up to date
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-logo
	$(PYTHON) -m deploy.generate --check

.PHONY: types
types: venv ## Check types
	.venv/bin/mypy

.PHONY: unit
unit: venv ## Unit tests: decisions and machinery, without I/O
	.venv/bin/pytest tests/unit -n 2

.PHONY: engine
engine: venv ## Go tests, vet, formatter and linter for the engine in images/atlas (part of packaging)
	.venv/bin/pytest tests/packaging/test_engine.py

.PHONY: packaging
packaging: build-packaging ## Tests of the chart, kustomize, alerts, health checks, scripts and workflows, with the real tools
	.venv/bin/pytest tests/packaging -n 2

.PHONY: integration
integration: build-integration ## Tests of the operator against a real API server, with injected faults
	.venv/bin/pytest tests/integration -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: lint-proof
lint-proof: build ## Prove each lint rule on PostgreSQL 13 to 18: what it reports is really locked, rewritten, scanned or lost
	for version in 13 14 15 16 17 18; do DBUPGRADE_POSTGRES=$$version .venv/bin/pytest -q tests/integration/toolkit/test_lint_proof.py || exit 1; done

.PHONY: matrix
matrix: build ## Tests of every engine on the oldest and the newest PostgreSQL
	.venv/bin/pytest tests/versions -n 2 -k "PostgreSQL13 or PostgreSQL18"

# What a database's version can change: applying files, failures, connections, locks, engines.
DATABASE_SCENARIOS := test_straight_way or test_sql_error or test_database_access or test_lock or test_engines or test_psql

.PHONY: versions
versions: build ## Long suite: every PostgreSQL and MariaDB with every engine; oldest and newest database and Kubernetes
	.venv/bin/pytest tests/versions -n 2
	DBUPGRADE_POSTGRES=13 bash e2e/run.sh $(TEST_STATE)-13 -k "$(DATABASE_SCENARIOS)"
	DBUPGRADE_POSTGRES=18 bash e2e/run.sh $(TEST_STATE)-18 -k "($(DATABASE_SCENARIOS)) and not own_command_line"
	DBUPGRADE_KUBERNETES=1.30 $(MAKE) integration
	$(MAKE) integration

.PHONY: debian-13
debian-13: ## Long suite: the demo on Debian 13, with its Python and its PostgreSQL, in a root folder of its own
	bash e2e/chroot.sh trixie make demo

.PHONY: clusters
clusters: build ## e2e and installation side by side, on a cluster each: one waits for its cluster while the other works
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going e2e installation

.PHONY: e2e
e2e: build-e2e ## Real pods and a real PostgreSQL on a local cluster of its own
	bash e2e/run.sh $(TEST_STATE)

.PHONY: e2e-namespaced
e2e-namespaced: build-e2e ## Long suite: the same, with an operator for each scenario that has Roles in its namespace only
	DBUPGRADE_E2E_NAMESPACED=1 bash e2e/run.sh $(TEST_STATE)

.PHONY: installation
installation: build-installation ## Image, chart and kustomize on a fresh local cluster: two replicas, upgrade, uninstall
	bash e2e/install.sh $(TEST_STATE)-install

.PHONY: cert-manager
cert-manager: build-installation ## Long suite: the webhook's certificate from cert-manager (builds it: three minutes)
	bash e2e/install.sh $(TEST_STATE)-cert-manager e2e/cert_manager

SEED ?= $(shell date +%s)
STEPS ?= 25
SEQUENCES ?= 1000

.PHONY: chaos
chaos: build-integration ## Random sequences of events against a real API server: SEED=... STEPS=... SEQUENCES=...
	$(PYTHON) -m tests.chaos --seed $(SEED) --steps $(STEPS) --sequences $(SEQUENCES)

N ?= 500
TURNS ?= 10
# AGAINST=COMMIT measures that commit as well, in turns.
BENCH := $(PYTHON) -m $(if $(AGAINST),bench.against $(AGAINST))
FILES ?= 100

.PHONY: bench
bench: build-integration ## Measure the creation of N resources at once (ONE_DATABASE=1: all on one database); prints JSON
	$(BENCH) bench.burst $(if $(ONE_DATABASE),--one-database) N=$(N)

.PHONY: bench-scale
bench-scale: build-integration ## Measure a restart with N finished resources; prints JSON
	$(BENCH) bench.scale N=$(N)

.PHONY: bench-pods
bench-pods: build-integration ## Measure the cost of waiting for N pods of an application; prints JSON
	$(BENCH) bench.pods N=$(N)

.PHONY: bench-ready
bench-ready: up ## Measure the time until a migration is Ready against that of a plain Job, TURNS=10 times; prints JSON
	$(PYTHON) -m bench.ready --state $(STATE) N=$(TURNS)

.PHONY: bench-idle
bench-idle: build-integration ## Measure the latencies of 30 resources, one after the other; prints JSON
	$(BENCH) bench.burst --sequential 30

.PHONY: bench-engine
bench-engine: build-integration ## Measure our engine, the runner and the Atlas CLI, which apply FILES=100 in turns; prints JSON
	$(BENCH) bench.engine N=$(FILES)

.PHONY: bench-attack
bench-attack: build-integration ## Measure the operator's memory under attack, with N=200 large resources and forged Jobs; prints JSON
	$(BENCH) bench.attack N=$(N)

.PHONY: bench-webhook
bench-webhook: build-integration ## Measure the webhook with reviews at a steady rate, and N=2000 at once; prints JSON
	$(BENCH) bench.webhook N=$(N)

.PHONY: site
site: venv ## Build the documentation as a website, into build/site; dead links fail
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build

IMG ?= subbug/dbupgrade-operator:0.1.0

.PHONY: docker-build
docker-build: ## Build the operator's image with Docker: IMG=...
	docker build --tag $(IMG) .

.PHONY: deploy
deploy: ## Install CRD and operator into the cluster of the kubeconfig: IMG=...
	kubectl kustomize deploy/kustomize/default | sed 's#image: subbug/dbupgrade-operator:.*#image: $(IMG)#' | kubectl apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove the operator; the CRD and all DBUpgrades stay
	for part in policy webhook manager rbac; do kubectl delete --ignore-not-found -k deploy/kustomize/$$part; done

.PHONY: chart-dependencies
chart-dependencies: venv ## Fetch the charts that ours depends on, to install it from a checkout (needs helm and a network)
	$(PYTHON) -m deploy.dependencies

.PHONY: manifests
manifests: build-packaging ## Update the generated files, after a change of the models or of the chart
	PATH="$$($(PYTHON) -m e2e.cluster build packaging):$$PATH" $(PYTHON) -m deploy.generate

.PHONY: format
format: venv ## Format the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

PIP_AUDIT ?= pip-audit

.PHONY: audit
audit: ## Look for known vulnerabilities in the locked Python packages (needs pip-audit, and the network)
	for lock in requirements.lock requirements-toolkit.lock requirements-plugin.lock; do $(PIP_AUDIT) --require-hashes --disable-pip -r $$lock || exit 1; done

.PHONY: lock
lock: ## Resolve the dependencies again (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --group dev pyproject.toml -o requirements-dev.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.lock pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.lock --group toolkit -o requirements-toolkit.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.lock --group plugin -o requirements-plugin.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.lock --group audit -o requirements-audit.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements-dev.lock --group docs -o requirements-docs.lock
