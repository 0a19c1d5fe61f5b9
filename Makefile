# Two commands a newcomer needs: `make demo` and `make test`. Both set up a virtual environment in .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test lint types check grammar schemas golden bench clean

demo: $(READY)
	$(BIN)/siteward demo

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal -q $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: lint types test

grammar: $(READY)
	$(BIN)/python -m siteward.declaration.compile

schemas: $(READY)
	for each in access included plan report; do $(BIN)/siteward schema $$each > schemas/$$each.schema.json || exit 1; done

golden: $(READY)
	$(BIN)/python -m pytest -q --update-golden tests

bench: $(READY)
	$(BIN)/python benchmarks/run.py

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[age,postgres,sandbox]' --group dev
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
