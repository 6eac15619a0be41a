# make demo: see it work. make test: check it. Both do their own set-up.
VENV ?= .venv
export VENV
RUN = $(VENV)/bin

.PHONY: demo test check bench bench-time clean help

help:
	@echo "make demo   the main job in 15 seconds (real devices where there are any, twins otherwise)"
	@echo "make test   all tests; make check: lint, types, layers; make bench, make bench-time: against peers"

demo: $(VENV)/.demo
	$(RUN)/rxstream demo

test: $(VENV)/.test
	$(RUN)/python -m pytest $(ARGS)

check: $(VENV)/.dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/mypy tests/support
	$(RUN)/lint-imports

bench: $(VENV)/.bench
	$(RUN)/python benchmarks/run.py $(ARGS)

bench-time: $(VENV)/.bench
	$(RUN)/python benchmarks/timing/timestamps.py $(ARGS)

$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: pyproject.toml scripts/setup.sh
	sh scripts/setup.sh $*
	@touch $@

$(VENV)/.bench: $(VENV)/.test benchmarks/requirements.txt
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) dist build rxstream-demo
