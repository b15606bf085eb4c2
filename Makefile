# Everything a fresh clone needs, with nothing but Python 3.11, pip and make: the tools and each environment
# are fetched by hash when they are first needed, and made anew when what they are made from changes.

PYTHON ?= python3
export PYTHON
# Some environments say so; then every process that a test starts would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

OFFICES = answers attendance_reading circle client_wall digest drafting google_office guard_properties outbox \
  outbox_actions outbox_away outbox_crashes outbox_doubts outbox_groups outbox_telling outlook_office reading \
  replay replies round vanished_meetings

.PHONY: help demo test offices trust lint bench lock clean
.DELETE_ON_ERROR:

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venvs/demo/done ## play one scripted day on this machine and show every mail
	@.venvs/demo/bin/rebookd demo

test: .venvs/dev/done ## run every test
	@.venvs/dev/bin/pytest -n 3 --dist worksteal

offices: .venvs/dev/done ## run the tests of whole offices once more, on PostgreSQL
	@REBOOKD_TESTS_ON=postgresql .venvs/dev/bin/pytest -n 3 --dist worksteal $(OFFICES:%=tests/unit/test_%.py)

trust: .venvs/dev/done ## play every experiment on a promise at full size, and print what each saw
	@REBOOKD_TRUST=full .venvs/dev/bin/pytest tests/trust

lint: .venvs/dev/done ## check style, types, layers, spelling, dependencies and schemas
	@PATH="$(CURDIR)/.venvs/dev/bin:$$PATH" .ci/lint

bench: .venvs/bench/done ## measure against other libraries and tools
	@.venvs/bench/bin/python -m benchmarks

lock: .tools/done ## choose the newest allowed versions anew and lock them by hash
	@PATH="$(CURDIR)/.tools/bin:$$PATH" requirements/lock

clean: ## remove every environment, tool and cache
	rm -rf .venvs .tools .bench .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist

.tools/done: requirements/tools.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rebookd needs Python 3.11 or later; name one: make PYTHON=python3.12")'
	@$(PYTHON) -m pip --version >/dev/null || { echo 'pip is missing: install it (Debian: apt install python3-pip)' >&2; exit 1; }
	@rm -rf .tools
	@$(PYTHON) -m pip install -q --disable-pip-version-check --root-user-action=ignore --require-hashes --target .tools -r $<
	@touch $@

.venvs/%/done: requirements/%.txt pyproject.toml .tools/done
	@echo 'preparing $(@D)'
	@requirements/install $* $(@D)
	@VIRTUAL_ENV=$(@D) .tools/bin/uv -q pip install --offline --no-deps --no-build-isolation --editable .
	@touch $@
