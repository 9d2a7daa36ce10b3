# `make` alone lists the targets. All files that make and the demonstration write are in .venv/ and instance/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
PYTHON ?= python3
# Two test processes are fastest on two processors, because the programs that they start need time too.
WORKERS ?= 2
FIGURES ?= holds.txt
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help run desk test test-fast holds lint fmt bench handouts audio messages digests review lock release-check

help: ## List the targets and what each one does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: .venv/.run ## Start the demonstration: the site on 127.0.0.1:8000 (PORT=) and its forwarder
	@exec $(BIN)/haumaru demo

desk: .venv/.run ## Open what the demonstration received, on 127.0.0.1:8001 (DESK_PORT=)
	@exec $(BIN)/haumaru-desk serve --config instance/demo/desk.toml

PYTEST := $(BIN)/python -m pytest -n $(WORKERS)
OTHER_PROGRAMS := browser,firefox,postgres,redis,haproxy,nginx,tor,dovecot,compose,espeak

test: .venv/.test ## Set up what the tests need, and run all tests (SKIP=browser,postgres leaves some out; COVERAGE=1 measures branches)
ifdef COVERAGE
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -n $(WORKERS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report
else
	@$(PYTEST)
endif

test-fast: .venv/.test ## Run the tests that need no other server and no browser, without slow tests and reliability tests
	@SKIP=$(OTHER_PROGRAMS) $(PYTEST) -q -m "not slow" --ignore-glob='tests/system/test_holds_*'

holds: .venv/.test ## Run the long reliability tests of docs/holds.md, about an hour; the figures go to the file FIGURES=
	@LONG=1 HOLDS=$(FIGURES) $(BIN)/python -m pytest -s -p no:tests.support.slow tests/system/test_holds_*.py tests/unit/delivery/test_watched.py

lint: .venv/.test ## Run the linters and the type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python deploy/translations.py check

fmt: .venv/.test ## Run the formatter, and the linter's own repairs
	@$(BIN)/ruff check --fix --exit-zero .
	@$(BIN)/ruff format .

bench: .venv/.test ## Run the benchmarks, which print ratios
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file; done

handouts: .venv/.run ## Make the handouts (PDF, in instance/sheets/) and check every page
	@$(BIN)/haumaru build

audio: .venv/.run ## Record the pages that are read aloud, where they have changed (needs espeak-ng); CODE=sm FILE=help FROM=voice.wav takes a speaker's recording
	@$(BIN)/python deploy/audio.py --language "$(CODE)" --file "$(FILE)" $(if $(FROM),--from "$(FROM)") $(if $(OWN),--own "$(OWN)")

messages: .venv/.run ## Update the template and the catalogues of messages from the program (needs gettext)
	@$(BIN)/python deploy/translations.py messages

digests: .venv/.run ## List what each translation lacks; CODE=sm FILE=help records that a file matches today's English
	@$(BIN)/python deploy/translations.py digests --language "$(CODE)" --file "$(FILE)"

review: .venv/.run ## Make the sign-off sheet of a language, for a speaker who works on paper: CODE=sm, and FILE=help for one file
	@$(BIN)/python deploy/translations.py review --language "$(CODE)" --file "$(FILE)"

release-check: .venv/.test ## Check all that a release needs, and build the wheel and its list of parts in dist/
	@$(BIN)/python deploy/release.py

lock: .venv/.test ## Resolve the dependencies into the two lock files
	@$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q \
		pyproject.toml --group build -o requirements.lock
	@$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q \
		pyproject.toml --group build --group dev -o requirements-dev.lock

.venv/.run: requirements.lock pyproject.toml
	@$(PYTHON) deploy/setup.py run

.venv/.test: requirements-dev.lock pyproject.toml tests/tools/package-lock.json deploy/needs.sh
	@$(PYTHON) deploy/setup.py test
