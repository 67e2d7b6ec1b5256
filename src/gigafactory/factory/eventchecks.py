"""Checks a scenario's events against the factory they happen to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from gigafactory.engine.errors import Problem
from gigafactory.factory.models import Factory
from gigafactory.factory.reading import Path_, nearest
from gigafactory.factory.scenario import (
    ConnectionEvent,
    DeliveriesStoppedEvent,
    Event,
    GridOutageEvent,
    NoSparesEvent,
    PowerEvent,
    PriceEvent,
    RestrictionEvent,
    Scenario,
    TemperatureEvent,
)
from gigafactory.factory.timeline import market_timezone
from gigafactory.plant import Chip

_FOREVER = dt.datetime.max  # noqa: DTZ901  (local times are compared with local times)


def check_events(factory: Factory, scenario: Scenario, chips: Mapping[str, Chip]) -> list[Problem]:
    """Every problem of a scenario's events at a factory.

    Found are: an unknown site, country or vendor, an end before its begin, a local time that does
    not exist or happens twice, and two events of one kind that overlap on one object.
    """
    document = scenario.document
    return [
        document.problem(("events", at, *path), value, why)
        for at, event in enumerate(scenario.events)
        for path, value, why in (
            *_times(factory, event),
            *_objects(factory, event, chips),
            *_overlaps(scenario, at, event),
        )
    ]


#: Events that have a site, or all of them.
_SITED = TemperatureEvent | ConnectionEvent | PowerEvent | GridOutageEvent | RestrictionEvent


def _times(factory: Factory, event: Event) -> Iterator[tuple[Path_, object, str]]:
    if event.until is not None and event.until <= event.from_:
        yield ("until",), event.until, f"must be after from ({event.from_})"
    said = event.announced if isinstance(event, GridOutageEvent | RestrictionEvent) else None
    announced = said if isinstance(event, GridOutageEvent) else None
    if announced is not None and announced > event.from_:
        yield ("announced",), announced, f"must not be after from ({event.from_}); or leave it out"
    for zone in _zones(factory, event):
        moments = [("from", event.from_), ("until", event.until), ("announced", said)]
        for key, moment in moments:
            if moment is not None:
                why = _clock_problem(moment, zone)
                if why:
                    yield (key,), moment, why


def _zones(factory: Factory, event: Event) -> list[str]:
    if not isinstance(event, _SITED):
        zones = [market_timezone(factory)]
    elif event.site is None:
        zones = sorted({site.timezone for site in factory.sites.values()})
    else:
        zones = [factory.sites[event.site].timezone] if event.site in factory.sites else []
    return [zone for zone in zones if _known(zone)]


def _known(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return False  # told by the checks of the factory
    return True


def _clock_problem(moment: dt.datetime, zone: str) -> str:
    early = moment.replace(tzinfo=ZoneInfo(zone), fold=0)
    late = moment.replace(tzinfo=ZoneInfo(zone), fold=1)
    if early.utcoffset() == late.utcoffset():
        return ""
    back = early.astimezone(dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if back != moment:
        return f"does not exist in {zone}: the clocks go forward over it; take an hour later"
    return f"happens twice in {zone}: the clocks go back over it; take an hour earlier or later"


def _objects(
    factory: Factory, event: Event, chips: Mapping[str, Chip]
) -> Iterator[tuple[Path_, object, str]]:
    if isinstance(event, _SITED):
        if event.site is not None and event.site not in factory.sites:
            yield ("site",), event.site, f"no such site; {nearest(event.site, factory.sites)}"
        elif isinstance(event, PowerEvent):
            yield from _powered(factory, event)
        elif isinstance(event, RestrictionEvent):
            yield from _restricted(factory, event)
        return
    if isinstance(event, PriceEvent):
        return
    if isinstance(event, DeliveriesStoppedEvent | NoSparesEvent):
        if (event.vendor_country is None) == (event.vendor is None):
            yield (), None, "needs either vendor_country or vendor"
        vendors = {chip.vendor.lower(): chip.vendor for chip in chips.values()}
        if event.vendor is not None and event.vendor.lower() not in vendors:
            why = f"nobody in the accelerator catalogue; {nearest(event.vendor, vendors.values())}"
            yield ("vendor",), event.vendor, why
    countries = {chip.origin for chip in chips.values()}
    if event.vendor_country is not None and event.vendor_country not in countries:
        why = f"no accelerator of the catalogue comes from there; {nearest('', countries)}"
        yield ("vendor_country",), event.vendor_country, why


def _powered(factory: Factory, event: PowerEvent) -> Iterator[tuple[Path_, object, str]]:
    if (event.hall is None) == (event.job_class is None):
        yield (), None, "needs either hall or job_class"
    sites = [event.site] if event.site is not None else list(factory.sites)
    halls = [hall for name in sites for hall in factory.sites[name].halls]
    if event.hall is not None and event.hall not in halls:
        yield ("hall",), event.hall, f"no such hall; {nearest(event.hall, halls)}"


def _restricted(factory: Factory, event: RestrictionEvent) -> Iterator[tuple[Path_, object, str]]:
    """What is restricted must be a right that may be, and something must be taken from it.

    Too late an announcement is no fault of the file: the rules refuse it in the run.
    """
    rights = factory.sites[event.site].connection.rights
    loose = [r.name for r in rights if r.form in {"duration_bound", "fully_variable"}]
    if event.right not in loose:
        why = f"is no right of {event.site} that may be restricted; {nearest(event.right, loose)}"
        yield ("right",), event.right, why
    if event.remaining >= 1.0:
        yield ("remaining",), f"{event.remaining:.0%}", "must be below 100 %"


def _object(event: Event) -> str | None:
    """What an event happens to; None for everything of its kind."""
    if isinstance(event, TemperatureEvent | ConnectionEvent | GridOutageEvent):
        return event.site
    if isinstance(event, RestrictionEvent):
        return f"{event.site} {event.right}"
    if isinstance(event, PowerEvent):
        return f"{event.site or ''} {event.hall or event.job_class}"
    if isinstance(event, DeliveriesStoppedEvent | NoSparesEvent):
        return event.vendor_country or (event.vendor or "").lower()
    return None


def _overlaps(scenario: Scenario, at: int, event: Event) -> Iterator[tuple[Path_, object, str]]:
    for other in scenario.events[:at]:
        same = other.kind == event.kind and (
            _object(other) == _object(event) or None in {_object(other), _object(event)}
        )
        meets = other.from_ < (event.until or _FOREVER) and event.from_ < (other.until or _FOREVER)
        if same and meets:
            until = other.until or "ever"
            why = f"overlaps an earlier {event.kind} event ({other.from_} to {until})"
            yield ("from",), event.from_, why
