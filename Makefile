# Every chore is one word. `make demo` and `make test` need nothing but Python 3.11 or uv.
.PHONY: demo test check lint types imports docs golden pins format

demo:  ## a year of real flights through the whole loop, in ./nenrin-demo
	@tools/venv.sh demo
	.venv/bin/nenrin demo

test:  ## the whole test suite
	@tools/venv.sh test
	.venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder  # half of the time tests wait for processes

check: lint types imports test  ## all that has to hold before a change goes in

lint: .dev
	.venv/bin/ruff check
	.venv/bin/ruff format --check

format: .dev
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

types: .dev
	.venv/bin/mypy

imports: .dev  ## rooms import downwards only, without cycles
	.venv/bin/lint-imports

docs: .dev  ## write docs/commands.md and docs/settings.md from the code
	.venv/bin/python tools/reference.py

golden: .dev  ## tests/integrations/golden from what exports write now; read the diff
	.venv/bin/python -m tests.integrations.golden_files

pins: .dev  ## constraints.txt from what is installed and tested now
	.venv/bin/python tools/pins.py

.PHONY: .dev
.dev:
	@tools/venv.sh dev
