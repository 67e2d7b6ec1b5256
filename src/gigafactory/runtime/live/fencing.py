"""Two controllers, one cut off from the store: who may act is seen beside the cluster.

While the store answers, it says who leads. A leader that it does not answer any more cannot know
whether the store is gone for all, and then it must go on, or only for itself, and then a standby
may lead by now. So whoever leads notes it beside each cluster (`jobs.Fenced`) before acting, and a
leader without the store looks there before every act: finding another's name, it stops; finding
nothing (`None`), it leaves that cluster alone for this tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gigafactory.jobs.ports import Fenced
from gigafactory.runtime.live.intake import Intake, Replaced
from gigafactory.runtime.live.parts import ClusterPart
from gigafactory.units import NS_PER_S

#: The note is written again after so long, in case somebody else wrote there by mistake.
_AGAIN_NS: Final = 30 * NS_PER_S


@dataclass(slots=True)
class Fence:
    """Which clusters this controller may act on.

    Attributes:
        clusters: by name; one whose manager is not `Fenced` is never kept back.
        intake: the store and the lease.
    """

    clusters: Mapping[str, ClusterPart]
    intake: Intake
    _noted: dict[str, tuple[str, int]] = field(default_factory=dict)

    def note(self, now_ns: int) -> None:
        """Note that we lead, where the store says so."""
        lease = self.intake.lease
        if lease is None or self.intake.away:
            return
        for name, cluster in self.clusters.items():
            holder, at_ns = self._noted.get(name, ("", 0))
            if holder == lease.holder and now_ns - at_ns < _AGAIN_NS:
                continue
            if isinstance(cluster.manager, Fenced) and cluster.manager.lead(lease.holder):
                self._noted[name] = (lease.holder, now_ns)

    def open(self) -> frozenset[str]:
        """Names of the clusters that may be acted upon now.

        Raises:
            Replaced: another controller leads.
        """
        if self.intake.lease is None or not self.intake.away:
            return frozenset(self.clusters)
        found = set()
        for name, cluster in self.clusters.items():
            ours, _ = self._noted.get(name, ("", 0))
            if not isinstance(cluster.manager, Fenced) or not ours:
                found.add(name)  # nothing was noted: nobody can be told apart
                continue
            leader = cluster.manager.leader()
            if leader is None:
                continue
            if leader and leader != ours:
                raise Replaced(leader)
            found.add(name)
        return frozenset(found)
