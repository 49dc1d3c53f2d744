# Inside an activated environment (venv or conda) the commands use it; elsewhere they make .venv once.
PYTHON ?= python3.11
ENV := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),$(CURDIR)/.venv)
BIN := $(ENV)/bin
export PATH := $(BIN):$(PATH)

.PHONY: demo test lint docs install starter confidence clean

demo: install  ## train, test and segment a real CT, in minutes
	python -m segment.commands.demo

# After a crash of one of its processes, pytest-xdist 3.8 starts another and then waits forever; so it ends instead.
test: install  ## the whole test suite
	pytest -n 2 --dist loadgroup --max-worker-restart 0

lint: install  ## formatting, lint rules, types
	pre-commit run --all-files

docs: install  ## build the documentation site; a warning is an error
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build
	@echo "open build/site/index.html"

install: $(ENV)/.segment-installed

$(ENV)/.segment-installed: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(ENV)
	python -m pip install -c constraints.txt -e '.[dev]'
	touch $@

starter: install  ## train the starter weights again, which takes hours, and put them into the package
	python -m segment train experiment=starter hydra.run.dir=outputs/starter
	mkdir -p segment/weights
	cp outputs/starter/checkpoints/weights.ckpt segment/weights/starter.ckpt
	cd segment/weights && sha256sum starter.ckpt > starter.sha256

CALIBRATE := python -m segment evaluate ckpt=starter pictures=false faults=4 'data.sources.phantom.shape=[128,128,112]'
confidence: install  ## calibrate the confidence of the starter weights again, and print its report card, in two or three hours
	$(CALIBRATE) confidence=calibrate data.sources.phantom.seed=101 data.sources.phantom.num_cases=800 \
		hydra.run.dir=outputs/confidence
	cp outputs/confidence/starter.confidence.json segment/weights/
	$(CALIBRATE) confidence=check data.sources.phantom.seed=202 data.sources.phantom.num_cases=38 \
		hydra.run.dir=outputs/confidence_check

clean:  ## remove what training wrote; never asks, so it never removes outputs/
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
