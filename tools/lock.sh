#!/bin/sh
# Pins the dependencies of pyproject.toml with hashes, for Python 3.11 and later on Linux and macOS.
# The lock files name no package index (docs/decisions/0004), so that every machine may use its own.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:$PWD/.venv/bin"
command -v uv >/dev/null 2>&1 || { echo "lock: this needs uv" >&2; exit 1; }

pin() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --no-annotate --no-emit-index-url --no-emit-find-links "$@" pyproject.toml
}
pin --extra dev --output-file requirements.lock
# What a container of the service holds, and no more: the same pins.
pin --extra serve --constraint requirements.lock --output-file requirements-serve.lock
# The docs are built in the same environment: their pins follow the first lock.
pin --extra docs --constraint requirements.lock --output-file requirements-docs.lock
if grep -nE '://|--(extra-)?index|--find-links' requirements.lock requirements-serve.lock requirements-docs.lock >&2; then
  echo "lock: an address got into a lock file; see the lines above" >&2
  exit 1
fi
echo "lock: $(grep -c '==' requirements.lock), $(grep -c '==' requirements-serve.lock) and $(grep -c '==' requirements-docs.lock) pins"
