"""The benchmark model in PyPSA's words, rolled by PyPSA's own rolling horizon.

Runs in an environment of its own (PyPSA is no dependency): the inputs come as a file, times and
objectives go to one. Constants repeat `benchmarks/cases/energymodel.py`; the objective of every
window is compared with ours, so a difference would be seen.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pypsa
import xarray as xr

LIMIT, EXPORT, WIND, WIND_COST, FACTOR = 200.0, 100.0, 150.0, 55.0, 1.12
POWER, ENERGY, EFFICIENCY, WEAR = 100.0, 400.0, 0.94, 4.0
PEAK, RESERVE, RESERVOIR, START = 2500.0, 50.0, 0.5, 200.0
CLASSES = ((42.0, 75.0), (18.0, 40.0), (10.0, 30.0))
DAY, BLOCK, AHEAD, H = 96, 16, 144, 0.25


def network(given: dict[str, np.ndarray], count: int) -> pypsa.Network:
    """The site as a network of one bus."""
    n = pypsa.Network()
    steps = count * DAY + AHEAD - DAY
    n.set_snapshots(pd.date_range("2024-03-01", periods=steps, freq="15min"))
    names = n.snapshot_weightings.columns
    n.snapshot_weightings = pd.DataFrame(H, index=n.snapshots, columns=names)

    def series(name: str) -> pd.Series:
        return pd.Series(given[name][:steps], n.snapshots)

    n.add("Bus", "site")
    n.add("Load", "fixed", bus="site", p_set=series("load"))
    n.add("Generator", "import", bus="site", p_nom=LIMIT, marginal_cost=series("buy"))
    n.add("Generator", "export", bus="site", p_nom=EXPORT, sign=-1, marginal_cost=-series("sell"))
    wind = series("wind") / WIND
    n.add("Generator", "wind", bus="site", p_nom=WIND, p_max_pu=wind, marginal_cost=WIND_COST)
    for g, (_, most) in enumerate(CLASSES):
        # power at the connection, so that the sign and the factor stand in one place
        n.add("Generator", f"class {g}", bus="site", p_nom=most * FACTOR, sign=-1)
    n.add(
        "StorageUnit",
        "battery",
        bus="site",
        p_nom=POWER,
        max_hours=ENERGY / POWER,
        efficiency_store=EFFICIENCY,
        efficiency_dispatch=EFFICIENCY,
        marginal_cost=WEAR,
        state_of_charge_initial=START,
        cyclic_state_of_charge=False,
    )
    return n


class Rules:
    """What PyPSA has no words for, added to every window's model."""

    def __init__(self, given: dict[str, np.ndarray]) -> None:
        self.given = given
        self.states: list[tuple[float, float]] = []

    def __call__(self, n: pypsa.Network, snapshots: pd.DatetimeIndex) -> None:
        """Add daily energies, reserves and the peak to the window's model."""
        m = n.model
        first = n.snapshots.get_loc(snapshots[0])
        power = m["Generator-p"]
        dim = next(d for d in power.dims if d != "snapshot")
        of = {name: power.sel({dim: name}) for name in n.generators.index}
        gives = m["StorageUnit-p_dispatch"].isel({m["StorageUnit-p_dispatch"].dims[1]: 0})
        takes = m["StorageUnit-p_store"].isel({m["StorageUnit-p_store"].dims[1]: 0})
        energy = m["StorageUnit-state_of_charge"]
        energy = energy.isel({energy.dims[1]: 0})

        work = [of[f"class {g}"] for g in range(len(CLASSES))]
        for g, (average, _) in enumerate(CLASSES):
            for begin in range(0, len(snapshots), DAY):
                day = snapshots[begin : begin + DAY]
                done = work[g].sel(snapshot=day).sum() * (H / FACTOR)
                if len(day) == DAY:
                    m.add_constraints(done == 24.0 * average, name=f"day {g} {begin}")
                else:
                    m.add_constraints(done <= 24.0 * average, name=f"day {g} {begin}")

        blocks = len(snapshots) // BLOCK
        number = pd.Index(range(blocks), name="block")
        at = slice(first // BLOCK, first // BLOCK + blocks)
        offer = {
            way: m.add_variables(0, RESERVE, coords=[number], name=way)
            for way in ("fcr", "up", "down")
        }
        lay = xr.DataArray(
            np.arange(len(snapshots)) // BLOCK, dims=["snapshot"], coords={"snapshot": snapshots}
        )
        fcr, up, down = (offer[way].sel(block=lay) for way in ("fcr", "up", "down"))
        net = of["import"] - of["export"]
        drawn = work[0] + work[1] + work[2]
        most = FACTOR * sum(most for _, most in CLASSES)
        m.add_constraints(net + fcr + down <= LIMIT, name="import room")
        m.add_constraints(-1 * net + fcr + up <= EXPORT, name="export room")
        m.add_constraints(gives + takes <= POWER, name="inverter")
        m.add_constraints(gives - takes + fcr <= POWER, name="battery up")
        m.add_constraints(takes - gives + fcr <= POWER, name="battery down")
        held = energy - fcr * (RESERVOIR / EFFICIENCY)
        m.add_constraints(held >= 0, name="reservoir low")
        m.add_constraints(energy + fcr * (RESERVOIR * EFFICIENCY) <= ENERGY, name="reservoir high")
        m.add_constraints(up - drawn <= 0, name="load up")
        m.add_constraints(down + drawn <= most, name="load down")
        # a block's energy is there when it begins
        eves = snapshots[BLOCK - 1 : -1 : BLOCK]
        eve = energy.sel(snapshot=eves)
        nexts = xr.DataArray(range(1, blocks), dims=["snapshot"], coords={"snapshot": eves})
        later = offer["fcr"].sel(block=nexts)
        m.add_constraints(eve - later * (RESERVOIR / EFFICIENCY) >= 0, name="eve low")
        m.add_constraints(eve + later * (RESERVOIR * EFFICIENCY) <= ENERGY, name="eve high")

        so_far, stored = 0.0, START
        if first:
            so_far = float(n.generators_t.p["import"].iloc[:first].max())
            stored = float(n.storage_units_t.state_of_charge["battery"].iloc[first - 1])
        self.states.append((so_far, stored))
        peak = m.add_variables(so_far, name="peak")
        m.add_constraints(of["import"] - peak <= 0, name="month")
        pay = sum(
            (offer[way] * xr.DataArray(self.given[way][at], coords=[number])).sum() for way in offer
        )
        m.objective = m.objective.expression + peak * PEAK - pay


def main() -> None:
    """Roll, and write times and objectives."""
    warnings.filterwarnings("ignore")
    given = dict(np.load(sys.argv[1]))
    count = int(sys.argv[3])
    n, rules = network(given, count), Rules(given)
    window_s, objective = [], []
    solve = n.optimize.__class__.__call__
    last = [0.0]

    def timed(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        found = solve(self, *args, **kwargs)
        now = time.perf_counter()
        window_s.append(now - last[0])
        last[0] = now
        objective.append(float(n.model.objective.value))
        return found

    n.optimize.__class__.__call__ = timed
    last[0] = time.perf_counter()
    n.optimize.optimize_with_rolling_horizon(
        horizon=AHEAD,
        overlap=AHEAD - DAY,
        extra_functionality=rules,
        solver_name="highs",
        solver_options={"threads": 1, "output_flag": False},
        log_to_console=False,
    )
    found = {"window_s": window_s, "objective_eur": objective, "states": rules.states}
    told = json.dumps({name: values[:count] for name, values in found.items()})
    Path(sys.argv[2]).write_text(told)


if __name__ == "__main__":
    main()
