#!/bin/sh
# The Kubernetes client of Python, with which Airflow asks the API server, into $OUT, for the machine's Python.
set -eu
cd "$(dirname "$0")"
export PIP_ROOT_USER_ACTION=ignore
python3 -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
  --require-hashes -r requirements.txt --target "$OUT"
