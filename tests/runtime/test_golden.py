"""A month of a connection's contracts, held against what was calculated by hand."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from gigafactory.factory.scenario import RestrictionEvent
from gigafactory.factory.sites import GridConnection
from gigafactory.grid import MarketCalendar
from gigafactory.ledger import METERS
from gigafactory.runtime.transport import transport_of
from gigafactory.runtime.transportdesk import TransportDesk
from tests.golden.folders import hold, of


class Pages:
    """A journal and a book that only remember."""

    def __init__(self):
        self.rows = []

    def append(self, kind, tick_ns, fields):
        assert kind in {"congestion", "invoice"}
        assert tick_ns > 0
        assert fields

    def day_invoices(self, rows):
        self.rows += rows


def connection_month(given):
    calendar = MarketCalendar.of(given["start"], given["days"])
    site = SimpleNamespace(
        connection=GridConnection.model_validate(given["connection"]),
        timezone=calendar.timezone,
    )
    events = tuple(RestrictionEvent.model_validate(event) for event in given["events"])
    held = transport_of("home", site, calendar, SimpleNamespace(events=events), seed=1)
    place = SimpleNamespace(rights_mw=held.room_mw, load_mw=lambda *_: 0.0)
    world = SimpleNamespace(
        sites=[SimpleNamespace(transport=held, pools=(), rest_w=())],
        twin=SimpleNamespace(sites=[place]),
    )
    pages, told = Pages(), []
    desk = TransportDesk(world, calendar, pages, pages, told)
    taken = np.full(calendar.periods, float(given["import_mw"]))
    for day, start, end, power in given["taken"]:
        at = [date == day for date in calendar.local_dates].index(True)
        hours = (calendar.local_hour >= start) & (calendar.local_hour < end)
        taken[(calendar.day_of == at) & hours] = power

    def period(day, hour):
        return calendar.period_at(calendar.local_ns(day - 1, hour))

    known = {}
    for p in range(calendar.periods):
        desk.hear(p)
        for name, at in (("before", period(4, 6)), ("after", period(4, 9))):
            if p == at:
                known[name] = place.rights_mw[period(5, 17)]
        meter = np.zeros((1, len(METERS)), np.int64)
        meter[0, METERS.index("import_wh")] = round(taken[p] * 0.25e6)
        desk.metered(p, SimpleNamespace(meter=meter))
        if p + 1 == calendar.periods or calendar.day_of[p + 1] != calendar.day_of[p]:
            desk.close_day(int(calendar.day_of[p]))
    bill = [row for row in pages.rows if row["account"] == "grid_tariff"]
    hit = held.part_mw[0] < held.whole_mw[0]
    return {
        "restricted_h": hit.sum() * 0.25,
        "refused": sum(not one["accepted"] for one in told),
        "known_before_mw": known["before"],
        "known_after_mw": known["after"],
        "called_limit_mw": [place.rights_mw[period(day, 10)] for day in (7, 14)],
        "lines_eur": {row["line"]: row["micro_eur"] / 1e6 for row in bill},
        "firm_instead_eur": bill[0]["firm_instead_micro_eur"] / 1e6,
        "congestion_eur": [
            row["micro_eur"] / 1e6 for row in pages.rows if row["account"] == "congestion"
        ],
    }


CASES = {"connection_month": connection_month}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda folder: folder.name)
def test_golden(folder):
    hold(folder, CASES)


def test_the_month_is_a_january():
    assert dt.date(2026, 1, 5).weekday() == 0
    assert dt.date(2026, 1, 7).weekday() == 2
