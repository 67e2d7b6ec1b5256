"""Small factories and job files, made up: a few nodes, tight connections, every moving part.

Built through the same door as anyone's: settings as the YAML file spells them, written to a file
and read back with all checks. The figures stand for nothing.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from hypothesis import strategies as st

from gigafactory.engine.streams import stream
from gigafactory.factory import init_text
from gigafactory.grid import MarketCalendar
from gigafactory.grid.calendar import utc_text
from gigafactory.plant import load_catalogue

FIRST_DAY: Final = dt.date(2025, 1, 15)
#: Chips that can do every class of work, with different node sizes among them.
CHIPS: Final = ("H100", "B200", "GB200", "Trainium2")
_CLASSES = (
    "frontier_training",
    "research",
    "fine_tuning",
    "inference_batch",
    "inference_realtime",
)


@dataclass(frozen=True, slots=True)
class SmallPool:
    """A pool of a small factory.

    Attributes:
        chip: of the catalogue.
        nodes: how many nodes.
        late: nodes that arrive on the second day.
    """

    chip: str = "H100"
    nodes: int = 8
    late: int = 0

    @property
    def accelerators(self) -> int:
        """Physical accelerators when complete."""
        return self.nodes * load_catalogue()[self.chip].node_size


@dataclass(frozen=True, slots=True)
class SmallSite:
    """A site of a small factory; powers are shares of the load when everything works.

    Attributes:
        pools: its pools.
        firm: firm import right.
        second_phase: firm right from the second day; None for no phase.
        dark_days: days before the connection is energised.
        battery: power of the battery; None for no battery.
        battery_h: hours it lasts.
        export: export right.
        ppa: capacity of an offshore wind contract; None for none.
    """

    pools: tuple[SmallPool, ...] = (SmallPool(),)
    firm: float = 1.3
    second_phase: float | None = None
    dark_days: int = 0
    battery: float | None = None
    battery_h: float = 2.0
    export: float = 0.0
    ppa: float | None = None

    @property
    def full_mw(self) -> float:
        """Load when every accelerator works, plant included, roughly."""
        chips = load_catalogue()
        it_w = sum(p.accelerators * (max(chips[p.chip].work_w.values()) + 32.0) for p in self.pools)
        return it_w * 1.2 / 1e6


@dataclass(frozen=True, slots=True)
class SmallFactory:
    """A small factory.

    Attributes:
        sites: its sites.
        name: its name.
        changes: dotted settings put in last, such as ``{"policy.oversubscription": 1.2}``.
    """

    sites: tuple[SmallSite, ...] = (SmallSite(),)
    name: str = "small"
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def pools(self) -> tuple[SmallPool, ...]:
        """Every pool, in the order of the factory file."""
        return tuple(pool for site in self.sites for pool in site.pools)

    def settings(self) -> dict[str, Any]:
        """The factory file as plain values."""
        base: dict[str, Any] = yaml.safe_load(init_text(self.name))
        home = base["sites"]["home"]
        base["sites"], base["fleet"] = {}, []
        for s, site in enumerate(self.sites):
            name = f"site{s}"
            base["sites"][name] = _site(copy.deepcopy(home), site)
            for p, pool in enumerate(site.pools):
                base["fleet"].append(_pool(name, f"pool{s}{p}", pool))
            _contracts(base["energy"], name, site)
        for tenant in base["tenants"]:
            tenant["work"] = [w | {"share": "1 %"} for w in tenant["work"]]
            for work in tenant["work"]:
                work.pop("accelerators_max", None)
            tenant["services"] = []
        for path, value in self.changes.items():
            *above, last = path.split(".")
            here = base
            for step in above:
                here = here[step]
            here[last] = value
        return base

    def write(self, path: Path) -> Path:
        """Write the factory file."""
        text = yaml.safe_dump(self.settings(), sort_keys=False, allow_unicode=True)
        path.write_text(text, "utf-8")
        return path


def _mw(value: float) -> str:
    return f"{value:.6f} MW"


def _site(block: dict[str, Any], site: SmallSite) -> dict[str, Any]:
    full = site.full_mw
    wide = 3.0 * max(full * site.firm, full * (site.second_phase or 0.0), full * site.export, 0.1)
    line = block["connection"]
    line |= {
        "capacity": f"{wide:.6f} MVA",
        "circuit_capacity": f"{wide:.6f} MVA",
        "firm": _mw(full * site.firm),
        "export": _mw(full * site.export),
    }
    if site.dark_days:
        line["energised"] = FIRST_DAY + dt.timedelta(days=site.dark_days)
    if site.second_phase is not None:
        day = FIRST_DAY + dt.timedelta(days=max(1, site.dark_days))
        line["phases"] = [{"from": day, "firm": _mw(full * site.second_phase)}]
    block["halls"]["room"] |= {"rack_power_max": "400 kW", "it_power_max": _mw(full)}
    block["auxiliary"] = f"{full * 0.01:.9f} MW"
    return block


def _pool(site: str, name: str, pool: SmallPool) -> dict[str, Any]:
    size = load_catalogue()[pool.chip].node_size
    block: dict[str, Any] = {
        "name": name,
        "site": site,
        "hall": "room",
        "chip": pool.chip,
        "accelerators": pool.accelerators,
        "rack_accelerators": size,
    }
    if pool.late:
        first = FIRST_DAY - dt.timedelta(days=30)
        late = pool.late * size
        block["deliveries"] = [
            {"date": first, "accelerators": pool.accelerators - late},
            {"date": FIRST_DAY + dt.timedelta(days=1), "accelerators": late},
        ]
    return block


def _contracts(energy: dict[str, Any], name: str, site: SmallSite) -> None:
    if site.battery is not None:
        power = site.full_mw * site.battery
        energy["batteries"].append(
            {
                "name": f"battery-{name}",
                "site": name,
                "power": _mw(power),
                "energy": f"{power * site.battery_h:.6f} MWh",
                "efficiency_charge": "95 %",
                "efficiency_discharge": "94 %",
                "soc_min": "10 %",
                "soc_max": "90 %",
                "wear": "10 EUR/MWh",
            }
        )
    if site.ppa is not None:
        energy["ppas"].append(
            {
                "name": f"wind-{name}",
                "site": name,
                "technology": "offshore_wind",
                "capacity": _mw(site.full_mw * site.ppa),
                "price": "60 EUR/MWh",
                "from": FIRST_DAY - dt.timedelta(days=400),
                "until": FIRST_DAY + dt.timedelta(days=400),
                "commissioned": FIRST_DAY - dt.timedelta(days=500),
                "curtail": "60 EUR/MWh",
            }
        )


def write_jobs(
    path: Path, pools: Sequence[SmallPool], count: int, days: float, seed: int, load: float = 1.1
) -> Path:
    """Write a generic job file: bursts, gangs and shared nodes, every class, sensible and wild.

    Args:
        path: the file.
        pools: the fleet.
        count: number of jobs.
        days: over how many days they are submitted.
        seed: of the random stream.
        load: accelerator-hours asked, over those installed in that time.
    """
    draw = stream(seed, "small jobs")
    chips = [p.chip for p in pools]
    total = sum(p.accelerators for p in pools)
    where = draw.choice(len(pools), count, p=np.array([p.accelerators for p in pools]) / total)
    largest = np.array([p.accelerators for p in pools])[where]
    sizes = draw.choice([1, 2, 3, 4, 5, 8, 12, 16, 32, 64], count)
    whole = draw.random(count) < 0.02  # the whole pool at once
    gang = np.where(whole, largest, np.minimum(sizes, largest))
    gaps = np.where(draw.random(count) < 0.3, 0.0, draw.exponential(1.0, count))
    at_s = np.cumsum(gaps) / gaps.sum() * days * 86_400 if gaps.sum() else np.zeros(count)
    wild = draw.lognormal(0.0, 1.4, count)
    work_s = wild * load * total * days * 86_400 / max((gang * wild).sum(), 1e-9)
    work_s = np.clip(work_s, 1.0, 700 * 86_400)
    limit_s = np.maximum(work_s * draw.choice([0.5, 1.0, 1.3, 3.0], count), 60.0)
    class_of = draw.choice(len(_CLASSES), count)
    priority = draw.integers(0, 8, count)
    end = draw.choice(["completed", "failed", "cancelled"], count)
    begin = 1_700_000_000.0
    lines = ["submit,tenant,class,accelerators,work_s,walltime_s,priority,chip,end_state"]
    lines += [
        f"{begin + at_s[i]:.3f},{('lab', 'shop')[i % 2]},{_CLASSES[class_of[i]]},{gang[i]},"
        f"{work_s[i]:.3f},{limit_s[i]:.3f},{priority[i]},{chips[where[i]]},{end[i]}"
        for i in range(count)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_prices(path: Path, calendar: MarketCalendar, without: Sequence[int] = ()) -> Path:
    """Write a price file: a price for every period of a calendar, some periods left out."""
    lines = ["time_utc,price_eur_per_mwh"]
    lines += [
        f"{utc_text(int(start_ns))},{40 + 35 * ((7 * k) % 13 - 5) / 4:.2f}"
        for k, start_ns in enumerate(calendar.start_ns[:-1])
        if k not in without
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


# --- strategies ------------------------------------------------------------------------------


@st.composite
def small_sites(draw: st.DrawFn) -> SmallSite:
    """Sites with one or two pools; connections from far too tight to ample, batteries or none."""
    pools = []
    for _ in range(draw(st.integers(1, 2))):
        nodes = draw(st.integers(2, 12))
        late = draw(st.sampled_from([0, 0, 0, nodes // 2]))
        pools.append(SmallPool(draw(st.sampled_from(CHIPS)), nodes, late))
    shares = st.sampled_from([0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.4])
    return SmallSite(
        pools=tuple(pools),
        firm=draw(shares),
        second_phase=draw(st.none() | shares),
        dark_days=draw(st.sampled_from([0, 0, 0, 1])),
        battery=draw(st.none() | st.sampled_from([0.1, 0.5, 2.0])),
        battery_h=draw(st.sampled_from([0.5, 2.0, 6.0])),
        export=draw(st.sampled_from([0.0, 0.2, 1.0])),
        ppa=draw(st.none() | st.sampled_from([0.3, 1.5])),
    )


@st.composite
def small_factories(draw: st.DrawFn) -> SmallFactory:
    """Factories with one or two sites and one to three pools."""
    sites = draw(st.lists(small_sites(), min_size=1, max_size=2))
    if sum(len(s.pools) for s in sites) > 3:
        sites = sites[:1]
    over = draw(st.sampled_from([1.0, 1.0, 1.5]))
    return SmallFactory(tuple(sites), changes={"policy.oversubscription": over})


@st.composite
def events(draw: st.DrawFn, days: int, sites: int) -> list[dict[str, Any]]:
    """Dated events of a scenario within the first days; none overlap."""
    found: list[dict[str, Any]] = []
    begin = dt.datetime.combine(FIRST_DAY, dt.time())

    def span() -> dict[str, Any]:
        hours = 24 * days
        first = draw(st.integers(0, hours - 2))
        last = draw(st.integers(first + 1, hours))
        return {
            "from": (begin + dt.timedelta(hours=first)).isoformat(),
            "until": (begin + dt.timedelta(hours=last)).isoformat(),
        }

    for kind in draw(st.lists(st.sampled_from(_EVENTS), max_size=3, unique=True)):
        if kind == "connection":
            site = f"site{draw(st.integers(0, sites - 1))}"
            factor = draw(st.sampled_from(["0 %", "20 %", "50 %", "90 %"]))
            found.append({"kind": kind, "site": site, **span(), "factor": factor})
        elif kind == "power":
            whom = draw(st.sampled_from([{"hall": "room"}, {"job_class": "research"}]))
            factor = draw(st.sampled_from(["0 %", "30 %", "80 %"]))
            found.append({"kind": kind, **whom, **span(), "factor": factor})
        elif kind == "grid_outage":
            when = span()
            if draw(st.booleans()):
                when["announced"] = begin.isoformat()
            found.append({"kind": kind, "site": f"site{draw(st.integers(0, sites - 1))}", **when})
        elif kind == "temperature":
            found.append({"kind": kind, **span(), "add": draw(st.sampled_from(["-5 K", "20 K"]))})
        elif kind == "price":
            times = draw(st.sampled_from([0.0, 2.0, -3.0, 20.0]))
            found.append({"kind": kind, **span(), "times": times} if times >= 0 else
                         {"kind": kind, **span(), "add": "-300 EUR/MWh"})  # fmt: skip
        elif kind == "no_spares":
            found.append(
                {
                    "kind": kind,
                    "vendor_country": "US",
                    "from": (begin - dt.timedelta(days=200)).isoformat(),
                    "failures_per_year": draw(st.sampled_from(["10 %", "60 %"])),
                }
            )
    return found


_EVENTS = ("connection", "temperature", "price", "no_spares", "power", "grid_outage")


@st.composite
def generators(draw: st.DrawFn, site: str, full_mw: float) -> list[dict[str, Any]]:
    """Own generators of a site as a file says them: none to three, tanks from empty to ample."""
    found: list[dict[str, Any]] = []
    kinds = ("gas_turbine", "gas_engine", "diesel", "fuel_cell", "solar", "wind", "hydrogen")
    for kind in draw(st.lists(st.sampled_from(kinds), max_size=3, unique=True)):
        power = full_mw * draw(st.sampled_from([0.1, 0.5, 1.5]))
        block: dict[str, Any] = {
            "name": f"own-{kind}",
            "site": site,
            "kind": kind,
            "power": _mw(power),
            "units": draw(st.integers(0, 4)),
            "commissioned": FIRST_DAY + dt.timedelta(days=draw(st.sampled_from([-900, -900, 1]))),
        }
        if kind not in ("solar", "wind"):
            block["fuel_price"] = draw(st.sampled_from(["1 EUR/MWh", "30 EUR/MWh"]))
            hours = draw(st.sampled_from([0.0, 0.4, 5.0, 100.0]))
            if kind in ("diesel", "hydrogen") or draw(st.booleans()):
                block["fuel_stock"] = f"{power * hours * 2.5:.6f} MWh"
                if draw(st.booleans()):
                    block["fuel_delivery"] = f"{power * 2.5:.6f} MWh"
                    block["fuel_delivery_time"] = "6 h"
        found.append(block)
    return found


def write_scenario(path: Path, happens: Sequence[dict[str, Any]]) -> Path:
    """Write a scenario file with some events."""
    scenario = {
        "name": path.stem,
        "title": {"en": "Made up", "nl": "Verzonnen"},
        "explanation": {"en": "For a test.", "nl": "Voor een toets."},
        "events": list(happens),
    }
    path.write_text(yaml.safe_dump(scenario, sort_keys=False), "utf-8")
    return path
