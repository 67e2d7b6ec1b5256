"""The room's own data: access modes, thresholds by date, each with its source. Read once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.plant.provenance import Source, read_source, read_yaml

DATA: Final = Path(__file__).parent / "data"
#: Five working days are a week.
DAYS_PER_WORKING_DAY: Final = 7.0 / 5.0
DAYS_PER_YEAR: Final = 365.25


@dataclass(frozen=True, slots=True)
class AccessMode:
    """A way in which work comes in.

    Attributes:
        name: as the factory file writes it.
        title_en, title_nl: as shown.
        who: groups of tenants it is for.
        free_for: groups that pay nothing.
        above_gpu_h: a budget must be larger than this; 0 for no lower bound.
        most_gpu_h: a budget may be no larger than this; None for no upper bound.
        longest_months: longest term; 0 for no limit.
        working_days: from the request (or the cut-off) until access.
        cutoffs_per_year: how often requests are looked at; 0 for at once.
        selection_en, selection_nl: how it is decided.
        source: where this comes from.
    """

    name: str
    title_en: str
    title_nl: str
    who: tuple[str, ...]
    free_for: tuple[str, ...]
    above_gpu_h: float
    most_gpu_h: float | None
    longest_months: int
    working_days: int
    cutoffs_per_year: int
    selection_en: str
    selection_nl: str
    source: Source

    @property
    def is_granted(self) -> bool:
        """Whether it grants a budget for a term (all modes but paying as you go)."""
        return self.longest_months > 0

    @property
    def mean_time_to_access_days(self) -> float:
        """Calendar days from request to access, on average.

        Working days times 7/5, and half the time between two cut-offs where requests wait for one.
        """
        wait = DAYS_PER_YEAR / self.cutoffs_per_year / 2.0 if self.cutoffs_per_year else 0.0
        return self.working_days * DAYS_PER_WORKING_DAY + wait

    def title(self, lang: str) -> str:
        """The title in English or Dutch."""
        return self.title_nl if lang == "nl" else self.title_en


@dataclass(frozen=True, slots=True)
class DataClassRule:
    """What a class of data asks.

    Attributes:
        reviews: reviews the project needs.
        free_chain: nobody outside the EEA may own or control the operator.
        isolated: only on pools kept for classified work.
    """

    reviews: tuple[str, ...]
    free_chain: bool
    isolated: bool


@dataclass(frozen=True, slots=True)
class LatencyRule:
    """How long the network takes, and how much of an objective it may take.

    Attributes:
        round_trip_km_per_ms: distance that light goes there and back in glass in a millisecond.
        detour_factor: length of the fibre over the distance as the crow flies.
        overhead_ms: routers, encryption and the last mile.
        share_max: largest part of a latency objective the network may take.
    """

    round_trip_km_per_ms: float
    detour_factor: float
    overhead_ms: float
    share_max: float

    def network_ms(self, distance_km: float) -> float:
        """Time a request and its answer spend on the network, ms.

        Distance times detour over the round-trip speed of light in glass, plus the overhead:
        ``km * 1.5 / 100 + 5`` with the bundled figures (the speed is physics, the rest assumption).
        Valid from next door to the other side of the earth (0 to 20,000 km).
        """
        return distance_km * self.detour_factor / self.round_trip_km_per_ms + self.overhead_ms


@dataclass(frozen=True, slots=True)
class Incentives:
    """What those whom the rules favour get.

    Attributes:
        mission_priority_steps, union_priority_steps: steps up in priority.
        priority_level_max: no step leads above it.
        trial_gpu_h: free accelerator-hours to try it out.
        trial_groups: whose.
    """

    mission_priority_steps: int
    union_priority_steps: int
    priority_level_max: int
    trial_gpu_h: float
    trial_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The dated figures and lists on which the rules rest.

    Attributes:
        eea: countries under the law of the EU or EEA.
        reaching_laws: by country, the best-known law that reaches data abroad: English, Dutch.
        data_classes: what each class of data asks.
        evidence: documents that show a group.
        favoured_groups, favoured_kinds: groups of tenants and kinds of quota that ask for evidence.
        latency: network time.
        incentives: what the favoured get.
        members_min: tenants in a public sum, at least.
    """

    eea: frozenset[str]
    reaching_laws: Mapping[str, tuple[str, str]]
    data_classes: Mapping[str, DataClassRule]
    evidence: Mapping[str, tuple[str, ...]]
    favoured_groups: frozenset[str]
    favoured_kinds: frozenset[str]
    latency: LatencyRule
    incentives: Incentives
    members_min: int


