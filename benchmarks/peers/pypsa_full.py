"""The full model of a factory in PyPSA's words, rolled by PyPSA's own rolling horizon.

Runs in an environment of its own: site and series come as a file, times, objectives and the states
each window begins with go to one. How each part is said:

- two buses, the market's and the site's; import and export are links between them. The power
  contract stands on the market's (it does not relieve the connection), what was bought at the gate
  is a negative load there, trade after it a generator each way;
- a bus per class of work, in accelerators: a link per speed segment turns MW of the site into
  work, what is expected is a load, and the backlog is a store that owes (energy below nought);
- battery and engines are a storage unit and a generator; what goes beyond the connection is a
  dear generator.

What PyPSA has no words for is added to each window's model as constraints: accelerators in service,
segments that end where the accelerators do, the inverter shared by both ways, reserves in blocks,
the peak, and what is left at the end of a window.
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

DAY, BLOCK, AHEAD, H = 96, 16, 144, 0.25
BEYOND, MANY = 20_000.0, 1e9


def segments(group: dict) -> list[tuple[float, float, float]]:
    """Columns of a class: extra speed per accelerator, W per unit of work, width in speed."""
    speed, watts = group["speed"], group["active_w"]
    out = [(speed[0], watts[0] / speed[0], 0.0)]
    for k in range(len(speed) - 1):
        width = speed[k + 1] - speed[k]
        out.append((1.0, (watts[k + 1] - watts[k]) / width, width))
    return out


def network(given: dict, site: dict) -> pypsa.Network:
    """Market, site and a bus per class of work."""
    n = pypsa.Network()
    steps = len(given["price"])
    n.set_snapshots(pd.date_range("2024-03-01", periods=steps, freq="15min"))
    names = n.snapshot_weightings.columns
    n.snapshot_weightings = pd.DataFrame(H, index=n.snapshots, columns=names)

    def series(values: np.ndarray) -> pd.Series:
        return pd.Series(values, n.snapshots)

    price, spread = given["price"], site["spread_eur_per_mwh"]
    limit = site["limit_mw"]
    n.add("Bus", "market")
    n.add("Bus", "site")
    buy, sell = series(price + spread), series(spread - price)
    n.add("Generator", "buy", bus="market", p_nom=MANY, marginal_cost=buy)
    n.add("Generator", "sell", bus="market", p_nom=MANY, sign=-1, marginal_cost=sell)
    n.add("Load", "position", bus="market", p_set=series(-given["position"]))
    share = series(given["contract"] / site["contract_mw"])
    n.add(
        "Generator", "contract", bus="market", p_nom=site["contract_mw"], p_max_pu=share,
        marginal_cost=site["taking_eur_per_mwh"],
    )  # fmt: skip
    room = series(given["limit"] / limit)
    n.add(
        "Link", "import", bus0="market", bus1="site", p_nom=limit, p_max_pu=room,
        marginal_cost=site["levy_eur_per_mwh"],
    )  # fmt: skip
    out = np.minimum(site["export_mw"], given["limit"]) / site["export_mw"]
    n.add(
        "Link", "export", bus0="site", bus1="market", p_nom=site["export_mw"],
        p_max_pu=series(out), marginal_cost=site["export_margin_eur_per_mwh"],
    )  # fmt: skip
    n.add("Generator", "beyond", bus="site", p_nom=MANY, marginal_cost=BEYOND)
    n.add(
        "Generator", "engines", bus="site", p_nom=site["engines_mw"],
        marginal_cost=site["engines_eur_per_mwh"],
    )  # fmt: skip
    n.add("Load", "fixed", bus="site", p_set=series(given["load"]))
    n.add(
        "StorageUnit", "battery", bus="site", p_nom=site["battery_mw"],
        max_hours=site["battery_mwh"] / site["battery_mw"],
        efficiency_store=site["charge_efficiency"],
        efficiency_dispatch=site["discharge_efficiency"],
        marginal_cost=site["wear_eur_per_mwh"],
        state_of_charge_initial=site["start_mwh"], cyclic_state_of_charge=False,
    )  # fmt: skip
    for g, group in enumerate(site["groups"]):
        n.add("Bus", f"work {g}")
        for k, (_, watts, _) in enumerate(segments(group)):
            per_mw = 1e6 / (site["site_per_it"] * watts)
            n.add(
                "Link", f"run {g} {k}", bus0="site", bus1=f"work {g}", p_nom=MANY,
                efficiency=per_mw,
            )  # fmt: skip
        n.add("Load", f"asked {g}", bus=f"work {g}", p_set=series(given["asked"][g]))
        n.add("Store", f"backlog {g}", bus=f"work {g}", e_nom=MANY, e_min_pu=-1, e_max_pu=0)
    return n


class Rules:
    """What PyPSA has no words for, added to every window's model."""

    def __init__(self, given: dict, site: dict) -> None:
        self.given, self.site = given, site
        self.states: list[list[float]] = []

    def __call__(self, n: pypsa.Network, snapshots: pd.DatetimeIndex) -> None:
        """Add accelerators, reserves, peak and the worth of the end to the window's model."""
        m, site = n.model, self.site
        first = n.snapshots.get_loc(snapshots[0])
        link = m["Link-p"]
        dim = next(d for d in link.dims if d != "snapshot")
        of = {name: link.sel({dim: name}) for name in n.links.index}
        store = m["Store-e"]
        dim = next(d for d in store.dims if d != "snapshot")
        owed = [store.sel({dim: f"backlog {g}"}) for g in range(len(site["groups"]))]
        self._work(m, of, snapshots, first)
        pay = self._reserves(m, of, snapshots, first)
        self._remember(n, first)
        peak = m.add_variables(self.states[-1][0], name="peak")
        m.add_constraints(of["import"] - peak <= 0, name="month")
        # behind the last whole window PyPSA rolls over what is left, which nobody looks at
        at = min(first // DAY, len(self.given["end_soc"]) - 1)
        cost = m.objective.expression + peak * site["peak_eur_per_mw"] - pay
        last = snapshots[-1]
        for g, group in enumerate(site["groups"]):
            waiting = group["delay_eur_per_gpu_h"] * H / 24.0
            cost = cost - owed[g].sum() * waiting
            # the last step counts what is left at its end, as given
            more = float(self.given["end_delay"][at, g]) - waiting
            cost = cost - owed[g].sel(snapshot=[last]).sum() * more
        energy = self._energy(m).sel(snapshot=[last]).sum()
        m.objective = cost - energy * float(self.given["end_soc"][at])

    def _energy(self, m):  # type: ignore[no-untyped-def]
        energy = m["StorageUnit-state_of_charge"]
        return energy.isel({energy.dims[1]: 0})

    def _work(self, m, of, snapshots, first):  # type: ignore[no-untyped-def]
        """Accelerators in service, and segments of speed up to their widths."""
        site = self.site
        slow = self.given["slow"][first : first + len(snapshots)]
        running = None
        for g, group in enumerate(site["groups"]):
            parts = segments(group)
            per_w = [1e6 / (site["site_per_it"] * watts) for _, watts, _ in parts]
            count = of[f"run {g} 0"] * (per_w[0] / parts[0][0])
            running = count if running is None else running + count
            for k in range(1, len(parts)):
                over = of[f"run {g} {k}"] * per_w[k] - parts[k][2] * count
                m.add_constraints(over <= 0, name=f"segment {g} {k}")
                fast = snapshots[~slow]
                if len(fast):
                    m.add_constraints(over.sel(snapshot=fast) >= 0, name=f"fast {g} {k}")
        m.add_constraints(running <= site["capacity"], name="accelerators")

    def _reserves(self, m, of, snapshots, first):  # type: ignore[no-untyped-def]
        """FCR from the battery, aFRR from battery and work; gives what they earn."""
        site, given = self.site, self.given
        r = site["reserves"]
        gives = m["StorageUnit-p_dispatch"].isel({m["StorageUnit-p_dispatch"].dims[1]: 0})
        takes = m["StorageUnit-p_store"].isel({m["StorageUnit-p_store"].dims[1]: 0})
        energy = self._energy(m)
        blocks = len(snapshots) // BLOCK
        number = pd.Index(range(blocks), name="block")
        at = slice(first // BLOCK, first // BLOCK + blocks)
        offer = {
            way: m.add_variables(0, site["reserve_mw"], coords=[number], name=way)
            for way in ("fcr", "up", "down")
        }
        lay = xr.DataArray(
            np.arange(len(snapshots)) // BLOCK, dims=["snapshot"], coords={"snapshot": snapshots}
        )
        fcr, up, down = (offer[way].sel(block=lay) for way in ("fcr", "up", "down"))
        index = pd.Index(snapshots, name="snapshot")
        by = {w: m.add_variables(0, coords=[index], name=f"battery {w}") for w in ("up", "down")}
        room = given["limit"][first : first + len(snapshots)]
        most = xr.DataArray(room, coords=[index])
        net = of["import"] - of["export"]
        m.add_constraints(net + fcr + down <= most, name="import room")
        out = np.minimum(site["export_mw"], most)
        m.add_constraints(-1 * net + fcr + up <= out, name="export room")
        power, into, give = site["battery_mw"], site["charge_efficiency"], None
        give = site["discharge_efficiency"]
        m.add_constraints(gives + takes <= power, name="inverter")
        m.add_constraints(gives - takes + fcr + by["up"] <= power, name="battery up room")
        m.add_constraints(takes - gives + fcr + by["down"] <= power, name="battery down room")
        hours, ahours = r["fcr_reservoir_h"], r["afrr_reservoir_h"]
        held = energy - fcr * (hours / give) - by["up"] * (ahours / give)
        m.add_constraints(held >= 0, name="reservoir low")
        high = energy + fcr * (hours * into) + by["down"] * (ahours * into)
        m.add_constraints(high <= site["battery_mwh"], name="reservoir high")
        shed = rise = None
        for g, group in enumerate(site["groups"]):
            if not group["sheds"]:
                continue
            parts = segments(group)
            drawn = sum((of[f"run {g} {k}"] for k in range(1, len(parts))), of[f"run {g} 0"])
            full = group["active_w"][-1] / (parts[0][0] * parts[0][1])
            lacks = drawn - of[f"run {g} 0"] * full
            shed = drawn * group["sheds"] if shed is None else shed + drawn * group["sheds"]
            rise = lacks if rise is None else rise + lacks
        m.add_constraints(up - by["up"] - shed <= 0, name="load up")
        m.add_constraints(down - by["down"] + rise <= 0, name="load down")
        eves = snapshots[BLOCK - 1 : -1 : BLOCK]
        eve = energy.sel(snapshot=eves)
        nexts = xr.DataArray(range(1, blocks), dims=["snapshot"], coords={"snapshot": eves})
        later = offer["fcr"].sel(block=nexts)
        m.add_constraints(eve - later * (hours / give) >= 0, name="eve low")
        m.add_constraints(eve + later * (hours * into) <= site["battery_mwh"], name="eve high")
        return sum(
            (offer[way] * xr.DataArray(given[way][at], coords=[number])).sum() for way in offer
        )

    def _remember(self, n, first):  # type: ignore[no-untyped-def]
        """The state the window begins with."""
        groups = range(len(self.site["groups"]))
        state = [0.0, self.site["start_mwh"], *(0.0 for _ in groups)]
        if first:
            state[0] = float(n.links_t.p0["import"].iloc[:first].max())
            state[1] = float(n.storage_units_t.state_of_charge["battery"].iloc[first - 1])
            for g in groups:
                state[2 + g] = -float(n.stores_t.e[f"backlog {g}"].iloc[first - 1])
        self.states.append(state)


def main() -> None:
    """Roll, and write times, objectives and states."""
    warnings.filterwarnings("ignore")
    given = dict(np.load(sys.argv[1], allow_pickle=False))
    site = json.loads(str(given.pop("site")))
    count = site["windows"]
    n, rules = network(given, site), Rules(given, site)
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
