# make demo: see it work. make test: check it. Both do their own set-up.
VENV ?= .venv
export VENV
RUN = $(VENV)/bin
# cores for the tests that need nothing of the machine but its time
WORKERS ?= 2

.PHONY: demo test test-pure test-real attack check check-fast bench bench-time clean help

help:
	@echo "make demo        the main job in 15 seconds, with your devices or simulated ones"
	@echo "make test        all tests; make test-lowest: with the oldest versions of what it needs"
	@echo "make attack      the campaigns of tests/attack and all pure tests at length: two hours"
	@echo "make check       lint, types, layers"
	@echo "make check-fast  the same and the quick tests, in a minute or so: for every change"
	@echo "make bench       speed against peers; make bench-time: true times against peers"
	@echo "make clean       remove what the others made"

demo: $(VENV)/.demo
	$(RUN)/rxstream demo

# the real tests mostly wait, in two lanes (tests/support/lanes.py); the pure ones go beside
test: $(VENV)/.test
	$(RUN)/python -m pytest -n $$(($(WORKERS) + 1)) --dist loadgroup $(ARGS)

# each by itself: side by side
test-pure: $(VENV)/.test
	$(RUN)/python -m pytest -m "not real" -n $(WORKERS) $(ARGS)

# on real time, devices, the machine for itself: one after the other
test-real: $(VENV)/.test
	$(RUN)/python -m pytest -m real $(ARGS)

# kills, full disks, random schedules and pipelines, an hour or so; then all pure tests, with many
# examples, each seed, and long streams
attack: export RXSTREAM_ATTACK = 1
attack: $(VENV)/.test
	$(RUN)/python -m pytest tests/attack --timeout 7200 $(ARGS)
	$(RUN)/python -m pytest -m "not real" --ignore tests/attack --timeout 7200 -n $(WORKERS) $(ARGS)

check: $(VENV)/.dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/mypy tests/support
	$(RUN)/lint-imports

check-fast: check test-quick

# of each pure test but the long ones the first case, with few examples
test-quick: export HYPOTHESIS_PROFILE = fast
test-quick: export RXSTREAM_QUICK = 1
test-quick: $(VENV)/.test
	$(RUN)/python -m pytest -q -m "not real and not slow and not soak" -n $(WORKERS) $(ARGS)

# the pure tests with the lowest versions that pyproject.toml allows, in an environment of its own
test-lowest:
	VENV=$(VENV)-lowest sh scripts/setup.sh test
	$(RUN)/python scripts/lowest.py > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check -r $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pytest -q -m "not real and not slow" -n $(WORKERS) $(ARGS)

bench: $(VENV)/.bench
	$(RUN)/python benchmarks/run.py $(ARGS)

bench-time: $(VENV)/.bench
	$(RUN)/python benchmarks/timing/timestamps.py $(ARGS)

# what dev installs has all of test
$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: pyproject.toml scripts/setup.sh
	sh scripts/setup.sh $*
	@touch $@ $(if $(filter dev,$*),$(VENV)/.test)

$(VENV)/.bench: $(VENV)/.test benchmarks/requirements.txt
	$(RUN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-* dist build rxstream-demo
