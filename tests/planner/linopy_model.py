"""The programme once more, written from the page on the energy plan with another library's words.

Readable and slow: one named constraint per sentence of the page, labelled coordinates, no column
numbers. It shares nothing with the builder but the shapes and numbers it reads.
"""

from __future__ import annotations

from typing import Any

import linopy
import numpy as np
import xarray as xr

from gigafactory.planner.numbers import BEYOND_EUR_PER_MWH, Numbers
from gigafactory.planner.shape import Horizon, SiteShape

linopy.options["semantics"] = "v1"


def series(values: Any, of: str = "t") -> xr.DataArray:
    """An array with a labelled dimension."""
    values = np.asarray(values, dtype=np.float64)
    return xr.DataArray(values, dims=[of], coords={of: np.arange(len(values))})


def state(model: linopy.Model, name: str, level: Any, gain: Any, start: float, h: Horizon) -> None:
    """A level rises by its gain: level - level before = gain, from a start."""
    later = level - level.shift(t=1)
    model.add_constraints(later - gain == 0, name=f"{name} next", mask=series(h.before) >= 0)
    model.add_constraints(level - gain == start, name=f"{name} first", mask=series(h.before) < 0)


def site(model: linopy.Model, s: int, shape: SiteShape, x: Numbers, h: Horizon) -> dict[str, Any]:
    """Everything of one site; gives its terms of the objective and what it moves."""
    n, hours = len(h), series(h.hours)
    on = hours > 0
    room = series(np.maximum(x.limit_mw, 0.0))

    def column(name: str, upper: Any, lower: Any = 0.0) -> Any:
        low = series(np.full(n, lower)) if np.ndim(lower) == 0 else series(lower)
        return model.add_variables(low, upper, name=f"{name} {s}")

    buys = column("import", room)
    sells = column("export", np.minimum(series(x.export_mw), room))
    beyond = column("beyond", series(np.full(n, np.inf)))
    cost = (buys * series(x.import_eur_per_mwh) * hours).sum()
    cost = cost - (sells * series(x.export_eur_per_mwh) * hours).sum()
    cost = cost + (beyond * BEYOND_EUR_PER_MWH * hours).sum()
    supply = buys - sells + beyond

    traded = buys - sells
    for k in range(shape.contracts):
        taken = column(f"contract {k}", series(x.contract_mw[k]))
        cost = cost + (taken * series(x.contract_eur_per_mwh[k]) * hours).sum()
        traded = traded - taken
    if shape.intraday:
        more, fewer = (column(way, series(np.full(n, np.inf))) for way in ("bought", "sold"))
        cost = cost + (more * series(x.buy_eur_per_mwh) * hours).sum()
        cost = cost - (fewer * series(x.sell_eur_per_mwh) * hours).sum()
        bought = series(np.where(h.hours > 0, x.position_mw, 0.0))
        model.add_constraints(traded - more + fewer == bought, name=f"market {s}")
    for k in range(shape.generators):
        made = column(f"generator {k}", series(x.generator_mw[k]).where(on, 0.0))
        supply = supply + made
        cost = cost + (made * series(x.generator_eur_per_mwh[k]) * hours).sum()

    # work: accelerators run at a speed that is a mix of the speeds of the curve
    running, power, moved = 0, 0, {}
    shed, lack = 0, 0
    for g, group in enumerate(shape.groups):
        inf = series(np.full(n, np.inf)).where(on, 0.0)
        count = column(f"running {g}", series(x.most[g]).where(on, 0.0))
        running = running + count
        done, active = count * group.speed[0], count * group.active_w[0] / 1e6
        for k in range(len(group.speed) - 1):
            width = group.speed[k + 1] - group.speed[k]
            extra = column(f"faster {g} {k}", inf)
            least = count * width
            model.add_constraints(extra - least <= 0, name=f"segment {g} {k} {s}")
            model.add_constraints(
                extra - least >= 0, name=f"full speed {g} {k} {s}", mask=series(x.slow) == 0
            )
            done = done + extra
            watts = (group.active_w[k + 1] - group.active_w[k]) / width
            active = active + extra * (watts / 1e6)
        left = column(f"left {g}", series(x.backlog_most[g]))
        gain = series(x.arrivals_gpu_h[g]) - done * hours
        if group.moves:
            comes, goes = column(f"in {g}", inf), column(f"out {g}", inf)
            gain = gain + comes * hours - goes * hours
            cost = cost + (comes * x.move_eur_per_gpu_h * hours).sum()
            moved[g] = (comes, goes)
        state(model, f"left {g} {s}", left, gain, float(x.backlog_gpu_h[g]), h)
        cost = cost + (left * series(x.delay_eur_per_gpu_h[g])).sum()
        power = power + active
        shed = shed + active * group.sheds
        if group.rises:
            lack = lack - active
        elif group.sheds > 0:
            lack = lack + count * (group.active_w[-1] / 1e6) - active
    if shape.groups and shape.shares:
        model.add_constraints(running <= series(x.capacity), name=f"capacity {s}")

    # reserves are one amount per block, held beside everything else in each of its steps
    inside = h.block >= 0
    of = xr.DataArray(np.where(inside, h.block, 0), dims=["t"], coords={"t": np.arange(n)})
    here = series(inside.astype(float))
    promised: dict[str, Any] = {}
    r = shape.reserves
    if r is not None:
        offers = {"fcr": r.fcr and shape.battery_mw > 0, "up": r.afrr_up, "down": r.afrr_down}
        for way in [w for w, yes in offers.items() if yes]:
            low = series(x.held_mw.get(way, np.zeros(h.blocks)), "b")
            high = np.maximum(series(x.sells_mw[way], "b"), low)
            amount = model.add_variables(low, high, name=f"{way} {s}")
            cost = cost - (amount * series(x.product_eur_per_mw[way], "b")).sum()
            promised[way] = amount
    steps = {way: amount.sel(b=of) * here for way, amount in promised.items()}
    owed = {w: series(x.promised_mw.get(w, np.zeros(n))) for w in ("fcr", "up", "down")}
    up = sum((steps[w] for w in ("fcr", "up") if w in steps), start=0) + owed["fcr"] + owed["up"]
    down = sum((steps[w] for w in ("fcr", "down") if w in steps), start=0)
    down = down + owed["fcr"] + owed["down"]
    if r is not None and promised:
        out = np.minimum(series(x.export_mw), room)
        model.add_constraints(buys - sells + down <= room, name=f"import room {s}")
        model.add_constraints(sells - buys + up <= out, name=f"export room {s}")

    carried: dict[str, Any] = {}
    if shape.battery_mw > 0:
        most = series(np.full(n, shape.battery_mw)).where(on, 0.0)
        takes, gives = column("charge", most), column("discharge", most)
        end = np.zeros(n)
        end[-1] = x.soc_end_mwh
        energy = column("energy", series(np.full(n, shape.battery_mwh)), end)
        into, out_of = shape.charge_efficiency, shape.discharge_efficiency
        state(
            model,
            f"energy {s}",
            energy,
            takes * (hours * into) - gives * (hours / out_of),
            x.soc_mwh,
            h,
        )
        model.add_constraints(takes + gives <= shape.battery_mw, name=f"inverter {s}")
        supply = supply - takes + gives
        cost = cost + (gives * shape.wear_eur_per_mwh * hours).sum()
        cost = cost - energy.sel(t=n - 1) * x.soc_eur_per_mwh
        if r is not None and (r.fcr or r.battery_afrr):
            fcr = steps.get("fcr", 0) + owed["fcr"]
            kept = steps.get("fcr", 0) + series(x.stored_mw if len(x.stored_mw) else np.zeros(n))
            if r.battery_afrr:
                inf = series(np.full(n, np.inf))
                carried = {w: column(f"battery {w}", inf) for w in ("up", "down") if w in promised}
            more, less = carried.get("up", 0), carried.get("down", 0)
            model.add_constraints(
                gives - takes + fcr + more <= shape.battery_mw, name=f"battery up {s}"
            )
            model.add_constraints(
                takes - gives + fcr + less <= shape.battery_mw, name=f"battery down {s}"
            )
            low = kept * r.fcr_reservoir_h + more * r.afrr_reservoir_h
            high = kept * r.fcr_reservoir_h + less * r.afrr_reservoir_h
            model.add_constraints(energy - low / out_of >= 0, name=f"low {s}")
            model.add_constraints(energy + high * into <= shape.battery_mwh, name=f"high {s}")
            if "fcr" in promised:
                # on the eve of a block the energy for it is there already
                for t in range(n - 1):
                    b = int(h.block[t + 1])
                    if b >= 0 and b != h.block[t]:
                        need = promised["fcr"].sel(b=b) * r.fcr_reservoir_h
                        eve = energy.sel(t=t)
                        model.add_constraints(eve - need / out_of >= 0, name=f"eve low {s} {t}")
                        model.add_constraints(
                            eve + need * into <= shape.battery_mwh, name=f"eve high {s} {t}"
                        )
    for way, able in (("up", shed), ("down", lack)):
        if way in promised:
            rest = steps[way] + owed[way] - carried.get(way, 0) - able * shape.site_per_it
            most = series(x.rise_mw if way == "down" else np.zeros(n))
            model.add_constraints(rest <= most, name=f"load {way} {s}")
    drawn = power * shape.site_per_it if shape.groups else 0
    model.add_constraints(
        supply - drawn == series(np.where(h.hours > 0, x.load_mw, 0.0)), name=f"balance {s}"
    )
    if shape.peaks:
        months = series(np.arange(h.peaks), "m")
        peak = model.add_variables(series(x.peak_mw, "m"), np.inf + months * 0, name=f"peak {s}")
        month = xr.DataArray(h.peak[:, 0], dims=["t"], coords={"t": np.arange(n)})
        model.add_constraints(buys - peak.sel(m=month) <= 0, name=f"month {s}")
        cost = cost + (peak * series(x.peak_eur_per_mw, "m")).sum()
    return {"cost": cost, "moved": moved}


def objective(shapes: list[SiteShape], numbers: list[Numbers], h: Horizon) -> float | None:
    """The least cost of a line of steps, EUR; None where there is no plan.

    The number is that of the solver with the model written through linopy.
    """
    model = linopy.Model()
    parts = [
        site(model, s, shape, x, h)
        for s, (shape, x) in enumerate(zip(shapes, numbers, strict=True))
    ]
    everywhere = set(parts[0]["moved"]).intersection(*[set(p["moved"]) for p in parts])
    for p, part in enumerate(parts):
        for g, (comes, goes) in part["moved"].items():
            if len(parts) < 2 or g not in everywhere:
                model.add_constraints(comes + goes == 0, name=f"stays {g} {p}")
    for g in sorted(everywhere) if len(parts) > 1 else []:
        comes = sum(part["moved"][g][0] - part["moved"][g][1] for part in parts)
        model.add_constraints(comes == 0, name=f"arrives {g}")
    total = parts[0]["cost"]
    for part in parts[1:]:
        total = total + part["cost"]
    model.add_objective(total)
    status, _ = model.solve(
        "highs", io_api="direct", output_flag=False, log_to_console=False, threads=1
    )
    return float(model.objective.value) if status == "ok" else None
