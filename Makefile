# `make` alone lists what there is. People and CI call the same targets.
PYTHON ?= python3
SERVICES ?= 12
INCIDENT ?= notebooks/incidents/energy_events/incident.yaml
INCIDENTS ?= notebooks/incidents
ENV := .venv
RUN := $(ENV)/bin/python
STAMP := $(ENV)/.installed
LAB_STAMP := $(ENV)/.lab
TESTS_STAMP := $(ENV)/.tests
PIP = $(RUN) -m pip install --disable-pip-version-check
LAB_FOLDER ?= lab

.DEFAULT_GOAL := help
.PHONY: help install postmortem check test test-all traces lab lint bench fleet clean

help:  ## list what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@echo "installing into $(ENV), once"
	@test -x $(RUN) || $(PYTHON) -m venv $(ENV)
	@$(PIP) --progress-bar on -r requirements.txt
	@$(RUN) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "incident-kit.pth").write_text("$(CURDIR)\n")'
	@touch $@

$(LAB_STAMP): $(STAMP) notebooks/requirements.txt
	@$(PIP) --progress-bar on -r notebooks/requirements.txt
	@touch $@

$(TESTS_STAMP): $(STAMP) tests/requirements.txt notebooks/requirements.txt
	@$(PIP) --progress-bar on -r tests/requirements.txt
	@echo "making the environments that the tests start applications in, once"
	@$(RUN) tests/environments.py
	@PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -q --collect-only tests >/dev/null  # compiled once, and not by each of its workers
	@touch $@ $(LAB_STAMP)

install: $(STAMP)  ## install what the kit needs into .venv

postmortem: $(STAMP)  ## run the bundled incident, INCIDENT=path/to/incident.yaml, or APP=folder LOG=file, to its page
ifdef APP
	@to="results/incidents/$(notdir $(abspath $(APP)))-$$(date +%Y%m%d-%H%M%S)"; \
	$(RUN) -m kit new "$$to" --app "$(APP)" $(if $(LOG),--log "$(LOG)") $(if $(APP_PYTHON),--python "$(APP_PYTHON)"); code=$$?; \
	case $$code in 0|3) ;; *) exit $$code ;; esac; \
	$(RUN) -m kit postmortem "$$to"; code=$$?; [ $$code -eq 1 ] || exit $$code  # 1: it reproduces, and has no fix yet
else
	@$(RUN) -m kit postmortem "$(INCIDENT)"
endif

check: $(STAMP)  ## say whether the bundled postmortems, or those below INCIDENTS=folder, are still true
	@$(RUN) -m kit check $(INCIDENTS)

test: $(TESTS_STAMP)  ## pass the tests, in about ten minutes on two cores
	@PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -q -n 5 --dist loadgroup -m "not slow" tests  # what starts the kit again and again compiles it once

test-all: $(TESTS_STAMP)  ## pass the others: every SQLAlchemy and interpreter, kills, the fleet, long histories, hostile text in JupyterLab
	@PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest -q -n 4 --dist loadgroup -m slow tests

traces: $(TESTS_STAMP)  ## keep the traces of the miniature applications that changed, or ONLY="a b", or ONLY=all
	@$(RUN) tests/make_traces.py $(ONLY)

lab: $(LAB_STAMP)  ## open the notebooks in JupyterLab, in a copy at LAB_FOLDER=lab; LAB="..." gives it further options
	@$(RUN) -m kit notebooks $(LAB_FOLDER)
	@cd $(LAB_FOLDER) && JUPYTER_CONFIG_PATH=$(CURDIR)/notebooks/.jupyter $(CURDIR)/$(ENV)/bin/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB)

lint: $(TESTS_STAMP)  ## what ruff says, and whether every import goes down through the rooms
	@$(RUN) -m ruff check kit tests
	@$(RUN) -m ruff format --check kit tests
	@$(ENV)/bin/lint-imports --no-cache

bench: $(TESTS_STAMP)  ## measure how fast it is, or parts of it: ONLY="probe trace"
	@$(RUN) tests/benchmarks/bench.py $(ONLY)

fleet: $(TESTS_STAMP)  ## verify every build of SERVICES=12 generated services on a Dask cluster, or EXECUTOR=dask://host:port, and here: are they the same?
	@$(RUN) tests/benchmarks/fleet.py --services $(SERVICES) $(if $(EXECUTOR),--executor "$(EXECUTOR)")

clean:  ## remove what the targets made
	rm -rf $(ENV) .environments results lab .pytest_cache .hypothesis .ruff_cache
