"""The records of the workload-manager port hold what they promise."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gigafactory.jobs import (
    Action,
    Command,
    NodeCommand,
    Outcome,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
    WorkOrder,
)


class Refusing:
    """The smallest manager that is one: nothing runs, everything is refused."""

    def observe(self) -> WorkloadSnapshot:
        return WorkloadSnapshot(at_ns=0, jobs=(), accelerators_up=0)

    def act(self, commands: Sequence[Command]) -> tuple[Receipt, ...]:
        return tuple(Receipt(c.key, Outcome.REFUSED, "nothing runs here") for c in commands)

    def submit(self, orders: Sequence[WorkOrder]) -> tuple[Receipt, ...]:
        return tuple(Receipt(o.key, Outcome.REFUSED, "nothing runs here") for o in orders)

    def act_on_nodes(self, commands: Sequence[NodeCommand]) -> tuple[Receipt, ...]:
        return tuple(Receipt(c.key, Outcome.REFUSED, "there are no nodes") for c in commands)

    def set_budget(self, power_kw: int) -> Receipt:
        return Receipt(f"budget-{power_kw}", Outcome.REFUSED, "nothing runs here")


def test_a_manager_is_one_by_its_shape() -> None:
    manager: WorkloadManager = Refusing()
    assert isinstance(manager, WorkloadManager)
    (receipt,) = manager.act([Command("k1", Action.HOLD, "17")])
    assert (receipt.key, receipt.outcome) == ("k1", "refused")


@pytest.mark.parametrize(
    ("action", "speed"),
    [
        (Action.SET_SPEED, None),
        (Action.SET_SPEED, 0.0),
        (Action.SET_SPEED, 1.5),
        (Action.HOLD, 0.5),
    ],
)
def test_only_set_speed_takes_a_speed_and_a_sane_one(action: Action, speed: float | None) -> None:
    with pytest.raises(AssertionError):
        Command("k", action, "17", speed)


def test_a_command_needs_a_key() -> None:
    with pytest.raises(AssertionError, match="key"):
        Command("", Action.RELEASE, "17")
