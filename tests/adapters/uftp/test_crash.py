"""kill -9 of the participant between any two steps of the day, and a restart: nothing lost, nothing
doubled."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import shapeshifter_uftp.uftp as uftp

from tests.adapters.uftp.rig import Rig, waited, whole_day

#: Steps of the day: each write to the store, and before and after each delivery. The day has fewer.
STEPS = 150
#: Every step in CI and in the long form; each seventh otherwise.
STRIDE = 1 if os.environ.get("GIGAFACTORY_EVERY_CUT") else 7
GROUPS = 6


@pytest.mark.slow
@pytest.mark.parametrize("group", range(GROUPS))
def test_killed_at_any_step_no_order_is_lost_or_doubled(
    make_rig: Callable[..., Rig], group: int
) -> None:
    share = STEPS // GROUPS
    reached = 0
    for cut in range(1 + group * share, 1 + (group + 1) * share, STRIDE):
        rig = make_rig(cut=cut)
        day = whole_day(rig)
        waited("the outbox to be empty", rig.quiet)
        reached += rig.restarts
        assert rig.restarts <= 1
        assert day["answer"].result == "Accepted"
        assert [one.order.power_mw for one in rig.store.orders()] == [90.0]
        # every message of ours came, each once by its id, and each of theirs was answered once
        rows = rig.store.messages("gopacs")
        ours = [one.message_id for one in rows if one.direction == "out"]
        came = [one.message_id for one in (*rig.dso.told, *rig.cro.told)]
        assert sorted(came) == sorted(ours)
        answers = [one.detail["to"] for one in rows if "to" in one.detail]
        assert len(answers) == len(set(answers)) == 3  # request, order, settlement
        assert len(rig.dso.of(uftp.FlexOffer)) == len(rig.dso.of(uftp.Metering)) == 1
        assert [one.revision for one in rig.dso.of(uftp.DPrognosis)].count(2) == 1
        statuses = day["settled"].flex_order_settlement_statuses
        assert [one.disposition for one in statuses] == ["Accepted"]
        rig.close()
    if group == GROUPS - 1:
        assert reached == 0, f"the day has more than {STEPS - share} steps: raise STEPS"
    elif group < 3:
        assert reached, "no cut in this group was reached"
