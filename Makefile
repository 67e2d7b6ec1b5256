# The one door to this project: `make help` lists what it can do. Works with GNU make 3.81 and later.
SHELL := /bin/sh
BIN := .venv/bin
FACTORY ?= rotterdam
ARGS ?=
# Keep compiled Python from run to run, also in a container image that switches that off: else every
# worker of the tests and every command of `make run` compiles the whole house again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

.PHONY: help audit peers run run-real test check lint format types floors proof bench system docs lock setup clean

help: ## list what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile
	@echo "  FACTORY=name and ARGS='--days 7' are passed to run and run-real; SYSTEM=no leaves the machine alone"

run: setup ## a year of the Rotterdam factory on bundled, generated input
	@$(BIN)/gigafactory run $(FACTORY) $(ARGS)

run-real: setup ## the same on real jobs, prices and weather, found in the folder GIGAFACTORY_DATA
	@FACTORY="$(FACTORY)" ./tools/run_real.sh $(ARGS)

test: setup ## every test but the long proofs
	@./tools/system.sh
	@$(BIN)/pytest -n 3 -m "not proof" $(ARGS)

check: lint types floors ## the quick loop: style, types, floors, fast tests
	@GIGAFACTORY_QUICK=true $(BIN)/pytest -n 2 -q -m "not slow and not proof" $(ARGS)

lint: setup ## style of the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## put the code in the house's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## types, strictly
	@$(BIN)/mypy

floors: setup ## no room imports from a higher floor
	@$(BIN)/lint-imports

proof: setup ## the long proofs and benchmarks; results are written under docs/proof
	@mkdir -p docs/proof
	@GIGAFACTORY_PROOF="$(CURDIR)/docs/proof" $(BIN)/pytest -m proof $(ARGS)
	@$(BIN)/python benchmarks/run.py --proof docs/proof

bench: setup ## the benchmarks, against their budgets
	@$(BIN)/python benchmarks/run.py $(ARGS)

audit: setup ## look the pinned dependencies up among known vulnerabilities, where that can be done
	@$(BIN)/python tools/audit.py

peers: ## make .venv-peers with the peers that benchmarks are timed against
	@test -x .venv-peers/bin/python || python3 -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --quiet "pypsa==1.4.0" "highspy==1.15.1"

system: ## list the system packages that tests use, and install what is missing where that is allowed
	@./tools/system.sh

docs: setup ## the documentation, into site/
	@./tools/setup.sh docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict >.venv/docs.log 2>&1 || { cat .venv/docs.log; exit 1; }
	@echo "docs: site/index.html"

lock: setup ## pin the dependencies again (needs uv)
	@./tools/lock.sh

setup: ## make .venv from requirements.lock; does nothing when nothing changed
	@./tools/setup.sh

clean: ## remove .venv, caches and built files; runs/ stays
	@rm -rf .venv site build dist htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	@find src tests tools benchmarks -depth -name __pycache__ -exec rm -rf {} + 2>/dev/null || true
	@echo "clean: done; runs/ is kept"
