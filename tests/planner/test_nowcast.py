"""A forecast that is kept is corrected by what came, and sees nothing that has not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from gigafactory.grid import MarketCalendar, Signals, synthetic_signals
from gigafactory.planner import Information, forecast
from gigafactory.planner.nowcast import FADE_H, LATEST, REACH, Nowcast

CALENDAR = MarketCalendar.of(dt.date(2025, 5, 1), 12)
SIGNALS = synthetic_signals(CALENDAR, 3)


def known(period: int, signals: Signals = SIGNALS) -> Information:
    return Information(signals, CALENDAR, int(CALENDAR.start_ns[period]))


def asked(view: Nowcast, periods: list[int], name: str, signals: Signals = SIGNALS) -> list[bytes]:
    return [view.ahead(known(p, signals), name, 140).tobytes() for p in periods]


def test_what_is_asked_first_is_the_forecast_itself() -> None:
    info = known(5 * 96)
    for name in ("price", "wind_onshore", "temperature", "wet_bulb"):
        assert np.array_equal(
            Nowcast().ahead(info, name, 150), forecast(info, name, 150).median()
        ), name


def test_the_present_deviation_fades() -> None:
    view, begin, now = Nowcast(), 5 * 96, 5 * 96 + 10
    base = view.ahead(known(begin), "wind_onshore", REACH)
    got = view.ahead(known(now), "wind_onshore", 40)
    off = (SIGNALS.wind_onshore.values[begin:now] - base[:10])[-LATEST:].mean()
    lead_h = (np.arange(40) + 1) / 4
    assert abs(off) > 1e-3
    assert got == pytest.approx((base[10:50] + off * np.exp(-lead_h / FADE_H)).clip(0.0, 1.0))


def test_published_prices_stand_as_they_are() -> None:
    view, begin = Nowcast(), 5 * 96
    view.ahead(known(begin), "price", 140)
    after = view.ahead(known(begin + 53), "price", 140)  # 13:15: tomorrow's prices are out
    ends = 7 * 96 - begin - 53
    assert np.array_equal(after[:ends], SIGNALS.price.values[begin + 53 : 7 * 96])
    before = Nowcast()
    before.ahead(known(begin), "price", 140)
    early = before.ahead(known(begin + 40), "price", 140)
    assert not np.array_equal(early[60:], SIGNALS.price.values[begin + 100 : begin + 180])


def test_made_anew_at_noon_and_when_the_view_is_too_short() -> None:
    view, noon = Nowcast(), known(5 * 96 + 48)
    view.ahead(known(5 * 96), "solar", 100)
    assert np.array_equal(view.ahead(noon, "solar", 90), forecast(noon, "solar", 90).median())
    later = known(5 * 96 + 60)
    assert np.array_equal(view.ahead(later, "solar", 300), forecast(later, "solar", 300).median())


def test_nothing_that_comes_later_is_in_it() -> None:
    first = 6 * 96 + 30
    changed = {
        series.name: replace(
            series, values=np.where(np.arange(len(series.values)) < first, series.values, 0.0)
        )
        for series in SIGNALS
        if series.name != "price"
    }
    other = replace(SIGNALS, **changed)
    periods = [6 * 96 + k for k in (0, 7, 20, 30)]
    for name in ("wind_offshore", "temperature", "wet_bulb"):
        assert asked(Nowcast(), periods, name) == asked(Nowcast(), periods, name, other), name
    later = [*periods, 6 * 96 + 40]
    assert asked(Nowcast(), later, "wind_offshore") != asked(
        Nowcast(), later, "wind_offshore", other
    )


def test_the_end_of_the_calendar_ends_it() -> None:
    view = Nowcast()
    assert len(view.ahead(known(12 * 96 - 5), "temperature", 140)) == 5
    assert len(view.ahead(known(12 * 96 - 2), "temperature", 140)) == 2
