# One command for the main job (make demo), one for the tests (make test). Needs only Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo-out

.PHONY: demo demo-landscape test lint types docs gallery bench clean

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]"
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group test
	touch $@

demo: $(VENV)/.demo  ## train a small zoo, analyze and compare it, rank the measures, draw the reports
	$(BIN)/python examples/demo.py $(OUT)

demo-landscape: $(VENV)/.demo  ## train a good and a poisoned network, draw boundaries, slices and basins side by side
	$(BIN)/python examples/demo_landscape.py $(OUT)-landscape

test: $(VENV)/.test  ## the whole suite
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

docs: $(VENV)/.test  ## regenerate the generated pages and build the site into site/ (no network)
	$(BIN)/python docs/generate.py
	$(BIN)/mkdocs build --strict --quiet

gallery: $(VENV)/.demo  ## do the pending runs of size small, judge all claims, draw the gallery
	$(BIN)/python docs/gallery.py --run --jobs 2

$(VENV)-peer/.done:
	$(PYTHON) -m venv $(VENV)-peer
	$(VENV)-peer/bin/python -m pip install --quiet "torch==2.13.0" "weightwatcher==0.7.7" "pyhessian==0.1" "loss-landscapes==3.0.6" safetensors
	touch $@

bench: $(VENV)/.demo $(VENV)-peer/.done  ## compare with WeightWatcher 0.7.7 and loss-landscapes 3.0.6 from PyPI in one run (half an hour)
	$(BIN)/python benchmarks/weightwatcher_columns.py --peer $(VENV)-peer/bin/python
	$(BIN)/python benchmarks/against_weightwatcher.py --peer $(VENV)-peer/bin/python
	$(BIN)/python benchmarks/surfaces.py --peer $(VENV)-peer/bin/python
	$(BIN)/python benchmarks/basins.py
	$(BIN)/python benchmarks/stacked_training.py
	$(BIN)/python benchmarks/monitor_overhead.py
	$(BIN)/python benchmarks/store.py

clean:
	rm -rf $(VENV) $(VENV)-peer $(OUT) $(OUT)-landscape site build dist .pytest_cache .mypy_cache .ruff_cache
