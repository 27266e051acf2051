# The everyday commands. `make help` lists them; options pass through ARGS="...".
# PYTHON chooses the interpreter (3.11 or later); pip's own variables (PIP_INDEX_URL, ...) apply.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PACKAGES := schemas artefacts runtime workers trainer roomstream
SOURCES := pyproject.toml README.md LICENSE $(shell find $(PACKAGES) -type f -not -path '*/__pycache__/*')

.PHONY: help install demo test check bench bench-check bench-delivery bench-audit bench-recovery bench-learning bench-learners bench-people bench-transfer chaos clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

install: $(VENV)/.wheel  ## Make .venv with everything that roomstream and its tests need

demo: install  ## Run the whole loop on this machine (make demo ARGS="--events 2000 --report demo.json")
	@$(BIN)/roomstream demo $(ARGS)

test: install  ## Prove it: all tests, against the built wheel, three at a time (make test ARGS="tests/workers -x")
	$(BIN)/pytest --numprocesses 3 --dist loadfile $(ARGS)

check: install  ## Lint, types, layers, and that generated files are current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/roomstream schemas export --check schemas

bench: install  ## Measure speed and memory beside ONNX Runtime alone and a Hugging Face pipeline (make bench ARGS="--docs docs")
	$(BIN)/python -m bench.speed $(ARGS)

bench-check: install  ## Fail if a ratio of speed or memory is worse than the checked-in one, beyond tolerance and spread (ARGS="--tolerance 0.2")
	$(BIN)/python -m bench.speed serving workers start --rounds 3 --check docs/performance/figures.json $(ARGS)

bench-delivery: install  ## Measure both delivery engines against plain aiokafka on a real Kafka
	$(BIN)/python -m bench.delivery $(ARGS)

bench-audit: install  ## Time the audit over a million listings on a real Kafka
	$(BIN)/python -m bench.audit $(ARGS)

bench-recovery: install  ## Measure how soon a killed worker's partitions are answered again
	$(BIN)/python -m bench.recovery $(ARGS)

bench-learning: install  ## Measure what a stream of labels teaches, beside fine-tuning and TF-IDF (under an hour; ARGS="--quick" shows that it runs)
	$(BIN)/python -m bench.learning $(ARGS)

bench-learners: install  ## Compare all learners on real listings, and go on where it was interrupted (an hour or two; ARGS="--quick" shows that it runs)
	$(BIN)/python -m bench.learners $(ARGS)

bench-people: install  ## Measure what labels that people are asked for, and their feedback, are worth (ARGS="--quick" shows that it runs)
	$(BIN)/python -m bench.people $(ARGS)

bench-transfer: install  ## Measure a small student beside its teacher and beside labels alone, on real titles (12 minutes; ARGS="--quick" shows that it runs)
	$(BIN)/python -m bench.transfer $(ARGS)

chaos: install  ## Kill, stop and cut everything for 20 minutes, and prove that nothing is lost (make chaos ARGS="--seed 7")
	$(BIN)/python -m tests.chaos $(ARGS)

clean:  ## Remove .venv and everything that was built
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.dependencies: pyproject.toml constraints.txt
	@echo "Installing the dependencies into $(VENV): one to five minutes, about 2 GB, once."
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "roomstream needs Python 3.11 or later")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt hatchling
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation '.[all]'
	@touch $@

$(VENV)/.wheel: $(VENV)/.dependencies $(SOURCES)
	@rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall dist/roomstream-*.whl
	@touch $@
