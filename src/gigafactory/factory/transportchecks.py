"""Checks of the connection's contracts: rights, tariff and what the grid operator may ask."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gigafactory.factory.finding import SLACK, Found, View
from gigafactory.factory.reading import Path_
from gigafactory.factory.sites import GridConnection
from gigafactory.factory.transport import CallPattern, HeldRight

#: Voltages from which on the bundled tariff is known, and from which on it is the extra-high one.
KNOWN_KV = 110.0
#: Local hour from which on the day-ahead results are known; redispatch comes after them.
RESULTS_H = 13.0
#: A call is told in whole market periods.
QUARTER_S = 900.0
#: Name of the right that `firm` is.
FIRM_NAME = "firm"


def check_transport(view: View) -> Iterator[Found]:
    """Everything wrong with the contracts of every connection."""
    for name, site in view.factory.sites.items():
        path: Path_ = ("sites", name, "connection")
        line = site.connection
        yield from _names(path, line)
        yield from _power(path, line)
        for at, right in enumerate(line.rights):
            yield from _blocks((*path, "rights", at), right)
        yield from _tariff(path, line)
        yield from _congestion(path, line)


def _names(path: Path_, line: GridConnection) -> Iterator[Found]:
    seen = [FIRM_NAME]
    for at, right in enumerate(line.rights):
        if right.name == FIRM_NAME:
            why = "is the name of the right given by connection.firm; use another"
            yield Found((*path, "rights", at, "name"), right.name, why)
        elif right.name in seen:
            why = "is the name of an earlier one; use another"
            yield Found((*path, "rights", at, "name"), right.name, why)
        seen.append(right.name)


def _power(path: Path_, line: GridConnection) -> Iterator[Found]:
    """All rights together stay within what the contract and the circuits carry."""
    if not line.rights:
        return
    beside_mw = sum(right.capacity_mw for right in line.rights)
    firm_mw = max([line.firm_mw, *(phase.firm_mw for phase in line.phases)])
    whole_mw = line.capacity_mva * line.power_factor
    safe = line.circuits - 1 if line.n_minus_1 and line.circuits > 1 else line.circuits
    circuits_mw = safe * line.circuit_capacity_mva * line.power_factor
    if firm_mw > min(whole_mw, circuits_mw) * (1 + SLACK):
        return  # told where the firm right stands
    for most_mw, what in (
        (whole_mw, f"{line.capacity_mva:g} MVA at power factor {line.power_factor:g} can carry"),
        (circuits_mw, "the circuits carry" + (" when one is lost" if safe < line.circuits else "")),
    ):
        if firm_mw + beside_mw > most_mw * (1 + SLACK):
            why = (
                f"with {firm_mw:g} MW firm come to {firm_mw + beside_mw:g} MW, more than {what} "
                f"({most_mw:.1f} MW)"
            )
            yield Found((*path, "rights"), f"{beside_mw:g} MW", why)
            return


def _blocks(path: Path_, right: HeldRight) -> Iterator[Found]:
    if (right.form == "time_block") != bool(right.blocks):
        why = (
            "a time-block right needs the hours in which it holds"
            if right.form == "time_block"
            else f"belong to a time_block right, not to a {right.form} one"
        )
        yield Found((*path, "blocks"), len(right.blocks), why)
    for at, block in enumerate(right.blocks):
        here = (*path, "blocks", at)
        if block.end_h <= block.start_h:
            why = f"must be after start ({block.start_h:g}); hours past midnight are another block"
            yield Found((*here, "end"), block.end_h, why, ((*here, "start"),))
        for key, hour in (("start", block.start_h), ("end", block.end_h)):
            if math.isfinite(hour) and (hour * 4) % 1:
                yield Found((*here, key), hour, "must be a quarter of an hour, such as 7.25")
        if not block.weekdays:
            yield Found((*here, "weekdays"), None, "must name at least one day, 0 is Monday")
        for of, other in enumerate(right.blocks[:at]):
            days = set(block.weekdays) & set(other.weekdays)
            if days and block.start_h < other.end_h and other.start_h < block.end_h:
                why = f"overlaps an earlier block ({other.start_h:g} to {other.end_h:g})"
                rests = ((*path, "blocks", of),)
                yield Found((*here, "start"), block.start_h, why, rests)


def _tariff(path: Path_, line: GridConnection) -> Iterator[Found]:
    terms = line.tariff
    if terms is None or not terms.charged or terms.level is not None:
        return
    own = (terms.contract_eur_per_kw, terms.peak_eur_per_kw, terms.fixed_eur_per_year)
    if line.voltage_kv < KNOWN_KV and None in own:
        why = (
            f"no tariff is known below {KNOWN_KV:g} kV; give contract, peak and fixed, or the level"
        )
        yield Found((*path, "tariff"), f"{line.voltage_kv:g} kV", why, ((*path, "voltage"),))


def _congestion(path: Path_, line: GridConnection) -> Iterator[Found]:
    asked = line.congestion
    if asked is None:
        return
    here: Path_ = (*path, "congestion")
    if asked.restrictions is not None:
        place = (*here, "restrictions")
        if not any(r.form in {"duration_bound", "fully_variable"} for r in line.rights):
            why = "no right of this connection may be restricted; give one that is not firm"
            yield Found(place, None, why, ((*path, "rights"),))
        if asked.restrictions.remaining >= 1.0:
            yield Found((*place, "remaining"), "100 %", "must be below 100 %")
        yield from _calls((*place, "calls"), asked.restrictions.calls)
    if asked.steering is not None:
        place = (*here, "steering")
        if asked.steering.notice_s % QUARTER_S:
            why = "must be whole quarters of an hour, such as 15 min: a run moves in quarters"
            yield Found((*place, "notice"), f"{asked.steering.notice_s:g} s", why)
        yield from _offered((*place, "capacity"), asked.steering.capacity_mw, line)
        yield from _calls((*place, "calls"), asked.steering.calls)
    if asked.redispatch is not None:
        place = (*here, "redispatch")
        hour = asked.redispatch.published_h
        if hour < RESULTS_H or hour >= 24.0 or (hour * 4) % 1:
            why = (
                f"must be a quarter of an hour from {RESULTS_H:g} to before 24: redispatch comes "
                "after the day-ahead results"
            )
            yield Found((*place, "published"), hour, why)
        yield from _offered((*place, "capacity"), asked.redispatch.capacity_mw, line)
        yield from _calls((*place, "calls"), asked.redispatch.calls)


def _offered(path: Path_, capacity_mw: float, line: GridConnection) -> Iterator[Found]:
    most_mw = line.firm_mw + sum(right.capacity_mw for right in line.rights)
    if capacity_mw > most_mw:
        why = f"is more than the rights of the connection ({most_mw:g} MW)"
        yield Found(path, f"{capacity_mw:g} MW", why)


def _calls(path: Path_, calls: CallPattern) -> Iterator[Found]:
    if calls.duration_s % QUARTER_S:
        why = "must be whole quarters of an hour, such as 2 h"
        yield Found((*path, "duration"), f"{calls.duration_s:g} s", why)
    room_s = (calls.end_h - calls.start_h) * 3600.0
    if room_s < calls.duration_s:
        why = (
            f"must be {calls.duration_s / 3600.0:g} h or more after start ({calls.start_h:g}), for "
            "a call to fit"
        )
        yield Found((*path, "end"), calls.end_h, why, ((*path, "start"), (*path, "duration")))
    for key, hour in (("start", calls.start_h), ("end", calls.end_h)):
        if math.isfinite(hour) and (hour * 4) % 1:
            yield Found((*path, key), hour, "must be a quarter of an hour, such as 7.25")
    for key, some in (("months", calls.months), ("weekdays", calls.weekdays)):
        if not some:
            yield Found((*path, key), None, "must not be empty")
