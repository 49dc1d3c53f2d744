# Inside an activated environment (venv or conda) the commands use it; elsewhere they make .venv once.
PYTHON ?= python3.11
ENV := $(or $(VIRTUAL_ENV),$(CONDA_PREFIX),$(CURDIR)/.venv)
BIN := $(ENV)/bin
export PATH := $(BIN):$(PATH)

.PHONY: demo test lint install starter clean

demo: install  ## train, evaluate and predict a real CT, in minutes
	python -m segment.commands.demo

# After a crash of one of its processes, pytest-xdist 3.8 starts another and then waits forever; so it ends instead.
test: install  ## the whole test suite
	pytest -n 2 --dist loadgroup --max-worker-restart 0

lint: install  ## formatting, lint rules, types
	pre-commit run --all-files

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

clean:  ## remove what training wrote; never asks, so it never removes outputs/
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
