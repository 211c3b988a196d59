# The words a developer types; `make check` is what .ci/run does.
PYTHON ?= python

.PHONY: install test check lint types proto docs site image bench format

install:            ## everything a developer needs, into the current environment
	$(PYTHON) -m pip install -e ".[onnx,dev]"

test:               ## the test suite
	$(PYTHON) -m pytest

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	$(PYTHON) -m mypy

proto:              ## regenerate the gRPC messages from proto/
	$(PYTHON) proto/generate.py

docs:               ## the parts of docs/ that are generated from the code
	$(PYTHON) docs/generate.py

site:               ## the documentation as a site, in site/; warnings are errors
	$(PYTHON) -m mkdocs build --strict

image:              ## the server as a container image, without models
	$(PYTHON) -m oipserver build . -t oipserver

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

bench:              ## the performance tables; takes about half an hour
	$(PYTHON) -m benchmarks.hot_path
	$(PYTHON) -m benchmarks.batching
	$(PYTHON) -m benchmarks.pool

check:
	bash .ci/run
