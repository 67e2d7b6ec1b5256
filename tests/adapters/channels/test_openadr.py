"""OpenADR 3.0.1: events of a real HTTP server become orders, change and are withdrawn."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gigafactory.adapters.channels.door import TELEMETRY, Bad
from gigafactory.adapters.channels.openadr import OpenAdrChannel, remembered
from gigafactory.adapters.channels.openadrmodels import Duration, Event, limits
from gigafactory.adapters.channels.openadrreports import Reports
from gigafactory.adapters.channels.running import channel_settings
from gigafactory.adapters.store import Store
from gigafactory.engine.errors import BadInput
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.units import NS_PER_S
from tests.adapters.channels.common import T0, TestClock, alarms, open_store, secret
from tests.adapters.channels.vtn import Vtn

HOUR = 3600 * NS_PER_S


def text(at_ns: int) -> str:
    return dt.datetime.fromtimestamp(at_ns // NS_PER_S, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def event(name: str = "e-1", kw: float = 60_000.0, **more: Any) -> dict[str, Any]:
    made = {
        "id": name,
        "objectType": "EVENT",
        "programID": "p-1",
        "createdDateTime": text(T0 - HOUR),
        "modificationDateTime": text(T0 - HOUR),
        "eventName": "limit",
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": "IMPORT_CAPACITY_LIMIT",
                "units": "KW",
            }
        ],
        "intervalPeriod": {"start": text(T0 + HOUR), "duration": "PT15M"},
        "intervals": [
            {"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [kw]}]},
            {"id": 1, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [kw + 10_000]}]},
        ],
    }
    return made | more


def limited(value: Any) -> list[dict[str, Any]]:
    return [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [value]}]}]


@pytest.fixture
def vtn() -> Iterator[Vtn]:
    made = Vtn()
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path)
    yield made
    made.close()


def http_date(at_ns: int) -> str:
    moment = dt.datetime.fromtimestamp(at_ns // NS_PER_S, dt.UTC)
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.fixture
def clock(vtn: Vtn) -> TestClock:
    made = TestClock()
    vtn.date = lambda: http_date(made.at_ns)
    return made


def told(vtn: Vtn, folder: Path, **more: Any) -> Any:
    options = {
        "power_max": "140 MW",
        "url": vtn.url,
        "client_id": "ven-1",
        "client_secret": secret(folder, "vtn", "s3cret"),
        "programs": ["limits"],
        "ven_name": "home-ven",
        "resource_name": "home-connection",
        "silent": "30 s",
    }
    return channel_settings("openadr", "openadr", "home", options | more, "serve.yaml")


@pytest.fixture
def channel(vtn: Vtn, store: Store, clock: TestClock, tmp_path: Path) -> Iterator[OpenAdrChannel]:
    made = OpenAdrChannel(told(vtn, tmp_path), store, clock)
    yield made
    made.close()


def poll(channel: OpenAdrChannel, clock: TestClock, seconds: float = 11.0) -> None:
    clock.on(seconds)
    channel.step(0.0)


def orders(store: Store) -> list[GridOrder]:
    return [kept.order for kept in store.orders()]


def test_an_event_becomes_an_order_per_interval(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    vtn.events["e-1"] = event()
    poll(channel, clock)
    first, second = orders(store)
    assert (first.kind, first.power_mw, first.point) == (OrderKind.LIMIT, 60.0, "home")
    assert (first.start_ns, first.end_ns) == (T0 + HOUR, T0 + HOUR + HOUR // 4)
    assert (second.power_mw, second.start_ns) == (70.0, first.end_ns)
    poll(channel, clock)
    assert len(orders(store)) == 2
    assert channel.trouble(clock.now_ns()) == ""


def test_a_changed_event_replaces_and_a_deleted_one_is_withdrawn(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    vtn.events["e-1"] = event()
    poll(channel, clock)
    before = orders(store)
    changed = event(kw=40_000.0, modificationDateTime=text(T0))
    changed["intervals"] = changed["intervals"][:1]
    vtn.events["e-1"] = changed
    poll(channel, clock)
    replaced, withdrawn = orders(store)[2:]
    assert (replaced.power_mw, replaced.replaces) == (40.0, before[0].key)
    assert (withdrawn.power_mw, withdrawn.replaces) == (140.0, before[1].key)
    assert (withdrawn.start_ns, withdrawn.end_ns) == (before[1].start_ns, before[1].end_ns)
    del vtn.events["e-1"]
    poll(channel, clock)
    (last,) = orders(store)[4:]
    assert (last.power_mw, last.replaces) == (140.0, replaced.key)
    poll(channel, clock)
    assert len(orders(store)) == 5


def test_a_failing_server_or_a_short_list_withdraws_nothing(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    vtn.events["e-1"] = event()
    poll(channel, clock)
    vtn.fail = 100
    for _ in range(5):
        poll(channel, clock, 200.0)
    assert "no sound answer" in channel.trouble(clock.now_ns())
    vtn.fail, vtn.raw = 0, b"[]"  # the list forgets it, the event itself is still there
    poll(channel, clock, 200.0)
    for raw in (b"{}", b"[", b"null", b"[" * 100_000, b"[1e999]"):
        vtn.raw = raw
        poll(channel, clock, 200.0)
    vtn.raw = None
    poll(channel, clock, 200.0)
    assert len(orders(store)) == 2
    assert channel.trouble(clock.now_ns()) == ""


def test_waiting_doubles_while_the_server_fails(
    channel: OpenAdrChannel, vtn: Vtn, clock: TestClock
) -> None:
    vtn.fail = 10_000
    for _ in range(600):
        poll(channel, clock, 1.0)
    asked = len([path for path in vtn.asked if "/programs" in path])
    assert 5 <= asked <= 9  # 10, 20, 40, 80, then every 120 s


def test_a_new_process_knows_what_the_one_before_took_up(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock, tmp_path: Path
) -> None:
    vtn.events["e-1"], vtn.events["e-2"] = event(), event("e-2", 50_000.0)
    poll(channel, clock)
    del vtn.events["e-2"]
    vtn.events["e-1"] = event(kw=40_000.0, modificationDateTime=text(T0))
    later = OpenAdrChannel(told(vtn, tmp_path), store, clock)
    poll(later, clock)
    after = orders(store)[4:]
    assert sorted((o.power_mw, o.replaces.split(":")[0]) for o in after) == [
        (40.0, "e-1"),
        (50.0, "e-1"),
        (140.0, "e-2"),
        (140.0, "e-2"),
    ]
    assert set(remembered(orders(store))) == {"e-1"}
    later.close()


def test_events_come_page_by_page_and_only_ours(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    for n in range(120):
        vtn.events[f"e-{n}"] = event(f"e-{n}")
    vtn.events["x"] = event("x", targets=[{"type": "VEN_NAME", "values": ["another"]}])
    vtn.events["y"] = event("y", targets=[{"type": "RESOURCE_NAME", "values": ["home-connection"]}])
    vtn.events["z"] = event("z", programID="p-2")
    poll(channel, clock)
    named = {order.key.split(":")[0] for order in orders(store)}
    assert named == {f"e-{n}" for n in range(120)} | {"y"}


def test_a_token_that_was_revoked_is_fetched_again_and_a_wrong_secret_is_trouble(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock, tmp_path: Path
) -> None:
    poll(channel, clock)
    vtn.tokens.clear()
    vtn.events["e-1"] = event()
    poll(channel, clock)
    assert len(orders(store)) == 2
    wrong = told(vtn, tmp_path, client_secret=secret(tmp_path, "wrong", "hush-hush"))
    other = OpenAdrChannel(wrong, store, clock)
    for _ in range(8):
        poll(other, clock)
    assert "no token: answered 400" in other.trouble(clock.now_ns())
    assert "hush" not in other.trouble(clock.now_ns())
    other.close()


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ({"intervals": limited("9")},
         Bad.MALFORMED),
        ({"intervals": limited(True)},
         Bad.MALFORMED),
        ({"intervals": [{"id": "0", "payloads": []}]}, Bad.MALFORMED),
        ({"intervals": "none"}, Bad.MALFORMED),
        ({"payloadDescriptors": [{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "AMPS"}]},
         Bad.MALFORMED),
        ({"intervalPeriod": None}, Bad.MALFORMED),
        ({"intervalPeriod": {"start": "2026-11-28T12:00:00", "duration": "PT1H"}}, Bad.MALFORMED),
        ({"intervalPeriod": {"start": text(T0), "duration": "an hour"}}, Bad.MALFORMED),
        ({"modificationDateTime": text(T0 + HOUR)}, Bad.STALE),
        ({"intervalPeriod": {"start": text(T0 + 1000 * HOUR), "duration": "PT1H"}}, Bad.ABSURD),
        ({"intervals": limited(1e9)},
         Bad.ABSURD),
        ({"intervals": limited(-1)},
         Bad.ABSURD),
    ],
)  # fmt: skip
def test_an_unsound_event_does_nothing_but_alarm_and_others_are_taken(
    channel: OpenAdrChannel,
    vtn: Vtn,
    store: Store,
    clock: TestClock,
    change: dict[str, Any],
    bad: Bad,
) -> None:
    vtn.events["bad"] = event("bad", **change)
    vtn.events["good"] = event("good")
    poll(channel, clock)
    assert {order.key.split(":")[0] for order in orders(store)} == {"good"}
    assert set(alarms(store)) == {bad.value}


def test_an_older_version_of_an_event_is_a_replay(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    vtn.events["e-1"] = event(modificationDateTime=text(T0))
    poll(channel, clock)
    vtn.events["e-1"] = event(kw=120_000.0)
    poll(channel, clock)
    assert len(orders(store)) == 2
    assert alarms(store) == {Bad.REPLAYED.value: 1}


def test_an_emergency_and_a_limit_without_end(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    payloads = [
        {"type": "IMPORT_CAPACITY_LIMIT", "values": [30]},
        {"type": "ALERT_GRID_EMERGENCY", "values": ["line lost"]},
    ]
    vtn.events["e-1"] = event(
        intervalPeriod={"start": text(T0)},
        intervals=[{"id": 3, "payloads": payloads}],
        payloadDescriptors=[{"payloadType": "IMPORT_CAPACITY_LIMIT", "units": "MW"}],
    )
    poll(channel, clock)
    (order,) = orders(store)
    assert (order.kind, order.power_mw) == (OrderKind.EMERGENCY, 30.0)
    assert order.end_ns - order.start_ns == 48 * HOUR
    poll(channel, clock, 23 * 3600.0)
    assert len(orders(store)) == 1
    poll(channel, clock, 2 * 3600.0)  # half of it has passed: renewed
    poll(channel, clock)
    again = orders(store)[1:]
    assert [(o.start_ns, o.replaces, o.power_mw) for o in again] == [
        (T0 + 24 * HOUR, order.key, 30.0)
    ]
    assert remembered(orders(store))["e-1"].orders[3] == again[0]


def test_clocks_that_differ_are_trouble(
    channel: OpenAdrChannel, vtn: Vtn, clock: TestClock
) -> None:
    vtn.date = lambda: http_date(T0)
    poll(channel, clock, 100.0)
    assert "clock is -100 s from ours" in channel.trouble(clock.now_ns())


def test_usage_is_reported_once_when_the_interval_has_passed(
    channel: OpenAdrChannel, vtn: Vtn, store: Store, clock: TestClock
) -> None:
    asks = {"reportDescriptors": [{"payloadType": "USAGE"}]}
    vtn.events["e-1"] = event(intervalPeriod={"start": text(T0 + 60 * NS_PER_S),
                                              "duration": "PT5M"}, **asks)  # fmt: skip
    for minute in range(20):  # 60 MW are 1 MWh a minute
        body = {"home": {"metered_mw": 60.0, "import_wh": minute * 1_000_000}}
        store.publish(TELEMETRY, body, clock.now_ns())
        channel.step(0.0)
        clock.on(60.0)
    first, second = vtn.reports
    assert (first["eventID"], first["programID"], first["clientName"]) == ("e-1", "p-1", "home-ven")
    (resource,) = first["resources"]
    assert resource["resourceName"] == "home-connection"
    assert resource["intervalPeriod"] == {"start": text(T0 + 60 * NS_PER_S), "duration": "PT300S"}
    assert resource["intervals"] == [
        {
            "id": 0,
            "payloads": [
                {"type": "USAGE", "values": [5000.0]},
                {"type": "DATA_QUALITY", "values": ["OK"]},
            ],
        }
    ]
    assert second["resources"][0]["intervals"][0]["id"] == 1


def test_usage_says_where_it_is_estimated_or_missing() -> None:
    reports = Reports("ven", "home")
    for second in (0, 600, 1200):
        reports.sample(T0 + second * NS_PER_S, {"import_wh": second * 1000})
    assert reports.usage(T0, T0 + 600 * NS_PER_S) == (600.0, "OK")
    assert reports.usage(T0 + 300 * NS_PER_S, T0 + 900 * NS_PER_S) == (600.0, "ESTIMATED")
    assert reports.usage(T0 - 1, T0 + 600 * NS_PER_S)[1] == "MISSING"
    reports.sample(T0 + 1300 * NS_PER_S, {"import_wh": 5})  # another meter
    assert reports.usage(T0, T0 + 600 * NS_PER_S)[1] == "MISSING"


def test_intervals_with_their_own_periods() -> None:
    body = event()
    body["intervals"][1]["intervalPeriod"] = {"start": text(T0 + 5 * HOUR), "duration": "PT2H"}
    first, second = limits(Event.model_validate(body))
    assert (first.start_ns, second.start_ns, second.end_ns) == (
        T0 + HOUR, T0 + 5 * HOUR, T0 + 7 * HOUR
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("PT15M", 900), ("P1D", 86_400), ("P1DT1H1M1.5S", 90_061.5), ("P2W", 1_209_600), ("PT0S", 0)],
)
def test_durations(words: str, seconds: float) -> None:
    assert TypeAdapter(Duration).validate_python(words) == seconds * NS_PER_S


@given(st.text(max_size=30) | st.from_regex(r"P[0-9YMDWTHS.]{0,20}", fullmatch=True))
def test_no_text_makes_a_duration_raise_anything_else(words: str) -> None:
    with contextlib.suppress(ValidationError):
        assert TypeAdapter(Duration).validate_python(words) >= 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                               max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(event())), _JSON), st.data())
def test_no_event_whatever_makes_it_raise_anything_else(
    change: dict[str, Any], data: st.DataObject
) -> None:
    body = event() | change
    if data.draw(st.booleans()):
        body["intervals"] = [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT",
                                                     "values": data.draw(_JSON)}]}]  # fmt: skip
    try:
        found = limits(Event.model_validate(json.loads(json.dumps(body))))
    except ValueError:
        return
    assert all(-(2**63) < limit.start_ns < 2**63 for limit in found)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"url": "http://vtn.example/openadr3"}, "https"),
        ({"token_url": "http://vtn.example"}, "https"),
        ({"programs": []}, "programme"),
        ({"client_secret": "s3cret"}, "must be a block"),
    ],
)
def test_settings_that_cannot_be_are_told(
    vtn: Vtn, tmp_path: Path, more: dict[str, Any], word: str
) -> None:
    with pytest.raises(BadInput, match=word):
        told(vtn, tmp_path, **more)
