"""Feeds against a real HTTP server on loopback that stands for each platform by its address.

The answers are made here, in the form the platforms document: ENTSO-E's Publication_MarketDocument
(A44, with curve type A03, which leaves out points that repeat), TenneT's CSV of settlement prices,
Open-Meteo's JSON. None was recorded: the platforms cannot be reached from here.
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.feeds import (
    DayAhead,
    DayAheadSettings,
    Feed,
    LiveFeed,
    LiveSignals,
    Settlement,
    SettlementSettings,
    Weather,
    WeatherSettings,
)
from gigafactory.adapters.feeds.feed import Unsound, by_date
from gigafactory.adapters.feeds.live import _stretched
from gigafactory.adapters.feeds.tennet import read_settlement
from gigafactory.adapters.feeds.weather import read_hours
from gigafactory.factory.validating import Document, validate
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.ports import SignalSource
from gigafactory.units import NS_PER_H, NS_PER_S

PLAIN, SPRING, AUTUMN = dt.date(2026, 11, 28), dt.date(2026, 3, 29), dt.date(2026, 10, 25)
PERIODS = {PLAIN: 96, SPRING: 92, AUTUMN: 100}
KEY = "0123456789-key"


class Platform:
    """An HTTP server that answers with what it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, str]], tuple[int, str, str]] = lambda _: (404, "", "")
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                return

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(parts.query).items()}
                platform.asked.append((parts.path, query, dict(self.headers.items())))
                status, kind, text = platform.answer(query)
                raw = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}/api"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(5.0)


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", KEY)


def made(model: Any, platform: Platform, folder: Path, **more: Any) -> Any:
    (kind,) = get_args(model.model_fields["kind"].annotation)
    told = {"url": platform.url, "cache": str(folder / "cache"), "key": {"env": "A_KEY"}}
    document = Document("feeds", told | {"kind": kind} | more)
    found, problems, _ = validate(document, model)
    assert found is not None
    assert problems == []
    return found


def noon(date: dt.date) -> int:
    return MarketCalendar.of(date, 1).begin_ns + 12 * NS_PER_H


# --- ENTSO-E ------------------------------------------------------------------------------------