@cache
def access_modes() -> Mapping[str, AccessMode]:
    """Every access mode by its name."""
    modes = {}
    for name, row in read_data("access_modes.yaml").items():
        low, high = row["gpu_hours"]
        modes[name] = AccessMode(
            name=name,
            title_en=row["title"]["en"],
            title_nl=row["title"]["nl"],
            who=tuple(row["who"]),
            free_for=tuple(row["free_for"]),
            above_gpu_h=float(low or 0.0),
            most_gpu_h=None if high is None else float(high),
            longest_months=max(row["months"], default=0),
            working_days=row["working_days"],
            cutoffs_per_year=row["cutoffs_per_year"],
            selection_en=row["selection"]["en"],
            selection_nl=row["selection"]["nl"],
            source=source_in("access_modes.yaml", name, row["source"]),
        )
    return modes


@cache
def thresholds() -> Thresholds:
    """The figures and lists that do not change with the day."""
    data = read_data("thresholds.yaml")
    laws = {key: (v["en"], v["nl"]) for key, v in data["reaching_laws"].items() if key != "source"}
    lists = {key: tuple(v) for key, v in data["evidence"].items() if key != "source"}
    classes = {
        key: DataClassRule(tuple(v["reviews"]), v["free_chain"], v["isolated"])
        for key, v in data["data_classes"].items()
        if key != "source"
    }
    latency, helps = data["latency"], data["incentives"]
    return Thresholds(
        eea=frozenset(data["eea"]["countries"]),
        reaching_laws=laws,
        data_classes=classes,
        evidence=lists,
        favoured_groups=frozenset(data["favoured"]["groups"]),
        favoured_kinds=frozenset(data["favoured"]["quota_kinds"]),
        latency=LatencyRule(
            round_trip_km_per_ms=float(latency["round_trip_km_per_ms"]),
            detour_factor=float(latency["detour_factor"]),
            overhead_ms=float(latency["overhead_ms"]),
            share_max=float(latency["share_max"]),
        ),
        incentives=Incentives(
            mission_priority_steps=helps["mission_priority_steps"],
            union_priority_steps=helps["union_priority_steps"],
            priority_level_max=helps["priority_level_max"],
            trial_gpu_h=float(helps["trial_gpu_h"]),
            trial_groups=tuple(helps["trial_groups"]),
        ),
        members_min=data["aggregates"]["members_min"],
    )


def frontier_minimum_mw(on: dt.date) -> float:
    """Least power of a frontier run in one piece on a day, MW.

    The entry in force, times its growth factor for every whole year since; before the first entry
    its own figure (there is no better one). Published is the start at about 100 MW; the growth is
    an assumption.
    """
    entries = read_data("thresholds.yaml")["frontier_minimum"]
    known = [entry for entry in entries if entry["valid_from"] <= on] or entries[:1]
    entry = known[-1]
    begin = entry["valid_from"]
    years = on.year - begin.year - ((on.month, on.day) < (begin.month, begin.day))
    return float(entry["power_mw"] * entry["growth_factor"] ** max(0, years))


@cache
def read_data(name: str) -> dict[str, Any]:
    """A file of this room as plain data.

    Raises:
        BadInput: it is damaged.
    """
    problems: list[Problem] = []
    data = read_yaml(DATA / name, problems)
    if problems:
        raise BadInput(problems)
    return data


def source_in(file: str, field: str, raw: object) -> Source:
    """The source of one entry of this room's data.

    Raises:
        BadInput: it has none that can be used.
    """
    problems: list[Problem] = []
    source = read_source(file, field, raw, problems)
    if source is None:
        raise BadInput(problems)
    return source
