# The ways in. Each target makes .venv ready first (scripts/setup.sh; at once when nothing changed).

SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# Fast ones first. Each folder, and each file that starts a Ray, in a process of its own: a Ray that
# ended, or a vLLM, leaves threads behind, and what is forked beside them may die before it starts.
TESTS ?= tests/unit tests/house $(sort $(wildcard tests/ray/test_*.py)) tests/ray/releases tests/e2e
WEIGHTS := platform/pirta/weights
RUNS ?= runs/weights
# A prepared store of a hospital's own normal brains (`pirta cohort hosts`), to train on as well.
GUESTS ?=

# Nothing is fetched at run time, nothing is reported home, and one thread a process: Ray brings
# the parallelism.
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1
export RAY_USAGE_STATS_ENABLED := 0
export VLLM_NO_USAGE_STATS := 1
export TOKENIZERS_PARALLELISM := false
export OMP_NUM_THREADS ?= 1
export PYTHON

.PHONY: help setup demo test check bench fuzz weights docs

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

setup: ## make .venv ready; every other target does it by itself
	@bash scripts/setup.sh

demo: setup ## a phantom cohort, an index, the service, one report (ARGS=--once ends after it)
	@$(BIN)/pirta demo $(ARGS)

test: setup ## all tests; TESTS=tests/unit for a part
	@set -e; for part in $(TESTS); do $(BIN)/python -m pytest $$part $(ARGS); done

check: setup ## ruff, mypy strict, import-linter, house tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/house $(ARGS)

bench: setup ## ratios against fair baselines, into bench-out/
	@$(BIN)/python -m bench $(ARGS)

fuzz: setup ## damaged studies, each to end in an error or a right answer (ARGS="--count 5000")
	@$(BIN)/python -m fuzz $(ARGS)

docs: setup ## write docs/SETTINGS.md and docs/ERRORS.md anew from the code
	@$(BIN)/python scripts/write_reference.py

# The shipped weights, from nothing; hours on two cores. Each step resumes where it was stopped,
# and leaves a manifest with settings, commit, data and sha256 beside its weights. The writer
# learns from cases that the encoder did not: half of val's patients, with lesions put into their
# normal brains. The other half (train_jobs.prompt_patients) is left to measure on.
weights: setup ## make the shipped weights anew, in RUNS=runs/weights, and put them in their place
	$(BIN)/pirta cohort make $(RUNS)/cohort --preset training
	$(BIN)/pirta preprocess $(RUNS)/cohort/cohort.parquet $(RUNS)/store
	$(BIN)/pirta train mae --run demo --data $(RUNS)/store --out $(RUNS)/mae
	$(BIN)/pirta train territory --run demo --data $(RUNS)/store --mae $(RUNS)/mae/weights \
		$(if $(GUESTS),--guests $(GUESTS)) --out $(RUNS)/territory
	$(BIN)/pirta train writer-base --run demo --out $(RUNS)/writer_base
	test -f $(RUNS)/val_lesions/studies.parquet || $(BIN)/pirta cohort insert $(RUNS)/store \
		$(RUNS)/val_lesions --from-split val --count 8 --seed 1 --no-normals
	$(BIN)/python -m train_jobs.make_writer_prompts --encoder $(RUNS)/territory/weights \
		--index $(RUNS)/store:train --queries $(RUNS)/store:val $(RUNS)/val_lesions \
		--out $(RUNS)/prompts/writer.jsonl
	$(BIN)/pirta train writer --run demo --base $(RUNS)/writer_base/weights \
		--prompts $(RUNS)/prompts/writer.jsonl --out $(RUNS)/writer
	mkdir -p $(WEIGHTS)
	rm -rf $(WEIGHTS)/encoder $(WEIGHTS)/writer_base $(WEIGHTS)/writer_adapter
	cp -r $(RUNS)/territory/weights $(WEIGHTS)/encoder
	cp -r $(RUNS)/writer_base/weights $(WEIGHTS)/writer_base
	cp -r $(RUNS)/writer/weights $(WEIGHTS)/writer_adapter
