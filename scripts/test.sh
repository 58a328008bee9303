#!/usr/bin/env bash
# Make an environment if none is active, then run lint, types and all tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/install.sh ".[test]"
ruff check .
ruff format --check .
mypy
# one thread for each of the two workers: more would wait for one another
OMP_NUM_THREADS=1 python -m pytest -n 2 "$@"
