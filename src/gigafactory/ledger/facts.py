"""What one tick tells the ledger: names and order of the numbers in a `facts` frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

#: Readings of a site over the tick, int64. Energy in Wh (IT at rest in micro-watt-hours), water in
#: mL, data that left the site with moved jobs in MB, prices in micro-euro per MWh, carbon
#: intensities in mg per MWh, what tenants are paid beyond flexibility contracts in micro-euro.
#: `heat_wh` is handed over at the site's heat exchanger, `heat_network_wh` what a heat pump makes
#: of it, `heat_pump_wh` the electricity of a pump of the site's own. `water_short_s` is the time
#: cooled without water for want of it, `water_short_wh` what that took more than cooling with it.
METERS: Final = (
    "import_wh",
    "export_wh",
    "charge_wh",
    "discharge_wh",
    "it_wh",
    "it_idle_uwh",
    "network_wh",
    "cooling_wh",
    "auxiliary_wh",
    "losses_wh",
    "heat_wh",
    "heat_demand_wh",
    "water_ml",
    "day_ahead_wh",
    "intraday_wh",
    "planned_it_wh",
    "price_micro_eur",
    "intraday_price_micro_eur",
    "imbalance_price_micro_eur",
    "carbon_mg",
    "guaranteed_wh",
    "data_mb",
    "heat_pump_wh",
    "heat_network_wh",
    "water_short_s",
    "water_short_wh",
    "generation_wh",
    "dumped_wh",
    # the price of what was left over (`imbalance_price_micro_eur` is that of what was short)
    "imbalance_long_micro_eur",
    # balancing reserves: MW sold, not there, unpaid (times the period), energy called and missed
    "fcr_sold_wh",
    "fcr_lacking_wh",
    "fcr_withheld_wh",
    "fcr_missed_wh",
    "fcr_up_wh",
    "fcr_down_wh",
    "fcr_price_micro_eur",
    "afrr_up_sold_wh",
    "afrr_up_lacking_wh",
    "afrr_up_withheld_wh",
    "afrr_up_missed_wh",
    "afrr_up_asked_wh",
    "afrr_up_price_micro_eur",
    "afrr_up_energy_micro_eur",
    "afrr_down_sold_wh",
    "afrr_down_lacking_wh",
    "afrr_down_withheld_wh",
    "afrr_down_missed_wh",
    "afrr_down_asked_wh",
    "afrr_down_price_micro_eur",
    "afrr_down_energy_micro_eur",
    "breach_micro_eur",
)

#: Readings of a generator over the tick, int64: energy made, fuel burnt and fuel delivered (Wh on
#: the lower heating value), fuel in the tank at the end (Wh, -1 where there is no tank), water in
#: mL, seconds at work, starts ordered.
GENERATOR_COLUMNS: Final = (
    "made_wh",
    "fuel_wh",
    "delivered_wh",
    "stock_wh",
    "water_ml",
    "run_s",
    "starts",
)

#: Readings of a group of a pool over the tick, int64.
GROUP_COLUMNS: Final = (
    "used_ns",
    "work_ns",
    "slowed_ns",
    "paused_ns",
    "lost_ns",
    "failed_ns",
    "preempted_ns",
    "restart_ns",
    "used_uwh",
    "energy_uwh",
    "running",
)

#: Readings of a pool over the tick, int64.
POOL_COLUMNS: Final = (
    "installed_ns",
    "awaiting_ns",
    "down_ns",
    "service_ns",
    "held_ns",
    "queued",
    "queued_accelerators",
)

#: Columns of what happened to jobs: a segment opens or closes. `width` is the accelerators it ran
#: on; `why` what a start had waited for (256 times the quota node, plus the kernel's reason), or
#: the job for which a preempted one left (-1 none); of a refusal the rule (and `width` the number
#: of its particulars, counted over the `limits` frames), of a move to another pool that pool;
#: `lost_ns` accelerator-nanoseconds rolled back; `pool` where it happened.
MOVES: Final = {
    "kind": np.uint8,
    "job": np.int32,
    "t_ns": np.int64,
    "energy_uwh": np.int64,
    "width": np.int32,
    "why": np.int32,
    "lost_ns": np.int64,
    "pool": np.int8,
}

#: Readings of a node of a pool's quota tree over a day, accelerator-seconds: held, of these beyond
#: its effective quota, and asked within its nominal quota but not had.
SHARE_COLUMNS: Final = ("held_s", "borrowed_s", "short_s")

#: How what is free in a pool lies at the end of a day, accelerators: all that is free, of these on
#: empty nodes, and the most of them in one pod and in one rack.
FRAGMENT_COLUMNS: Final = ("free", "on_empty_nodes", "in_one_pod", "in_one_rack")

#: Columns of jobs that were submitted in the tick.
ASK: Final = {
    "job": np.int32,
    "submit_ns": np.int64,
    "tenant": np.int16,
    "job_class": np.int8,
    "mission": np.int8,
    "accelerators": np.int32,
    "pool": np.int8,
    "end_state": np.int8,
    "price_micro_eur": np.int64,
}

#: Kinds of moves that open and that close a segment (the kernel's numbers).
OPENS: Final = (1, 2, 3)
FINISH: Final = 4
LIMIT: Final = 5
PAUSE: Final = 6
EVICT: Final = 7
PREEMPT: Final = 8
FAIL: Final = 9
#: Moves that neither open nor close a segment: the rules take a job out, it goes to another pool.
REFUSE: Final = 12
MOVE: Final = 13
#: A job that waits (or is paused) leaves for good: withdrawn, or lost before it ran again.
LEAVE: Final = 14


def _no_generators() -> Ints:
    return np.zeros((0, len(GENERATOR_COLUMNS)), np.int64)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was metered over one tick.

    Attributes:
        meter: int64[sites, len(METERS)].
        contracts: int64[contracts, 2]: Wh taken and Wh curtailed, per power contract.
        groups: int64[pools, classes, len(GROUP_COLUMNS)].
        pools: int64[pools, len(POOL_COLUMNS)].
        moves: columns `MOVES`, in order.
        asks: columns `ASK`.
        generators: int64[generators, len(GENERATOR_COLUMNS)].
    """

    meter: Ints
    contracts: Ints
    groups: Ints
    pools: Ints
    moves: dict[str, npt.NDArray[np.generic]]
    asks: dict[str, npt.NDArray[np.generic]]
    generators: Ints = field(default_factory=_no_generators)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The facts as the arrays of a journal frame."""
        flat: dict[str, npt.NDArray[np.generic]] = {
            "meter": self.meter,
            "contracts": self.contracts,
            "groups": self.groups,
            "pools": self.pools,
        }
        if len(self.generators):
            flat["generators"] = self.generators
        flat |= {f"move.{name}": column for name, column in self.moves.items() if len(column)}
        flat |= {f"ask.{name}": column for name, column in self.asks.items() if len(column)}
        return flat

    @classmethod
    def of(cls, arrays: dict[str, npt.NDArray[np.generic]]) -> Facts:
        """Read the facts back from the arrays of a journal frame."""
        return cls(
            meter=arrays["meter"].astype(np.int64),
            contracts=arrays["contracts"].astype(np.int64),
            groups=arrays["groups"].astype(np.int64),
            pools=arrays["pools"].astype(np.int64),
            moves={n: arrays.get(f"move.{n}", np.zeros(0, t)) for n, t in MOVES.items()},
            asks={n: arrays.get(f"ask.{n}", np.zeros(0, t)) for n, t in ASK.items()},
            generators=arrays.get("generators", _no_generators()).astype(np.int64),
        )
