"""Own generation: what can run, what it burns, emits and costs. Pure functions over arrays.

A **kind** is a technology with its figures (``data/generators.yaml``, each with range, source,
year, state and mark). A **generator** is a plant of a kind at a site: one or more equal units
behind one fuel stock. It does not exist before the day it is commissioned.

Fuel follows a straight line from no load to full load::

    fuel = heat_rate * (no_load_share * capacity running + (1 - no_load_share) * output)

with as many units running as the output needs. Energies of fuel are on the lower heating value, all
outputs are net at the site's bus, MW. A generator that is asked for less than its least load
runs at its least load; what nobody takes is the caller's to store or to burn in a load bank.

**Validity.** Periods from a second to an hour. A unit that has started stands at its least load,
can take a block of load at once and then ramps in a straight line. Speed, voltage and reactive
power are not here; part-load curves are straight; ambient temperature does not derate.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, outside, refuse
from gigafactory.plant.provenance import Source, read_source, read_yaml

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

BUNDLED: Final = Path(__file__).parent / "data" / "generators.yaml"

#: What makes a generator run: fuel, weather, or neither (geothermal).
DRIVERS: Final = ("fuel", "weather", "steady")

_DAYS_PER_YEAR: Final = 365.25
_MIN_PER_H: Final = 60.0
_NS_PER_DAY: Final = 86_400_000_000_000
_EPOCH: Final = dt.date(1970, 1, 1)

_EVERY_KIND: Final = (
    "variable_eur_per_mwh",
    "lead_years",
    "nox_kg_per_mwh",
    "water_l_per_kwh",
    "life_co2_kg_per_mwh",
    "levelised_eur_per_mwh",
)
_ON_DEMAND: Final = (
    "start_eur_per_mw",
    "start_min",
    "ramp_share_per_min",
    "block_share",
    "min_load_share",
    "run_h_max",
)
_ON_FUEL: Final = ("heat_rate_mwh_per_mwh", "no_load_share")


@dataclass(frozen=True, slots=True)
class Range:
    """One figure with its range and its origin; the unit is the end of the figure's key.

    Attributes:
        unit: unit of the three numbers, as the end of the key says it.
        low: lowest value worth a calculation.
        base: the value used where nothing better is known.
        high: highest value.
        source: where it comes from.
    """

    unit: str
    low: float
    base: float
    high: float
    source: Source


@dataclass(frozen=True, slots=True)
class Fuel:
    """A fuel: its price and what burning it emits.

    Attributes:
        name: its key.
        stored: whether it stands in a tank at the site, so that its stock must be said.
        figures: ``price_eur_per_mwh`` and ``co2_kg_per_mwh``, per MWh of fuel.
    """

    name: str
    stored: bool
    figures: Mapping[str, Range]


@dataclass(frozen=True, slots=True)
class Kind:
    """A technology of generation.

    Attributes:
        name: its key.
        driver: one of `DRIVERS`.
        fuel: the fuel, or None.
        black_start: whether it starts without power from elsewhere.
        figures: by key; all kinds have cost, lead time, NOx, water and life-cycle carbon, those
            that run when asked have start, ramp, block, least load and run hours besides.
        note: what a reader should know before using it.
    """

    name: str
    driver: str
    fuel: Fuel | None
    black_start: bool
    figures: Mapping[str, Range]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Generator:
    """A plant of one kind at a site. Build one with `typical` and change what is known.

    Attributes:
        name: its name at the site.
        kind: name of its technology.
        driver: one of `DRIVERS`.
        capacity_mw: net output of all units together.
        commissioned: first day on which it exists; it begins at 00:00 UTC.
        units: equal units behind one fuel stock; one may run alone.
        fuel_stock_mwh: fuel at the site, MWh; infinite where it comes by pipe or is not needed.
        fuel_eur_per_mwh: price of a MWh of fuel.
        fuel_co2_kg_per_mwh: emitted at the stack per MWh of fuel.
        heat_rate_mwh_per_mwh: fuel per MWh of power at full load; 0 where no fuel is burnt.
        no_load_share: share of full-load fuel that a running unit burns at no load.
        variable_eur_per_mwh: upkeep per MWh of power.
        start_eur_per_mw: cost of a start, per MW of capacity.
        start_min: from the order to the least load on the bus, synchronised.
        ramp_share_per_min: change of output a minute, share of the capacity that runs.
        block_share: load taken at once, share of the capacity that runs.
        min_load_share: least load of a unit, share of the unit.
        run_h_max: hours it may run in a year.
        nox_kg_per_mwh: NOx per MWh of power.
        water_l_per_kwh: water consumed per kWh of power.
        black_start: whether it starts without power from elsewhere.
    """

    name: str
    kind: str
    driver: str
    capacity_mw: float
    commissioned: dt.date
    units: int = 1
    fuel_stock_mwh: float = math.inf
    fuel_eur_per_mwh: float = 0.0
    fuel_co2_kg_per_mwh: float = 0.0
    heat_rate_mwh_per_mwh: float = 0.0
    no_load_share: float = 0.0
    variable_eur_per_mwh: float = 0.0
    start_eur_per_mw: float = 0.0
    start_min: float = 0.0
    ramp_share_per_min: float = 1.0
    block_share: float = 1.0
    min_load_share: float = 0.0
    run_h_max: float = 8784.0
    nox_kg_per_mwh: float = 0.0
    water_l_per_kwh: float = 0.0
    black_start: bool = True

    def __post_init__(self) -> None:
        problems = outside(f"generator {self.name}", self, **_BOUNDS)
        if self.driver not in DRIVERS:
            why = f"must be one of {', '.join(DRIVERS)}"
            problems.append(Problem(f"generator {self.name}", "driver", self.driver, why))
        if self.driver == "fuel" and not self.heat_rate_mwh_per_mwh > 0.0:
            why = "what runs on fuel burns some: must be above 0"
            problems.append(Problem(f"generator {self.name}", "heat_rate_mwh_per_mwh", "", why))
        if not isinstance(self.units, int) or self.units < 1:
            why = "must be a whole number of 1 or more"
            problems.append(Problem(f"generator {self.name}", "units", str(self.units), why))
        if problems:
            raise BadInput(problems)

    @property
    def marginal_eur_per_mwh(self) -> float:
        """Cost of one more MWh at full load: fuel price x heat rate + upkeep; no price of CO2."""
        return self.fuel_eur_per_mwh * self.heat_rate_mwh_per_mwh + self.variable_eur_per_mwh

    @property
    def stack_co2_kg_per_mwh(self) -> float:
        """CO2 at the stack per MWh of power at full load."""
        return self.fuel_co2_kg_per_mwh * self.heat_rate_mwh_per_mwh


_BOUNDS: Final = {
    "capacity_mw": (1e-6, 1e5),
    "fuel_stock_mwh": (0.0, math.inf),
    "fuel_eur_per_mwh": (0.0, 1e5),
    "fuel_co2_kg_per_mwh": (0.0, 1e3),
    "heat_rate_mwh_per_mwh": (0.0, 20.0),
    "no_load_share": (0.0, 1.0),
    "variable_eur_per_mwh": (0.0, 1e5),
    "start_eur_per_mw": (0.0, 1e6),
    "start_min": (0.0, 1e5),
    "ramp_share_per_min": (1e-6, 1e3),
    "block_share": (0.0, 1.0),
    "min_load_share": (0.0, 1.0),
    "run_h_max": (0.0, 8784.0),
    "nox_kg_per_mwh": (0.0, 1e3),
    "water_l_per_kwh": (0.0, 1e3),
}


def kinds() -> Mapping[str, Kind]:
    """The technologies of the package by name, each figure with range and origin."""
    return _bundled()


def typical(
    kind: str,
    capacity_mw: float,
    commissioned: dt.date,
    *,
    name: str = "",
    **changes: Any,
) -> Generator:
    """A typical generator of a kind, with whatever is known changed.

    Args:
        kind: a name of `kinds`.
        capacity_mw: net output of all units.
        commissioned: first day on which it exists.
        name: its name; that of the kind where left out.
        changes: any other field of `Generator`.

    Raises:
        BadInput: an unknown kind or field, a value out of range, a stock that must be said and was
            not (fuel in a tank).
    """
    known = kinds()
    if kind not in known:
        raise refuse("generator", "kind", kind, f"must be one of {', '.join(known)}")
    of = known[kind]
    settable = {field.name for field in fields(Generator)} - {"kind", "driver"}
    unknown = sorted(set(changes) - settable)
    problems = [
        Problem(f"generator {name or kind}", key, str(changes[key]), "no such field")
        for key in unknown
    ]
    if of.fuel is not None and of.fuel.stored and "fuel_stock_mwh" not in changes:
        why = f"{of.fuel.name} stands in a tank: say how much, MWh on the lower heating value"
        problems.append(Problem(f"generator {name or kind}", "fuel_stock_mwh", "", why))
    if problems:
        raise BadInput(problems)
    given: dict[str, Any] = {
        key: figure.base for key, figure in of.figures.items() if key in settable
    }
    if of.fuel is not None:
        given["fuel_eur_per_mwh"] = of.fuel.figures["price_eur_per_mwh"].base
        given["fuel_co2_kg_per_mwh"] = of.fuel.figures["co2_kg_per_mwh"].base
    given |= {"black_start": of.black_start} | changes
    return Generator(name or kind, kind, of.driver, capacity_mw, commissioned, **given)


def commissioned_on(kind: str, ordered: dt.date, case: str = "base") -> dt.date:
    """The day a generator ordered on a day exists, by the lead time of its kind.

    Args:
        kind: a name of `kinds`.
        ordered: day of the order.
        case: "low", "base" or "high": which end of the range of the lead time.

    Raises:
        BadInput: an unknown kind or case.
    """
    problems = []
    if kind not in kinds():
        problems.append(Problem("generator", "kind", kind, f"one of {', '.join(kinds())}"))
    if case not in ("low", "base", "high"):
        problems.append(Problem("generator", "case", case, "one of low, base, high"))
    if problems:
        raise BadInput(problems)
    years: float = getattr(kinds()[kind].figures["lead_years"], case)
    return ordered + dt.timedelta(days=math.ceil(years * _DAYS_PER_YEAR))


def available_mw(
    generator: Generator, at_ns: npt.ArrayLike, capacity_factor: npt.ArrayLike = 1.0
) -> Array:
    """What a generator could give at each instant if asked, MW.

    Args:
        generator: the generator.
        at_ns: instants, nanoseconds UTC since 1970, shape [P].
        capacity_factor: share of the capacity that is there, 0..1, shape [P] or one number: what
            the weather gives, or what is not under repair.

    Returns:
        MW, shape [P]; 0 before the generator is commissioned.

    Raises:
        BadInput: a share outside 0..1 or not finite.
    """
    at = np.asarray(at_ns, dtype=np.int64)
    factor = np.asarray(capacity_factor, dtype=np.float64)
    if not np.all(np.isfinite(factor)) or np.any(factor < 0.0) or np.any(factor > 1.0):
        where = f"generator {generator.name}"
        raise refuse(where, "capacity_factor", None, "must be finite and from 0 to 1")
    born_ns = (generator.commissioned - _EPOCH).days * _NS_PER_DAY
    return np.asarray(np.where(at >= born_ns, generator.capacity_mw * factor, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Fleet:
    """Several generators as arrays of shape [G]; build it with `Fleet.of`.

    Attributes:
        generators: the generators, in the order of the arrays.
        capacity_mw: net output.
        unit_mw: net output of one unit.
        min_mw: least load of one unit.
        ramp_mw_per_h: ramp of all units.
        block_mw: load taken at once by all units.
        start_h: from order to least load.
        heat_rate_mwh_per_mwh: fuel per MWh at full load.
        no_load_share: share of full-load fuel burnt at no load.
        run_h_max: hours it may run in a year.
        marginal_eur_per_mwh: cost of one more MWh.
        weather: whether the weather makes it run.
    """

    generators: tuple[Generator, ...]
    capacity_mw: Array
    unit_mw: Array
    min_mw: Array
    ramp_mw_per_h: Array
    block_mw: Array
    start_h: Array
    heat_rate_mwh_per_mwh: Array
    no_load_share: Array
    run_h_max: Array
    marginal_eur_per_mwh: Array
    weather: Flags

    @classmethod
    def of(cls, generators: Sequence[Generator]) -> Fleet:
        """The arrays of some generators, in their order.

        Raises:
            BadInput: two generators of one name.
        """
        names = [g.name for g in generators]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise refuse("generators", "name", ", ".join(doubled), "each needs a name of its own")

        def all_of(name: str) -> Array:
            return np.array([getattr(g, name) for g in generators], dtype=np.float64)

        capacity = all_of("capacity_mw")
        unit = capacity / all_of("units") if len(generators) else capacity
        return cls(
            generators=tuple(generators),
            capacity_mw=capacity,
            unit_mw=unit,
            min_mw=unit * all_of("min_load_share"),
            ramp_mw_per_h=capacity * all_of("ramp_share_per_min") * _MIN_PER_H,
            block_mw=capacity * all_of("block_share"),
            start_h=all_of("start_min") / _MIN_PER_H,
            heat_rate_mwh_per_mwh=all_of("heat_rate_mwh_per_mwh"),
            no_load_share=all_of("no_load_share"),
            run_h_max=all_of("run_h_max"),
            marginal_eur_per_mwh=all_of("marginal_eur_per_mwh"),
            weather=np.array([g.driver == "weather" for g in generators], dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.generators)


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Where the generators of a fleet stand, each field of shape [G].

    Attributes:
        level_mw: output at this instant.
        running: whether it is synchronised.
        starting_h: time since the order to start; 0 when running or off.
        fuel_mwh: fuel left.
        run_h: hours run this year.
    """

    level_mw: Array
    running: Flags
    starting_h: Array
    fuel_mwh: Array
    run_h: Array


