"""The adapter keeps the contract of its port on a real Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.testing.contracts.workload import CHECKS
from tests.adapters.slurm.conftest import at_once, need_slurm


@pytest.mark.slow
def test_contract(tmp_path: Path) -> None:
    """Every check once; most of their time is Slurm's own waiting, so that some run side by side.

    A job that was requeued may not start before its credential has expired, ten seconds on.
    """
    need_slurm()
    at_once(tmp_path, CHECKS[::-1], clusters=3)  # the long ones are not among the first
