# Sourced by demo.sh and test.sh: an environment with the package in it. Argument: what to install, "." or ".[test]".
if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -f .venv/bin/activate ] || python3 -m venv .venv # a try that failed leaves the folder without it
    . .venv/bin/activate
fi
python -m pip install --quiet --disable-pip-version-check --editable "$1"
