"""Prices from a feed reach the ledger's frames; what stands in for them has a name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gigafactory.adapters.feeds.feed import Unsound
from gigafactory.adapters.store import Store
from gigafactory.engine.errors import BadInput
from gigafactory.runtime.live import days, metering
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.accounting import book_of, receipts_of
from gigafactory.runtime.live.feeding import FEED_TROUBLE, FEEDS, SIGNALS, Feeder, opened
from gigafactory.runtime.live.pricing import CARBON_ASSUMED, PRICE_ASSUMED, Pricing
from gigafactory.runtime.live.serve import children_of
from gigafactory.runtime.live.settings import Settings, load_settings
from gigafactory.units import NS_PER_DAY, NS_PER_H, NS_PER_MIN
from tests.adapters.feeds.test_feeds import NOTHING, Platform, entsoe, prices_xml
from tests.runtime.live.bench import NOON, Bench
from tests.runtime.live.test_books_of_the_loop import folder_of
from tests.runtime.live.test_serve import written

ZONE = "Europe/Amsterdam"
TODAY = dt.date(2026, 11, 25)


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    yield made
    made.close()


@pytest.fixture
def settings(platform: Platform, tmp_path: Path) -> Settings:
    (tmp_path / "key").write_text("a-key")
    feeds = {
        "prices": {"kind": "entsoe", "url": platform.url, "cache": "feeds",
                   "key": {"file": "key"}, "stale": "1 h"}
    }  # fmt: skip
    return load_settings(written(tmp_path, feeds=feeds)[1])


@pytest.fixture
def feeder(settings: Settings, tmp_path: Path) -> Iterator[Feeder]:
    store = Store.open(f"sqlite:///{tmp_path / 'feeds.db'}")
    feeds = {name: opened(one, tmp_path) for name, one in settings.feeds.items()}
    yield Feeder(feeds, store, ZONE, 0)
    store.close()


def bench_of(folder: Path, feeder: Feeder | None = None) -> Bench:
    """A loop that is priced from what a feeder published."""
    folder.mkdir(exist_ok=True)
    bench = Bench(folder)
    pricing = Pricing(bench.parts.intake, ZONE, fed=True)
    bench.parts = bench.controller.parts = replace(bench.parts, pricing=pricing, prices=pricing.at)
    bench.controller.accounts.parts = bench.parts
    if feeder is not None:
        said = feeder.store.published(SIGNALS)
        assert said is not None
        bench.store.publish(SIGNALS, said[1], said[0])
    return bench


def priced(bench: Bench) -> list[tuple[int, int, int]]:
    price, carbon, known = (
        live.SITE_COLUMNS.index(n) for n in ("price_micro_eur", "carbon_mg", "priced")
    )
    return [
        (int(f.sites[0, price]), int(f.sites[0, carbon]), int(f.sites[0, known]))
        for _, _, f in bench.frames()
        if isinstance(f, live.Metered)
    ]


def assumed(bench: Bench) -> dict[str, str]:
    return {
        f.fallback: f.why
        for _, _, f in bench.frames()
        if isinstance(f, live.TroubleTold) and f.entered
    }


def test_the_settings_have_a_place_for_feeds_and_a_process(settings: Settings) -> None:
    assert FEEDS in children_of(settings)
    assert settings.feeds["prices"].key is not None
    assert settings.feeds["prices"].key.read("key") == "a-key", "beside the settings file"


def test_a_feed_of_no_known_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="crystal"):
        load_settings(written(tmp_path, feeds={"prices": {"kind": "crystal"}})[1])


def test_published_prices_are_in_the_frames(
    platform: Platform, feeder: Feeder, tmp_path: Path
) -> None:
    prices = [float(n) for n in range(96)]
    platform.answer = entsoe(prices_xml(TODAY, prices))
    feeder.turn(NOON)
    bench = bench_of(tmp_path / "b", feeder)
    bench.turn(20)
    bench.clock.wait_until(NOON + 15 * NS_PER_MIN)
    bench.turn(10)
    bench.parts.book.sync()
    rows = priced(bench)
    assert rows[0][0] == 48_000_000, "EUR 48 at noon, the 49th quarter"
    assert rows[-1][0] == 49_000_000
    assert all(known == 1 and carbon > 0 for _, carbon, known in rows)
    told = assumed(bench)
    assert PRICE_ASSUMED not in told
    assert "synthetic" in told[CARBON_ASSUMED], "no feed gives carbon, and the day says so"
    assert not bench.store.alarms(), "nobody is called for what nobody gives"
    bench.close()


def test_without_a_day_the_last_one_stands_in_by_name(
    platform: Platform, feeder: Feeder, tmp_path: Path
) -> None:
    platform.answer = entsoe(prices_xml(TODAY - dt.timedelta(days=1), [70.0] * 96))
    feeder.turn(NOON - NS_PER_DAY)
    platform.answer = entsoe(NOTHING)
    feeder.turn(NOON)
    feeder.turn(NOON + 2 * NS_PER_H)
    body = feeder.store.published(FEEDS)
    assert body is not None
    assert "gave nothing sound" in body[1]["trouble"]
    assert [one.kind for one in feeder.store.alarms()] == [FEED_TROUBLE]
    bench = bench_of(tmp_path / "b", feeder)
    bench.turn(4)
    bench.parts.book.sync()
    assert priced(bench)[-1][0] == 70_000_000
    assert "stands in" in assumed(bench)[PRICE_ASSUMED]
    assert [one.kind for one in bench.store.alarms()] == [PRICE_ASSUMED]
    bench.close()
    platform.answer = entsoe(prices_xml(TODAY, [50.0] * 96))
    feeder.turn(NOON + 4 * NS_PER_H)
    assert not feeder.store.alarms(), "and the alarm goes with its cause"


def test_a_feeder_that_died_leaves_the_same_quarter_of_its_last_day(
    platform: Platform, feeder: Feeder, tmp_path: Path
) -> None:
    platform.answer = entsoe(prices_xml(TODAY - dt.timedelta(days=1), [33.0] * 96))
    feeder.turn(NOON - NS_PER_DAY)
    said = feeder.store.published(SIGNALS)
    assert said is not None
    body = {**said[1], "values": {n: v[:96] for n, v in said[1]["values"].items()}}
    feeder.store.publish(SIGNALS, body, said[0])  # it knew of its own day only
    bench = bench_of(tmp_path / "b", feeder)
    bench.turn(4)
    bench.parts.book.sync()
    assert priced(bench)[-1][0] == 33_000_000
    assert "1 d old" in assumed(bench)[PRICE_ASSUMED]
    bench.close()


def test_without_any_feed_our_generator_stands_in_and_every_day_says_so(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    bench.turn(4)
    bench.clock.wait_until(NOON + 13 * NS_PER_H)
    bench.turn(4)
    bench.parts.book.sync()
    assert all(known == 1 for _, _, known in priced(bench))
    days = [
        f.about
        for _, _, f in bench.frames()
        if isinstance(f, live.TroubleTold) and f.entered and f.fallback == PRICE_ASSUMED
    ]
    assert days == ["price of 2026-11-25", "price of 2026-11-26"]
    bench.close()


def test_an_answer_that_is_none_is_never_raised(platform: Platform, feeder: Feeder) -> None:
    platform.answer = lambda _: (500, "text/plain", "no")
    feeder.turn(NOON)
    assert feeder.store.published(SIGNALS) is not None
    with pytest.raises(Unsound):
        feeder.feeds["prices"]._fetch(TODAY, NOON)


@pytest.mark.slow
def test_the_ledger_of_a_priced_day_has_euros(
    platform: Platform, feeder: Feeder, tmp_path: Path
) -> None:
    platform.answer = entsoe(prices_xml(TODAY, [100.0] * 96))
    feeder.turn(NOON)
    bench = bench_of(tmp_path / "b", feeder)
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    bench.turn(930)
    bench.parts.book.sync()
    folder = folder_of(bench, NOON)
    assert days.verify(folder)[0] == []
    day = days.read_day(folder)
    had = receipts_of(book_of(day.gather, day.factory)).values()
    energy_mwh = sum(row["energy_wh"] for row in had) / 1e6
    cost_eur = sum(row["cost_micro_eur"] for row in had) / 1e6
    assert energy_mwh > 0.0
    assert cost_eur > 100.0 * energy_mwh, "its price, what is paid beside it, the rest of the site"
    site = day.gather.site[48, 0]
    assert site[metering.SITE.index("price_micro_eur")] == 100_000_000
    assert site[metering.SITE.index("priced")] == 1
    bench.close()