def prices_xml(date: dt.date, prices: list[float], minutes: int = 15) -> str:
    """A day's prices as the platform tells them: a price that repeats is left out (A03)."""
    calendar = MarketCalendar.of(date, 1)
    begin, end = (
        dt.datetime.fromtimestamp(ns // NS_PER_S, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
        for ns in (calendar.begin_ns, calendar.end_ns)
    )
    points = "".join(
        f"<Point><position>{n + 1}</position><price.amount>{price}</price.amount></Point>"
        for n, price in enumerate(prices)
        if n == 0 or price != prices[n - 1]
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<Publication_MarketDocument
    xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">
  <mRID>1</mRID><revisionNumber>1</revisionNumber><type>A44</type>
  <period.timeInterval><start>{begin}</start><end>{end}</end></period.timeInterval>
  <TimeSeries>
    <mRID>1</mRID><auction.type>A01</auction.type><businessType>A62</businessType>
    <in_Domain.mRID codingScheme="A01">10YNL----------L</in_Domain.mRID>
    <out_Domain.mRID codingScheme="A01">10YNL----------L</out_Domain.mRID>
    <contract_MarketAgreement.type>A01</contract_MarketAgreement.type>
    <currency_Unit.name>EUR</currency_Unit.name>
    <price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</curveType>
    <Period>
      <timeInterval><start>{begin}</start><end>{end}</end></timeInterval>
      <resolution>PT{minutes}M</resolution>{points}
    </Period>
  </TimeSeries>
</Publication_MarketDocument>"""


NOTHING = """<?xml version="1.0" encoding="UTF-8"?>
<Acknowledgement_MarketDocument><Reason><code>999</code>
<text>No matching data found for Data item ENERGY_PRICES [12.1.D]</text></Reason>
</Acknowledgement_MarketDocument>"""


def entsoe(text: str) -> Callable[[dict[str, str]], tuple[int, str, str]]:
    """Answer the first page with a text and further pages with nothing."""
    return lambda query: (200, "text/xml", text if query.get("offset", "0") == "0" else NOTHING)


def day_ahead(platform: Platform, folder: Path, **more: Any) -> DayAhead:
    return DayAhead(made(DayAheadSettings, platform, folder, **more))


@pytest.mark.parametrize("date", [PLAIN, SPRING, AUTUMN], ids=["96", "92", "100"])
def test_prices_of_a_day_by_the_librarys_own_parser(
    platform: Platform, tmp_path: Path, date: dt.date
) -> None:
    prices = [round(50 + 40 * np.sin(n / 9) + (n // 4 == 30), 2) for n in range(PERIODS[date])]
    prices[40:44] = [prices[39]] * 4  # left out on the wire
    platform.answer = entsoe(prices_xml(date, prices))
    feed = day_ahead(platform, tmp_path)
    assert isinstance(feed, Feed)
    assert feed.poll(noon(date), [date])
    day = feed.day("price", date)
    assert day is not None
    assert list(day.values) == prices
    assert (day.unit, day.state) == ("EUR/MWh", "published")
    _, query, _ = platform.asked[0]
    assert query["documentType"] == "A44"
    assert query["in_Domain"] == "10YNL----------L"
    assert query["securityToken"] == KEY
    assert feed.sources()[0].source.startswith("ENTSO-E")
    count = len(platform.asked)
    assert not feed.poll(noon(date) + NS_PER_H, [date])  # there: not asked again
    assert len(platform.asked) == count
    again = day_ahead(platform, tmp_path)  # and on disk
    assert again.day("price", date) == day


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (NOTHING, "not published yet"),
        ("<html>busy</html>", "no sound answer"),
        ("", "no sound answer"),
        ("\x00<<<", "no sound answer"),
        (prices_xml(PLAIN, [4.0e4] * 96), "not within"),
        (prices_xml(PLAIN, [-501.0] * 96), "not within"),
        (prices_xml(PLAIN, [50.0] * 96).replace("50.0", "many"), "no sound answer"),
        (prices_xml(PLAIN, [50.0] * 96).replace("PT15M", "PT7M"), "no sound answer"),
    ],
)
def test_an_unsound_answer_is_not_taken_and_the_key_never_shows(
    platform: Platform, tmp_path: Path, text: str, word: str
) -> None:
    platform.answer = entsoe(text)
    feed = day_ahead(platform, tmp_path, stale="1 h")
    assert not feed.poll(noon(PLAIN), [PLAIN])
    told = feed.trouble(noon(PLAIN) + 2 * NS_PER_H)
    assert word in told
    assert KEY not in told
    assert feed.day("price", PLAIN) is None


def test_a_platform_that_is_down_or_refuses_is_asked_less_and_less(
    platform: Platform, tmp_path: Path
) -> None:
    platform.answer = lambda _: (401, "text/plain", f"key {KEY} is wrong")
    feed = day_ahead(platform, tmp_path, stale="1 h")
    for second in range(0, 3600, 5):
        feed.poll(noon(PLAIN) + second * NS_PER_S, [PLAIN])
    assert 6 <= len(platform.asked) <= 12
    platform.close()
    feed.poll(noon(PLAIN) + 2 * NS_PER_H, [PLAIN])
    told = feed.trouble(noon(PLAIN) + 3 * NS_PER_H)
    assert "no sound answer" in told
    assert KEY not in told


# --- TenneT -------------------------------------------------------------------------------------


def settlement_csv(date: dt.date, prices: list[tuple[float, float]]) -> str:
    head = (
        "Timeinterval Start Loc,Timeinterval End Loc,Isp,Currency Unit Name,"
        "Price Measurement Unit Name,Incident Reserve Up,Incident Reserve Down,Price Dispatch Up,"
        "Price Dispatch Down,Price Shortage,Price Surplus,Regulation State,Regulating Condition"
    )
    rows = [
        f"{date}T00:00:00,{date}T00:15:00,{n + 1},EUR,MWh,0,0,,,{short},{surplus},1,UP"
        for n, (short, surplus) in enumerate(prices)
    ]
    return "\n".join([head, *rows]) + "\n"


@pytest.mark.parametrize("date", [PLAIN, SPRING, AUTUMN], ids=["96", "92", "100"])
def test_settlement_prices_of_a_day(platform: Platform, tmp_path: Path, date: dt.date) -> None:
    prices = [(100.0 + n, 100.0 + n - 10 * (n == 7)) for n in range(PERIODS[date])]
    platform.answer = lambda _: (200, "text/csv", settlement_csv(date, prices))
    feed = Settlement(made(SettlementSettings, platform, tmp_path))
    assert feed.poll(noon(date), [date])
    day = feed.day("imbalance", date)
    assert day is not None
    assert day.values[7] == 102.0
    assert day.values[8] == 108.0
    assert "differ in 1 periods" in day.note
    path, query, headers = platform.asked[0]
    assert path == "/api/settlement-prices"
    assert query["date_from"] == f"{date:%d-%m-%Y} 00:00:00"
    assert headers["apikey"] == KEY


def test_a_settlement_day_with_a_hole_or_a_stranger_in_it_is_refused() -> None:
    whole = settlement_csv(PLAIN, [(1.0, 1.0)] * 96)
    assert read_settlement(whole, PLAIN)[0] == [1.0] * 96
    lines = whole.splitlines()
    for text, word in (
        ("\n".join(lines[:5] + lines[6:]), "missing"),
        (whole.replace(",1.0,1.0,", ",,,", 1), "none"),
        (whole + lines[3].replace("1.0", "2.0"), "twice"),
        (whole.replace("Price Shortage", "Price"), "none"),
        ("", "not published"),
    ):
        with pytest.raises(Unsound, match=word):
            read_settlement(text, PLAIN)


# --- weather ------------------------------------------------------------------------------------


def forecast(query: dict[str, str], warm: float = 10.0) -> str:
    first = dt.datetime.fromisoformat(query["start_date"]).replace(tzinfo=dt.UTC)
    last = dt.datetime.fromisoformat(query["end_date"]).replace(tzinfo=dt.UTC)
    hours = range(int(first.timestamp()), int(last.timestamp()) + 86_400, 3600)
    return json.dumps(
        {
            "latitude": float(query["latitude"]),
            "hourly_units": {
                "time": "unixtime", "temperature_2m": "°C", "relative_humidity_2m": "%",
            },
            "hourly": {
                "time": list(hours),
                "temperature_2m": [warm + (at // 3600) % 24 for at in hours],
                "relative_humidity_2m": [80 for _ in hours],
            },
        }
    )  # fmt: skip


@pytest.mark.parametrize("date", [PLAIN, SPRING, AUTUMN], ids=["96", "92", "100"])
def test_a_forecast_is_laid_on_the_local_day_and_asked_again(
    platform: Platform, tmp_path: Path, date: dt.date
) -> None:
    platform.answer = lambda query: (200, "application/json", forecast(query))
    settings = made(WeatherSettings, platform, tmp_path, latitude=51.9, longitude=4.1, key=None)
    feed = Weather(settings)
    assert feed.poll(noon(date), [date])
    day = feed.day("temperature", date)
    assert day is not None
    assert len(day.values) == PERIODS[date]
    calendar = MarketCalendar.of(date, 1)
    utc_hours = (calendar.start_ns[:-1] // NS_PER_H) % 24
    assert list(day.values) == [10.0 + hour for hour in utc_hours.tolist()]
    platform.answer = lambda query: (200, "application/json", forecast(query, 12.0))
    assert not feed.poll(noon(date) + NS_PER_H // 2, [date])
    assert feed.poll(noon(date) + 2 * NS_PER_H, [date])
    changed = feed.day("temperature", date)
    assert changed is not None
    assert changed.values[0] == day.values[0] + 2.0


@given(st.text(max_size=80) | st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["hourly", "hourly_units", "time", "temperature_2m"]), inner),
    max_leaves=10).map(json.dumps))  # fmt: skip
def test_no_answer_whatever_makes_it_raise_anything_else(text: str) -> None:
    with pytest.raises(Unsound):
        read_hours(text, 0, 24 * NS_PER_H)
    with pytest.raises(Unsound):
        read_settlement(text, PLAIN)


def test_fahrenheit_is_refused() -> None:
    query = {"start_date": "1970-01-01", "end_date": "1970-01-01", "latitude": "1"}
    told = forecast(query)
    assert len(read_hours(told, 0, 24 * NS_PER_H)["temperature"]) == 24
    with pytest.raises(Unsound, match="°F"):
        read_hours(json.dumps(json.loads(told)).replace("\\u00b0C", "\\u00b0F"), 0, 24 * NS_PER_H)


# --- together -----------------------------------------------------------------------------------


def test_signals_say_what_is_live_and_what_stands_in(platform: Platform, tmp_path: Path) -> None:
    prices = [float(n) for n in range(96)]
    platform.answer = entsoe(prices_xml(PLAIN, prices))
    feed: LiveFeed = day_ahead(platform, tmp_path)
    source = LiveSignals([feed], seed=3)
    assert isinstance(source, SignalSource)
    calendar = MarketCalendar.of(PLAIN - dt.timedelta(days=1), 3)
    bare = source.signals(calendar)
    assert bare.price.state == "synthetic"
    assert "no feed has it" in bare.price.note
    assert source.poll(noon(PLAIN), [PLAIN])
    signals = source.signals(MarketCalendar.of(PLAIN, 1))
    assert signals.price.values.tolist() == prices
    assert (signals.price.state, signals.price.note) == ("published", "")
    signals = source.signals(MarketCalendar.of(PLAIN, 2))
    assert signals.price.values[96:].tolist() == prices  # the shape of the last good day
    assert signals.price.state == "assumption"
    assert "the shape of 2026-11-28 stands in" in signals.price.note
    assert signals.price.row().figure == "signals.price"
    assert signals.temperature.state == "synthetic"
    day_before = source.signals(calendar).price
    assert day_before.state == "synthetic"  # the worst of its days
    assert source.trouble(noon(PLAIN)) == ()


@pytest.mark.parametrize("given_periods", [92, 96, 100])
@pytest.mark.parametrize("wanted", [92, 96, 100])
def test_a_shape_fits_days_of_any_length(given_periods: int, wanted: int) -> None:
    shape = _stretched([float(n) for n in range(given_periods)], wanted)
    assert len(shape) == wanted
    assert shape[:8] == [float(n) for n in range(8)]
    assert shape[-40:] == [float(n) for n in range(given_periods - 40, given_periods)]


def test_a_damaged_cache_and_a_full_disk_cost_no_more_than_that(
    platform: Platform, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    for n, text in enumerate(("", "{", "[]", '{"signal": "price"}', '{"date": 3}')):
        (folder / f"{n}.json").write_text(text)
    platform.answer = entsoe(prices_xml(PLAIN, [50.0] * 96))
    feed = day_ahead(platform, tmp_path)
    assert feed.day("price", PLAIN) is None
    (folder / f"price-{PLAIN}.part").mkdir()  # writing fails
    assert feed.poll(noon(PLAIN), [PLAIN])
    assert feed.day("price", PLAIN) is not None
    assert "cannot be written" in feed.trouble(noon(PLAIN))


def test_the_days_to_ask_for() -> None:
    assert by_date(2, noon(PLAIN), "Europe/Amsterdam") == [PLAIN, PLAIN + dt.timedelta(days=1)]
