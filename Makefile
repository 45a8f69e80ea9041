.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run demo test check bench bench-smoke faults test-system-servers clean-data

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

run: ## start Penstock with its own PostgreSQL, Valkey and mail catcher; Ctrl-C stops it
	@$(PYTHON) cli/bootstrap.py && exec $(BIN)/penstock up

demo: ## watch a bulk delete from beginning to end, on the running Penstock or one of its own
	@$(PYTHON) cli/bootstrap.py && exec $(BIN)/penstock demo

test: ## every test but the fault tests
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/pytest -n 2 --dist loadgroup --ignore tests/faults

test-system-servers: ## the same tests on the PostgreSQL and Valkey of this machine
	@$(PYTHON) cli/bootstrap.py --dev && exec env PENSTOCK_TEST_SERVERS=system $(BIN)/pytest -n 2 --dist loadgroup --ignore tests/faults

faults: ## what happens when processes are killed and servers go away, one promise a line
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/pytest tests/faults -p no:xdist -v

check: ## style, types and the direction of imports
	@$(PYTHON) cli/bootstrap.py --dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: ## how fast, beside peers measured in the same run
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/python -m bench

bench-smoke: ## the same at small sizes: results are checked, times are not
	@$(PYTHON) cli/bootstrap.py --dev && exec $(BIN)/python -m bench --smoke

clean-data: ## forget everything in .penstock; stop `make run` first
	rm -rf .penstock
