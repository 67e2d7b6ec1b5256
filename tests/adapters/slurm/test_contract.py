"""The adapter keeps the contract of its port on a real Slurm."""

from __future__ import annotations

import pytest

from gigafactory.testing.contracts.workload import CHECKS, Check
from tests.adapters.slurm.conftest import SlurmBench

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(bench: SlurmBench, check: Check) -> None:
    check(bench)
