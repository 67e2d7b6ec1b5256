"""Power of accelerators as NVIDIA's DCGM exporter shows it, summed by node and pool.

Names and labels are those of dcgm-exporter's default counters (``DCGM_FI_DEV_POWER_USAGE`` in W,
``DCGM_FI_DEV_XID_ERRORS``; labels ``gpu``, ``UUID``, ``Hostname``). No GPU is at hand where this is
tested: pages are made up in that format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gigafactory.adapters.metering.judging import Judge, Sample
from gigafactory.adapters.metering.scrape import Line, fetch, new_client, read_page
from gigafactory.plant.ports import Reading

POWER = "DCGM_FI_DEV_POWER_USAGE"
FAULTS = "DCGM_FI_DEV_XID_ERRORS"
#: Pages of nodes are fetched by so many threads at once.
_THREADS = 16


@dataclass(frozen=True, slots=True)
class Missing:
    """What did not report.

    Attributes:
        node: its name.
        accelerators: of it that are missing.
        why: in words.
    """

    node: str
    accelerators: int
    why: str


@dataclass(frozen=True, slots=True)
class Sum:
    """Power of a pool.

    Attributes:
        power_w: of what reported.
        reported: accelerators that did.
        taken_ns: oldest sample among them, ns UTC.
        missing: what did not.
        faults: accelerators whose last XID error is not nought, as ``node/gpu``.
    """

    power_w: float
    reported: int
    taken_ns: int
    missing: tuple[Missing, ...]
    faults: tuple[str, ...]


def pool_sums(
    pools: Mapping[str, Sequence[str]],
    node_size: int,
    pages: Mapping[str, tuple[Sequence[Line], str]],
    now_ns: int,
) -> dict[str, Sum]:
    """Sum the pages of nodes into pools.

    Args:
        pools: names of the nodes of each pool.
        node_size: accelerators of a node.
        pages: per node, the lines of its page and why there are none.
        now_ns: instant of samples that carry none, ns UTC.

    Returns:
        A sum for every pool. An accelerator that stands twice on a page (an exporter started
        twice) counts once: the latest line of its UUID holds.
    """
    sums = {}
    for pool, nodes in pools.items():
        power_w, reported, taken = 0.0, 0, now_ns
        missing, faults = [], []
        for node in nodes:
            lines, why = pages.get(node, ((), "no page was asked for"))
            each = {x.labels.get("UUID") or x.labels.get("gpu", ""): x for x in lines
                    if x.name == POWER}  # fmt: skip
            if len(each) < node_size:
                said = why or f"shows {len(each)} of {node_size} accelerators"
                missing.append(Missing(node, node_size - len(each), said))
            power_w += sum(x.value for x in each.values())
            reported += len(each)
            stamps = [x.taken_ns for x in each.values() if x.taken_ns is not None]
            taken = min([taken, *stamps])
            faults += [
                f"{node}/{x.labels.get('gpu', '?')}" for x in lines if x.name == FAULTS and x.value
            ]
        sums[pool] = Sum(power_w, reported, taken, tuple(missing), tuple(sorted(faults)))
    return sums


class DcgmMeter:
    """A meter that reads the exporters of all nodes; its points are pools, in MW.

    Args:
        urls: page of each node.
        pools: names of the nodes of each pool.
        node_size: accelerators of a node.
        judge: whether samples are good.
        timeout_s: longest wait for a page.
        now_ns: tells the time.
    """

    def __init__(
        self,
        urls: Mapping[str, str],
        pools: Mapping[str, Sequence[str]],
        node_size: int,
        judge: Judge,
        timeout_s: float,
        now_ns: Callable[[], int],
    ) -> None:
        self._urls, self._pools, self._size = dict(urls), dict(pools), node_size
        self.judge, self._now_ns = judge, now_ns
        self._client = new_client(timeout_s)
        #: The sums of the latest reading, by pool.
        self.sums: dict[str, Sum] = {}

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        """Power of the pools asked for, MW; not good where an accelerator did not report."""
        wanted = {p: self._pools[p] for p in points if p in self._pools}
        nodes = sorted({node for names in wanted.values() for node in names})
        asked_ns = self._now_ns()
        with ThreadPoolExecutor(_THREADS) as threads:
            pages = dict(zip(nodes, threads.map(self._page, nodes), strict=True))
        self.sums = pool_sums(wanted, self._size, pages, asked_ns)
        samples = {}
        for pool, total in self.sums.items():
            if total.reported:
                lacking = sum(m.accelerators for m in total.missing)
                why = f"{lacking} accelerators did not report" if lacking else ""
                whole = not total.missing
                samples[pool] = Sample(pool, total.taken_ns, total.power_w / 1e6, whole, why)
        return self.judge.readings(points, samples, now_ns, "" if samples else "no node reported")

    def _page(self, node: str) -> tuple[list[Line], str]:
        """Lines of a node's page, and why there are none."""
        if node not in self._urls:
            return [], "has no exporter in the settings"
        text, why = fetch(self._client, self._urls[node])
        if why:
            return [], why
        try:
            return read_page(text), ""
        except ValueError as error:
            return [], f"sends no exposition page ({error})"

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()
