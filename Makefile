.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
FUZZ_SECONDS ?= 60
RECORDED ?= build/recorded
EXAMPLES ?= 200
SEED ?= 1
NODE_CLIENT := tests/clients/node/node_modules/.package-lock.json
# A server changes what statements do: every statement and every operation goes to it, and of the requests those that ask it for more than rows by their ids. Three files ask PostgreSQL for nothing.
OPERATED := tests/store tests/operations tests/worker $(addprefix --ignore tests/worker/,test_outbound.py test_mailer.py test_letter.py) tests/api/jobs tests/api/test_surfaces.py tests/api/test_waiting.py
SERVED := $(OPERATED) $(addprefix tests/api/,test_rates.py test_queries.py test_flow_lists.py test_ledger.py test_tallies.py test_metrics.py test_login.py)
# A pooler changes what a session and a transaction are.
POOLED := $(OPERATED)

.PHONY: help run demo test check bench bench-smoke fuzz faults faults-short test-tools test-system-servers test-pooler test-samples test-clients test-contracts test-schemathesis schema clean-data

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

run: ## start Penstock with its own PostgreSQL, Valkey and mail catcher; Ctrl-C stops it
	@$(PYTHON) cli/bootstrap.py && exec $(BIN)/penstock up

demo: ## watch a bulk delete from beginning to end, on the running Penstock or one of its own
	@$(PYTHON) cli/bootstrap.py && exec $(BIN)/penstock demo

test: ## every test that needs nothing but Python and make
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/pytest -n 2 --dist loadgroup --ignore tests/faults -m "not needs_tools"

test-tools: ## those that need curl and openssl
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/pytest tests/architecture tests/worker -m needs_tools

test-system-servers: ## those that touch a server, on the PostgreSQL and Valkey or Redis of this machine
	@$(PYTHON) cli/bootstrap.py --dev && exec env PENSTOCK_TEST_SERVERS=system $(BIN)/pytest -n 2 --dist loadgroup -m "not needs_tools" $(SERVED)

test-pooler: ## those that touch PostgreSQL, through PgBouncer in transaction mode
	@$(PYTHON) cli/bootstrap.py --dev && exec env PENSTOCK_TEST_POOLER=pgbouncer $(BIN)/pytest -n 2 --dist loadgroup -m "not needs_tools" $(POOLED)

test-samples: ## exported workflows come back as they were sent: SAMPLES=folder of *.json
	@$(PYTHON) cli/bootstrap.py --dev && exec env PENSTOCK_SAMPLES="$(SAMPLES)" $(BIN)/pytest tests/samples

test-clients: $(NODE_CLIENT) ## the vendor's Python and JavaScript clients; needs node and npm; RECORDED=where to keep the answers
	@$(PYTHON) cli/bootstrap.py --dev
	@rm -rf "$(RECORDED)"
	@exec env PENSTOCK_RECORDED="$(abspath $(RECORDED))" $(BIN)/pytest tests/clients -p no:xdist

$(NODE_CLIENT): tests/clients/node/package-lock.json
	@cd tests/clients/node && npm ci --silent

test-contracts: ## what those clients and a generated run are answered, by the vendor's schemas: CONTRACTS=folder of *.json
	@$(PYTHON) cli/bootstrap.py --dev && exec env PENSTOCK_CONTRACTS="$(CONTRACTS)" PENSTOCK_RECORDED="$(abspath $(RECORDED))" $(BIN)/python -m pytest tests/contracts -p no:xdist -p tests.contracts.tally

test-schemathesis: ## requests made up from the OpenAPI document alone: EXAMPLES=how many an operation, SEED=which
	@$(PYTHON) cli/bootstrap.py --dev && exec env PENSTOCK_EXAMPLES="$(EXAMPLES)" PENSTOCK_SEED="$(SEED)" $(BIN)/pytest tests/schemathesis -n 2 --dist load -q

schema: ## write core/store/schema.sql anew from the migrations
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/python -m tests.support.write_schema

faults: ## what happens when processes are killed and servers go away, one promise a line
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/pytest tests/faults -p no:xdist -q

faults-short: ## the same without those that take longest
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/pytest tests/faults -n 2 --dist load -q -m "not long"

fuzz: ## the query language on inputs nobody thought of, for FUZZ_SECONDS=60; FUZZ_REPLAY=file tries a kept one again
	@$(PYTHON) cli/bootstrap.py --fuzz && exec $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(if $(FUZZ_REPLAY),--replay "$(FUZZ_REPLAY)")

check: ## style, types and the direction of imports
	@$(PYTHON) cli/bootstrap.py --dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: ## how fast, beside peers measured in the same run
	@$(PYTHON) cli/bootstrap.py --bench && exec $(BIN)/python -m bench

bench-smoke: ## the same at small sizes: results are checked, times are not
	@$(PYTHON) cli/bootstrap.py --bench && exec $(BIN)/python -m bench --smoke

clean-data: ## forget everything in .penstock; stop `make run` first
	rm -rf .penstock
