# `make help` lists the targets. Each does its own set-up (scripts/bootstrap.py); when there is
# nothing to do, that takes a moment.

PYTHON ?= python3
PORT ?= 8000
# Processes that run tests side by side, each on a database of its own.
WORKERS ?= 2
BROKER ?= postgres
export AUDIO STEMS

bootstrap = @command -v "$(PYTHON)" >/dev/null || \
	{ echo "There is no $(PYTHON): name CPython 3.11 with 'make PYTHON=/path/to/python3.11'." >&2; exit 1; }; \
	exec "$(PYTHON)" scripts/bootstrap.py
run = @exec .venv/bin/python
# Without what would report the use of OpenVINO to its authors (docs/adr/0019-backends.md).
resolve = .venv/bin/uv pip compile pyproject.toml \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	$(if $(PIP_FIND_LINKS),--find-links "$(PIP_FIND_LINKS)") \
	--no-emit-package torch --no-emit-package openvino-telemetry --no-emit-index-url --no-emit-find-links \
	--generate-hashes --no-annotate --no-header -q

.PHONY: help demo serve test faults bench screenshots messages lint lock clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' Makefile

demo: ## separate a recording through the API: make demo [AUDIO=file] [STEMS=a,b]
	$(bootstrap) --weights --database --static
	$(run) scripts/demo.py

serve: ## dashboard, API and workers on 127.0.0.1 until Ctrl-C: make serve [PORT=8000]
	$(bootstrap) --weights --database --static
	$(run) scripts/serve.py --port "$(PORT)"

test: ## all tests: make test [ARGS="-k name"]
	$(bootstrap) --weights --database --static
	@# One thread each: the processes stand side by side already, and threads would wait for threads.
	@OMP_NUM_THREADS=1 exec .venv/bin/python -m pytest -n "$(WORKERS)" --dist loadfile --no-loadscope-reorder $(ARGS)

faults: ## order 200 jobs and break the service 60 times meanwhile: make faults [BROKER=redis]
	$(bootstrap) --weights --static
	$(run) -m tests.faults --broker "$(BROKER)" $(ARGS)

bench: ## speed, memory and quality beside the demucs package: make bench [ARGS="--quick"]
	$(bootstrap) --weights
	$(run) -m benchmarks.engine $(ARGS)

screenshots: ## make the pictures of docs/screenshots and static anew
	$(bootstrap) --weights --static
	$(run) -m pytest -q tests/browser/screenshots.py

messages: ## find the texts of pages, and make what is served of their translations
	$(bootstrap)
	$(run) scripts/messages.py

lint: ## style, types, import contracts, migrations, API description
	$(bootstrap)
	$(run) -m ruff check --quiet .
	$(run) -m ruff format --check --quiet .
	@# mypy reads the settings and leaves without its exit handlers: no local database for it.
	@DATABASE_URL=postgresql://unused/unused exec .venv/bin/python -m mypy accounts api benchmarks billing config jobs separation scripts tests web manage.py
	@# The client library runs on older Pythons than the service.
	@exec .venv/bin/python -m mypy --config-file clients/python/pyproject.toml clients/python/src clients/examples
	@exec .venv/bin/lint-imports
	$(run) manage.py makemigrations --check --dry-run
	$(run) manage.py openapi

lock: ## resolve pyproject.toml anew into requirements.lock, and what runs of it
	$(bootstrap)
	@$(resolve) --group dev -o requirements.lock
	@$(resolve) --constraint requirements.lock -o requirements-runtime.lock

clean: ## remove what make has made, database and results included; keep the environment
	@rm -rf var .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
