"""When Slurm's controller was started: who is asked when, and from when work goes on.

The real thing is in `test_trouble`; here are clusters that are not at hand: one whose controller
starts anew for a reconfiguration, and one that does not let us ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gigafactory.adapters.slurm import SlurmSettings
from gigafactory.adapters.slurm.command import Answer, Commands
from gigafactory.adapters.slurm.restarts import Restarts
from gigafactory.units import NS_PER_S

NOW_S = 1_800_000_000


class Cluster(Commands):
    """Answers as a controller that was started at an instant, s."""

    def __init__(self, boot_s: int, *, anew: bool = False, may: bool = True) -> None:
        self.boot_s, self.now_s, self.anew, self.may = boot_s, NOW_S, anew, may
        self.asked: list[int] = []
        self.there = True

    def run(self, argv: Sequence[str], *_: Any, **__: Any) -> Answer:
        if not self.there:
            return Answer("", "", None, "no answer")
        if argv[1] == "reconfigure":
            if not self.may:
                return Answer("", "slurm_reconfigure error: Access/permission denied", 1)
            self.asked.append(self.now_s - NOW_S)
            if self.anew:
                self.boot_s = self.now_s
            return Answer("", "", 0)
        return Answer(
            f"Configuration data as of {self.now_s}\n"
            f"BatchStartTimeout       = 10 sec\nBOOT_TIME               = {self.boot_s}\n"
            "MessageTimeout          = 10 sec\nSlurmdTimeout           = 300 sec\n",
            "", 0,
        )  # fmt: skip


def goes_from(cluster: Cluster, upto_s: int, **settings: object) -> list[int]:
    """The seconds from now at which work may go on, looking once a second."""
    told = SlurmSettings.model_validate({"user": "gf", "partitions": {"h100": "main"}} | settings)
    restarts, found = Restarts(told, cluster), []
    for second in range(upto_s):
        cluster.now_s = NOW_S + second
        if restarts.turn(cluster.now_s * NS_PER_S):
            found.append(second)
    return found


def test_a_young_controller_is_asked_twice_and_work_goes_on_after_the_first() -> None:
    for anew in (False, True):  # 22.05, and what starts anew for a reconfiguration
        cluster = Cluster(NOW_S - 1, anew=anew)
        assert goes_from(cluster, 60) == list(range(3, 60)), anew
        assert cluster.asked == [0, 24], anew


def test_one_whose_nodes_have_all_registered_is_not_asked() -> None:
    cluster = Cluster(NOW_S - 2001)
    assert goes_from(cluster, 10) == list(range(10))
    assert cluster.asked == []


def test_a_start_while_we_look_is_noticed_however_old_we_are() -> None:
    cluster = Cluster(NOW_S - 9000)
    restarts = Restarts(
        SlurmSettings.model_validate({"user": "gf", "partitions": {"h100": "main"}}), cluster
    )
    assert restarts.turn(NOW_S * NS_PER_S)
    cluster.boot_s = cluster.now_s = NOW_S + 5
    assert not restarts.turn(cluster.now_s * NS_PER_S)
    assert cluster.asked == [5]
    cluster.there = False
    cluster.now_s += 1
    assert not restarts.turn(cluster.now_s * NS_PER_S)


def test_where_it_may_not_be_asked_work_waits_until_every_node_has_registered() -> None:
    refused = Cluster(NOW_S - 1900, may=False)
    assert goes_from(refused, 120) == list(range(100, 120))
    silent = Cluster(NOW_S - 1900)
    assert goes_from(silent, 120, reconfigure=False) == list(range(100, 120))
    assert silent.asked == []
