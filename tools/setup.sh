#!/bin/sh
# Makes .venv from the lock file and installs this package in it, editable.
#
#   tools/setup.sh        what running and developing need   (requirements.lock)
#   tools/setup.sh docs   also what building the docs needs  (requirements-docs.lock)
#
# Uses uv when it is on PATH, else python -m venv and pip; both install by hash. Silent and quick when
# nothing changed: a stamp in .venv holds a checksum of everything the result depends on. The package
# index is whatever this machine is configured for.
set -eu
cd "$(dirname "$0")/.."

part=${1:-dev}
case "$part" in
  dev) lock=requirements.lock ;;
  docs) lock=requirements-docs.lock ;;
  *) echo "setup: '$part' is not a part; there are dev and docs" >&2; exit 2 ;;
esac
stamp=.venv/.stamp-$part
log=.venv/setup.log

fingerprint() { { pwd; cat "$lock" pyproject.toml tools/setup.sh; } | cksum; }

# The package's own files are not in the fingerprint: the install is editable.
if [ -x .venv/bin/python ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ]; then
  exit 0
fi

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if command -v "$name" >/dev/null 2>&1 && new_enough "$name"; then
      command -v "$name"
      return
    fi
  done
  found=$("${PYTHON:-python3}" --version 2>&1) || found="no Python 3"
  echo "setup: this needs Python 3.11 or later, and found $found." >&2
  echo "setup: install a newer one (python.org, your system's packages, or 'uv python install 3.12')," >&2
  echo "setup: or name it: make run PYTHON=/path/to/python3.12" >&2
  exit 1
}

# Runs a command without its chatter; shows the end of it when it fails.
quietly() {
  if ! "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "setup: failed; the whole output is in $log" >&2
    exit 1
  fi
}

if command -v uv >/dev/null 2>&1; then tool=uv; else tool=pip; fi

# The commands in .venv name the folder they were made in: a moved clone makes them anew.
if [ -f .venv/.place ] && [ "$(cat .venv/.place)" != "$PWD" ]; then
  rm -rf .venv
fi
if ! { [ -x .venv/bin/python ] && new_enough .venv/bin/python; }; then
  python=$(find_python)
  echo "setup: making .venv with $("$python" --version) and $tool"
  rm -rf .venv
  if [ "$tool" = uv ]; then
    uv venv --quiet --python "$python" .venv
  elif ! "$python" -m venv .venv; then
    rm -rf .venv
    echo "setup: $python cannot make a virtual environment; on Debian and Ubuntu install python3-venv" >&2
    exit 1
  fi
  pwd >.venv/.place
fi
rm -f "$stamp"

install() {
  if [ "$tool" = uv ]; then
    quietly uv pip install --compile-bytecode --python .venv/bin/python "$@"
  else
    # An environment that uv made has no pip of its own.
    .venv/bin/python -m pip --version >/dev/null 2>&1 || quietly .venv/bin/python -m ensurepip
    quietly .venv/bin/python -m pip install --disable-pip-version-check "$@"
  fi
}

count=$(grep -c '^[a-zA-Z0-9].*==' "$lock")
echo "setup: installing the packages of $lock ($count pins, by hash) with $tool"
# The lock is whole, so nothing is resolved: once a release newer than a pin is out, pip asks a hash for
# that one where a package names an extra (coverage[toml]), and fails.
install --no-deps --require-hashes -r "$lock"
if [ "$part" = dev ]; then
  echo "setup: installing gigafactory itself, editable"
  install --no-deps --no-build-isolation --editable .
fi
fingerprint >"$stamp"
