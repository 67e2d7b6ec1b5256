"""Golden folders, and how a test holds the code against them.

Each folder has input.yaml (which names its case), expected.yaml and a README.md with the
calculation by hand. A room's test has a function for each of its cases, from the input to what
was found.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

GOLDEN = Path(__file__).resolve().parent
#: The compiled reader where there is one: six rooms read all folders to find their cases.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
FOLDERS = sorted(path.parent for path in GOLDEN.glob("*/input.yaml"))


def read(folder, name):
    return yaml.load((folder / name).read_text(encoding="utf-8"), Loader=LOADER)


@cache
def case(folder):
    """Which case a folder is of."""
    return read(folder, "input.yaml")["case"]


def of(cases):
    """The folders whose case is one of some cases."""
    return [folder for folder in FOLDERS if case(folder) in cases]


def numbers(values):
    """A list with empty places as an array with nan."""
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def compare(expected, found, where=""):
    if isinstance(expected, dict):
        assert set(expected) == set(found), where
        for key, value in expected.items():
            compare(value, found[key], f"{where}.{key}")
    else:
        assert np.asarray(found).shape == np.asarray(expected).shape, where
        assert np.asarray(found) == pytest.approx(np.asarray(expected), rel=1e-9, abs=1e-9), where


def hold(folder, cases):
    """Hold what the code says against what was calculated by hand."""
    given = read(folder, "input.yaml")
    compare(read(folder, "expected.yaml"), cases[given["case"]](given))
