# Two commands a newcomer needs: `make demo` and `make test`. Both set up a virtual environment in .venv first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

LOWEST := .venv-lowest

.PHONY: demo test lint types check grammar schemas docs docs-rules golden bench coverage chaos fuzz mutants lowest audit clean

demo: $(READY)
	$(BIN)/siteward demo

# Thousands of processes of the program are started: none compiles it anew, whatever the machine says of bytecode.
test: $(READY)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal -q -m "not nightly" $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

check: lint types test

grammar: $(READY)
	$(BIN)/python -m siteward.declaration.schema

schemas: $(READY)
	for each in access included directory plan report approvals evidence review; do $(BIN)/siteward schema $$each > schemas/$$each.schema.json || exit 1; done

# The documentation as a site in build/site; it opens from there without a server. Never quiet: -q hides what strict counts.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group docs
	$(BIN)/python .ci/site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file build/mkdocs.yml

docs-rules: $(READY)
	$(BIN)/python -m siteward.access.catalog > docs/rules.md

golden: $(READY)
	$(BIN)/python -m pytest -q --update-golden tests

bench: $(READY)
	$(BIN)/python benchmarks/run.py

# Branches of the pure core and of the declaration, by their own tests alone: what others exercise by chance is no test.
coverage: $(READY)
	$(BIN)/python -m pytest -n auto --cov -q tests/access tests/declaration tests/laws tests/render/test_review.py \
		tests/cli/test_review.py tests/cli/test_questions.py tests/cli/test_diff.py tests/reconcile/test_rows_in_error.py \
		tests/reconcile/test_dates.py tests/reconcile/test_identity.py tests/reconcile/test_agree.py tests/reconcile/test_public.py

# Random faulted applies: RUNS of them from seed FIRST on, or the one of SEED. One seed is one story, the same each time.
RUNS  ?= 500
FIRST ?= 0
chaos: $(READY)
	PYTHONPATH=tests PYTHONHASHSEED=0 $(BIN)/python -m chaos \
		$(if $(SEED),--seed $(SEED),--runs $(RUNS) --first $(FIRST)) $(ARGS)

# Mutated declarations, stored files and answers: INPUTS of each driver from seed FIRST on, or the one of SEED.
INPUTS ?= 10000
fuzz: $(READY)
	PYTHONPATH=tests PYTHONHASHSEED=0 $(BIN)/python -m fuzz \
		$(if $(SEED),--seed $(SEED),--inputs $(INPUTS) --first $(FIRST)) $(if $(DRIVER),--driver $(DRIVER)) $(ARGS)

# A sample of single faults put into access, declaration and reconcile; their own tests must notice most of them.
mutants: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group mutants
	$(BIN)/python .ci/mutants.py $(ARGS)

# The oldest releases of everything that pyproject.toml asks for.
lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(LOWEST) $(LOWEST)/bin/uv pip install --quiet --resolution lowest-direct \
		--editable '.[age,ldap,postgres,sandbox,xlsx]' --group dev
	$(LOWEST)/bin/python -m pytest -q $(or $(ARGS),tests/access tests/declaration tests/transport tests/reconcile \
		tests/promises tests/render tests/docs tests/cli/test_startup.py)

# Known holes of dependencies: of the newest releases, and of the oldest that pyproject.toml allows. Strict, since a package
# for which the index has no advisory data is skipped otherwise, and then "no known vulnerabilities" ends with 0.
audit: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group audit
	for each in highest lowest-direct; do \
		$(BIN)/uv pip compile --quiet --all-extras --generate-hashes --resolution $$each pyproject.toml -o $(VENV)/$$each.txt && \
		$(BIN)/pip-audit --requirement $(VENV)/$$each.txt --require-hashes --disable-pip --strict --progress-spinner off || exit 1; done

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[age,ldap,postgres,sandbox,xlsx]' --group dev
	touch $@

clean:
	rm -rf $(VENV) $(LOWEST) mutants mutants.log .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
