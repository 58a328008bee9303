#!/usr/bin/env bash
# Make the server's own environment, apps/monailabel/.venv or the folder given as argument; Python 3.11.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
venv="${1:-$here/.venv}"
[ -f "$venv/bin/activate" ] || python3 -m venv "$venv" # a try that failed leaves the folder without it
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$here/../.." -r "$here/requirements.txt"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "monailabel==0.8.5"