def at_rest(fleet: Fleet, run_h: npt.ArrayLike = 0.0) -> State:
    """The state of a fleet that stands still with full stocks.

    Args:
        fleet: the generators.
        run_h: hours they have run this year, shape [G] or one number.
    """
    none = np.zeros(len(fleet))
    stock = np.array([g.fuel_stock_mwh for g in fleet.generators], dtype=np.float64)
    ran = np.broadcast_to(np.asarray(run_h, dtype=np.float64), none.shape).copy()
    return State(none, none > 0.0, none, stock, ran)


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """What the generators of a fleet did in a period, each field of shape [G].

    Attributes:
        energy_mwh: power made.
        fuel_burnt_mwh: fuel burnt.
        running_h: time synchronised.
        starts_count: 1 where a start was ordered, else 0.
        fuel_out: whether it stopped for want of fuel.
        hours_out: whether it stopped at its limit of run hours.
    """

    energy_mwh: Array
    fuel_burnt_mwh: Array
    running_h: Array
    starts_count: Array
    fuel_out: Flags
    hours_out: Flags


def step(
    fleet: Fleet,
    state: State,
    wanted_mw: npt.ArrayLike,
    hours: float,
    available_mw: npt.ArrayLike | None = None,
) -> tuple[State, Output]:
    """Run a fleet over a period.

    Args:
        fleet: the generators.
        state: where they stand at its start.
        wanted_mw: output asked of each, shape [G]; 0 stops it (at once: a stop takes no time here),
            anything above starts it, and a running one holds at least the least load of a unit.
        hours: length of the period, above zero.
        available_mw: what each could give now, shape [G]; the capacity where left out.

    Returns:
        ``(state, output)``. A fuel stock or a limit of run hours that ends within the period ends
        the output there; fuel is never below zero.
    """
    most = fleet.capacity_mw if available_mw is None else np.asarray(available_mw, dtype=np.float64)
    wanted = np.minimum(np.maximum(np.asarray(wanted_mw, dtype=np.float64), 0.0), most)
    can = (most >= fleet.min_mw) & (state.fuel_mwh > 0.0) & (state.run_h < fleet.run_h_max)
    on = (wanted > 0.0) & (fleet.weather | can)
    waited = np.where(on & ~state.running, state.starting_h + hours, 0.0)
    # a start that is done to the last nanosecond is done
    up = on & (state.running | fleet.weather | (waited >= fleet.start_h - 1e-12))
    running_h = np.where(
        up, np.where(state.running, hours, np.minimum(waited - fleet.start_h, hours)), 0.0
    )
    running_h = np.where(fleet.weather & up, hours, np.maximum(running_h, 0.0))

    target = np.where(fleet.weather, wanted, np.clip(wanted, fleet.min_mw, None))
    begin = np.where(state.running, state.level_mw, fleet.min_mw)
    begin = np.where(fleet.weather, wanted, begin)
    begin = np.clip(target, begin - fleet.block_mw, begin + fleet.block_mw)
    reach = fleet.ramp_mw_per_h * running_h
    end = np.clip(target, begin - reach, begin + reach)
    ramping_h = np.abs(end - begin) / fleet.ramp_mw_per_h
    energy = np.where(up, (begin + end) / 2 * ramping_h + end * (running_h - ramping_h), 0.0)

    units = np.ceil(np.maximum(begin, end) / fleet.unit_mw - 1e-9)
    idle = fleet.no_load_share * fleet.unit_mw * units * running_h
    burnt = fleet.heat_rate_mwh_per_mwh * (idle + (1.0 - fleet.no_load_share) * energy)
    left_h = np.maximum(fleet.run_h_max - state.run_h, 0.0)
    dry = up & (burnt > state.fuel_mwh)
    late = up & ~fleet.weather & (running_h > left_h)
    by_fuel = np.divide(state.fuel_mwh, burnt, out=np.ones_like(burnt), where=dry)
    by_hours = np.divide(left_h, running_h, out=np.ones_like(burnt), where=late)
    part = np.minimum(by_fuel, by_hours)
    burnt = np.where(dry & (by_fuel <= by_hours), state.fuel_mwh, burnt * part)

    stays = up & ~dry & ~late
    after = State(
        level_mw=np.where(stays, end, 0.0),
        running=stays,
        starting_h=np.where(up, 0.0, waited),
        fuel_mwh=np.maximum(state.fuel_mwh - burnt, 0.0),
        run_h=state.run_h + running_h * part,
    )
    begun = on & ~state.running & ~fleet.weather & (state.starting_h == 0.0)
    return after, Output(
        energy_mwh=energy * part,
        fuel_burnt_mwh=burnt,
        running_h=running_h * part,
        starts_count=begun.astype(np.float64),
        fuel_out=dry & (by_fuel <= by_hours),
        hours_out=late & (by_hours < by_fuel),
    )


