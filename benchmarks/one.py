"""Run one benchmark in this process and print its numbers as a line of JSON."""

from __future__ import annotations

import json
import sys

from benchmarks import cases
from benchmarks.measuring import CASES, Skipped

if __name__ == "__main__":
    assert cases
    try:
        print(json.dumps(CASES[sys.argv[1]]()))
    except Skipped as reason:
        print(reason)
        sys.exit(77)
