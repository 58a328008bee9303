#!/usr/bin/env bash
# Make an environment if none is active, then run lint, types and all tests.
set -euo pipefail
cd "$(dirname "$0")/.."
echo "Lint, types and all tests take about 8 minutes on two cores; tests/<folder> as an argument runs fewer."
. scripts/install.sh ".[test]"
ruff check .
ruff format --check .
mypy
# One thread for each of the two workers: more would wait for one another. A module stays on one worker, where its
# fixtures are made once; the costly modules, tests/bundles, come first, so that both workers are busy to the end.
OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadscope --no-loadscope-reorder --durations=30 "$@"