def lasting_mw(fleet: Fleet, state: State, hours: float) -> Array:
    """The output each generator's stock and run hours allow for a whole period, MW, shape [G].

    So a stock that ends hands over at the edge of a period, not within one. Whole units burn the
    heat rate exactly; what is left after them may carry one unit more in part.

    Args:
        fleet: the generators.
        state: where they stand.
        hours: length of the period, above zero.
    """
    burns = fleet.heat_rate_mwh_per_mwh > 0.0
    rate = np.where(burns, fleet.heat_rate_mwh_per_mwh, 1.0) * hours
    full = np.where(burns, state.fuel_mwh / rate, np.inf)
    full = np.minimum(full, 10.0 * fleet.capacity_mw)
    whole = np.floor(full / fleet.unit_mw + 1e-12) * fleet.unit_mw
    idle = fleet.no_load_share
    part = (full - whole - idle * fleet.unit_mw) / np.maximum(1.0 - idle, 1e-9)
    level = whole + np.maximum(part, 0.0)
    least = np.maximum(fleet.min_mw, 1e-6 * fleet.capacity_mw)
    level = np.where(level >= least, level, 0.0)
    timed = ~fleet.weather & (fleet.run_h_max - state.run_h < hours - 1e-12)
    return np.asarray(np.where(timed, 0.0, level))


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What some output cost and emitted, each field of shape [G].

    Attributes:
        cost_eur: fuel, upkeep and starts; without the price of CO2 and without capital.
        co2_kg: at the stack.
        nox_kg: at the stack.
        water_m3: consumed at the plant.
    """

    cost_eur: Array
    co2_kg: Array
    nox_kg: Array
    water_m3: Array


def account(
    fleet: Fleet,
    energy_mwh: npt.ArrayLike,
    fuel_burnt_mwh: npt.ArrayLike,
    starts_count: npt.ArrayLike = 0.0,
) -> Account:
    """Cost and emissions of what a fleet made.

    Args:
        fleet: the generators.
        energy_mwh: power made, shape [G].
        fuel_burnt_mwh: fuel burnt, shape [G].
        starts_count: starts ordered, shape [G].

    Raises:
        BadInput: an amount that is negative or not finite; every one is told.
    """
    given = {
        "energy_mwh": np.asarray(energy_mwh, dtype=np.float64),
        "fuel_burnt_mwh": np.asarray(fuel_burnt_mwh, dtype=np.float64),
        "starts_count": np.asarray(starts_count, dtype=np.float64),
    }
    problems = [
        Problem("generators", key, "", "must be finite and 0 or more")
        for key, values in given.items()
        if not np.all(np.isfinite(values)) or np.any(values < 0.0)
    ]
    if problems:
        raise BadInput(problems)
    made, burnt, starts = given.values()

    def each(name: str) -> Array:
        return np.array([getattr(g, name) for g in fleet.generators], dtype=np.float64)

    start_eur = starts * each("start_eur_per_mw") * fleet.capacity_mw
    return Account(
        cost_eur=burnt * each("fuel_eur_per_mwh") + made * each("variable_eur_per_mwh") + start_eur,
        co2_kg=burnt * each("fuel_co2_kg_per_mwh"),
        nox_kg=made * each("nox_kg_per_mwh"),
        # litres per kWh are cubic metres per MWh
        water_m3=made * each("water_l_per_kwh"),
    )


def load_kinds(path: Path = BUNDLED) -> dict[str, Kind]:
    """Read a file of technologies.

    Args:
        path: YAML with ``sources``, ``fuels`` and ``generators``; a figure is
            ``{value: number or [low, base, high], source: id, note}``.

    Returns:
        The kinds by name.

    Raises:
        BadInput: with every problem in the file.
    """
    problems: list[Problem] = []
    content = read_yaml(path, problems)
    where = path.name
    sources = {
        str(key): source
        for key, raw in (content.get("sources") or {}).items()
        if (source := read_source(where, f"sources.{key}", raw, problems)) is not None
    }
    fuels: dict[str, Fuel] = {}
    for name, raw in _rows(where, "fuels", content, problems):
        needed = ("price_eur_per_mwh", "co2_kg_per_mwh")
        figures = _figures(where, f"fuels.{name}", raw, needed, sources, problems)
        fuels[name] = Fuel(name, bool(raw.get("stored")), figures)
    found: dict[str, Kind] = {}
    for name, raw in _rows(where, "generators", content, problems):
        field, driver = f"generators.{name}", str(raw.get("driver"))
        if driver not in DRIVERS:
            why = f"must be one of {', '.join(DRIVERS)}"
            problems.append(Problem(where, f"{field}.driver", driver, why))
        if (driver == "fuel") != (raw.get("fuel") in fuels):
            why = "a fuel of the file is needed with driver fuel, and only there"
            problems.append(Problem(where, f"{field}.fuel", str(raw.get("fuel")), why))
        needed = (
            *_EVERY_KIND,
            *(() if driver == "weather" else _ON_DEMAND),
            *(_ON_FUEL if driver == "fuel" else ()),
        )
        figures = _figures(where, field, raw, needed, sources, problems)
        found[name] = Kind(
            name,
            driver,
            fuels.get(str(raw.get("fuel"))),
            bool(raw.get("black_start")),
            figures,
            str(raw.get("note", "")),
        )
    if problems:
        raise BadInput(problems)
    return found


@lru_cache(maxsize=1)
def _bundled() -> dict[str, Kind]:
    return load_kinds()


def _rows(
    where: str, field: str, content: Mapping[str, Any], problems: list[Problem]
) -> list[tuple[str, dict[str, Any]]]:
    """The mappings under a key of a file; what is none is a problem."""
    rows = []
    for name, raw in (content.get(field) or {}).items():
        if isinstance(raw, dict):
            rows.append((str(name), raw))
        else:
            problems.append(Problem(where, f"{field}.{name}", str(raw), "needs a mapping"))
    return rows


def _figures(
    where: str,
    field: str,
    raw: Mapping[str, Any],
    needed: Sequence[str],
    sources: Mapping[str, Source],
    problems: list[Problem],
) -> dict[str, Range]:
    rows = dict(_rows(where, "figures", raw, problems))
    for key in sorted(set(needed) ^ set(rows)):
        why = "is missing" if key in needed else "is not a figure of this kind"
        problems.append(Problem(where, f"{field}.{key}", "", why))
    figures: dict[str, Range] = {}
    for key, row in rows.items():
        values = row.get("value")
        three = values if isinstance(values, list) else [values] * 3
        numbers = [x for x in three if isinstance(x, int | float) and not isinstance(x, bool)]
        source = sources.get(str(row.get("source")))
        if len(numbers) != 3 or sorted(numbers) != numbers:
            why = "needs a number, or low, base and high in rising order"
            problems.append(Problem(where, f"{field}.{key}", str(values), why))
        elif source is None:
            why = "must name an entry of sources"
            problems.append(Problem(where, f"{field}.{key}", str(row.get("source")), why))
        else:
            note = "; ".join(filter(None, [source.note, str(row.get("note", ""))]))
            said = Source(source.source, source.year, source.state, note, source.mark)
            low, base, high = map(float, numbers)
            figures[str(key)] = Range(_unit(str(key)), low, base, high, said)
    return figures


def _unit(key: str) -> str:
    """The unit in a figure's key, such as "eur_per_mwh"; "share" where it has no dimension."""
    parts = key.split("_")
    if "per" in parts:
        return "_".join(parts[parts.index("per") - 1 :])
    return {"max": "h"}.get(parts[-1], parts[-1])
