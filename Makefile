# What people do with this checkout; `make` alone lists it. Nothing is needed but Python and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: help lab test fast check format bench bench-verdicts bench-notebooks bench-device bench-large bench-bound notebooks pages pictures clean

help:  ## list these commands
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lab,dev]'
	@touch $@

lab: $(STAMP)  ## run the quick study with the tiny voice, and write its report
	$(BIN)/listen2lab run baseline alignment cache-size session-recreation --quick

test: $(STAMP)  ## run the checks and the tests, and say how much of the code they reach
	$(MAKE) --no-print-directory check
	$(BIN)/pytest -q -n 2 --dist loadfile --cov=listen2lab --cov-report=
	@echo "code reached by the tests in this process: $$($(BIN)/coverage report --format=total) %"

fast: $(STAMP)  ## run the tests without the slow ones: a minute or two
	$(BIN)/pytest -q -n 2 --dist loadfile -m "not slow"

check: $(STAMP)  ## lint, types, notebooks without outputs
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy

format: $(STAMP)  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

bench: $(STAMP)  ## measure what the instrument itself costs, as ratios
	$(BIN)/python benchmarks/cost.py

bench-verdicts: $(STAMP)  ## judge labelled series and print the goal table
	$(BIN)/python benchmarks/verdicts.py

bench-notebooks: $(STAMP)  ## run every notebook from the reference study, and time it
	$(BIN)/python benchmarks/notebooks.py

bench-device: $(STAMP)  ## read logs of millions of lines, many restarts and a large vmmap
	$(BIN)/python benchmarks/device.py

bench-large: $(STAMP)  ## load a study of a thousand runs, and of five thousand; write its report
	$(BIN)/python benchmarks/large.py data/reference/study
	$(BIN)/python benchmarks/large.py data/reference/study --runs 5000

bench-bound: $(STAMP)  ## bound the medium voice: memory, cost and bits against the original
	$(BIN)/python benchmarks/bound.py

pages: $(STAMP)  ## execute every notebook on the reference study, and write docs/pages/*.html
	$(BIN)/python benchmarks/notebooks.py --pages docs/pages

pictures: $(STAMP)  ## draw what README and docs show, from the reference study
	$(BIN)/python benchmarks/notebooks.py --pictures docs

notebooks: $(STAMP)  ## open JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. notebooks/00_start_here.ipynb

clean:  ## remove what was generated: models and caches, never a study
	rm -rf data/voices .mypy_cache .ruff_cache .pytest_cache .hypothesis
