"""The door: what is refused does nothing but alarm; what is taken is kept before it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gigafactory.adapters.channels.door import (
    PUBLISHED,
    Answer,
    Bad,
    Door,
    Inbox,
    StoredSource,
    withdrawal,
)
from gigafactory.adapters.secrets import Secret, Tls
from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.engine.errors import BadInput
from gigafactory.grid.ports import GridOrder, OrderKind, OrderSource
from gigafactory.units import NS_PER_S
from tests.adapters.channels.common import T0, alarms, mqtt_settings, open_store

HOUR = 3600 * NS_PER_S


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path)
    yield made
    made.close()


@pytest.fixture
def door(store: Store, tmp_path: Path) -> Door:
    made = Door(mqtt_settings(tmp_path), store)
    made.open()
    return made


def order(sequence: int = 1, **more: Any) -> GridOrder:
    made = GridOrder(
        key=f"afrr:{sequence}",
        source="afrr",
        kind=OrderKind.SETPOINT,
        point="home",
        power_mw=12.5,
        issued_ns=T0,
        received_ns=T0,
        start_ns=T0,
        end_ns=T0 + 30 * NS_PER_S,
        sequence=sequence,
    )
    return replace(made, **more)


def test_an_order_is_in_the_store_with_its_message_when_it_is_taken(
    door: Door, store: Store
) -> None:
    assert door.take(order(), b"raw", T0, stream="afrr") is Answer.TAKEN
    (kept,) = store.orders(source="afrr")
    assert (kept.order, kept.body) == (order(), b"raw")
    assert alarms(store) == {}


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ({"issued_ns": T0 - 11 * NS_PER_S}, Bad.STALE),
        ({"issued_ns": T0 + 3 * NS_PER_S}, Bad.STALE),
        ({"power_mw": 140.1}, Bad.ABSURD),
        ({"power_mw": -140.1}, Bad.ABSURD),
        ({"power_mw": float("nan")}, Bad.ABSURD),
        ({"power_mw": float("inf")}, Bad.ABSURD),
        ({"kind": OrderKind.LIMIT, "power_mw": -0.1}, Bad.ABSURD),
        ({"end_ns": T0}, Bad.ABSURD),
        ({"start_ns": T0 + 73 * HOUR, "end_ns": T0 + 74 * HOUR}, Bad.ABSURD),
        ({"end_ns": T0 + 49 * HOUR}, Bad.ABSURD),
    ],
)
def test_what_is_stale_or_absurd_does_nothing_but_alarm(
    door: Door, store: Store, change: dict[str, Any], bad: Bad
) -> None:
    assert door.take(order(**change), b"", T0, stream="afrr") is Answer.REFUSED
    assert store.orders() == []
    assert alarms(store) == {bad.value: 1}


def test_a_key_the_store_cannot_keep_is_refused(door: Door, store: Store) -> None:
    assert door.take(order(key="a\x00b"), b"", T0, stream="afrr") is Answer.REFUSED
    assert alarms(store) == {Bad.MALFORMED.value: 1}


def test_a_counter_that_does_not_rise_is_a_replay_also_after_a_restart(
    door: Door, store: Store, tmp_path: Path
) -> None:
    assert door.take(order(7), b"", T0, stream="afrr") is Answer.TAKEN
    assert door.take(order(7), b"", T0, stream="afrr") is Answer.REFUSED
    assert door.take(order(6), b"", T0, stream="afrr") is Answer.REFUSED
    door.health("", T0)
    later = Door(mqtt_settings(tmp_path), store)
    later.open()
    assert later.take(order(6), b"", T0, stream="afrr") is Answer.REFUSED
    assert later.take(order(8), b"", T0, stream="afrr") is Answer.TAKEN
    assert [kept.order.sequence for kept in store.orders()] == [7, 8]
    assert set(alarms(store)) == {Bad.REPLAYED.value}


def test_a_restart_that_lost_its_counters_finds_the_key_in_the_store(
    door: Door, store: Store, tmp_path: Path
) -> None:
    assert (
        door.take(order(7), b"", T0, stream="afrr") is Answer.TAKEN
    )  # and dies: nothing published
    later = Door(mqtt_settings(tmp_path), store)
    later.open()
    assert later.take(order(7), b"", T0, stream="afrr") is Answer.REPEATED
    assert len(store.orders()) == 1


def test_what_the_transport_delivers_again_is_no_attack(door: Door, store: Store) -> None:
    door.take(order(7), b"", T0, stream="afrr")
    assert door.take(order(7), b"", T0, stream="afrr", again=True) is Answer.REPEATED
    assert door.take(order(6), b"", T0, stream="afrr", again=True) is Answer.REFUSED
    assert alarms(store) == {Bad.REPLAYED.value: 1}


def test_a_flood_of_bad_messages_writes_few_alarms(door: Door, store: Store) -> None:
    for n in range(1000):
        door.refuse(Bad.FORGED, f"message {n}\x00\n", T0 + n * NS_PER_S // 100)
    (alarm,) = store.alarms()
    assert alarm.times == 2  # one at once, one after five seconds, for ten seconds of them
    assert alarm.text == "message 0??"
    assert door.counts[Bad.FORGED.value] == 1000


class _Away:
    """A store that is away for its first calls, then the real one."""

    def __init__(self, store: Store, calls: int) -> None:
        self._store, self.calls = store, calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)

        def call(*given: Any, **more: Any) -> Any:
            if self.calls > 0:
                self.calls -= 1
                raise StoreTrouble("gone")
            return real(*given, **more)

        return call


def test_without_the_store_nothing_is_answered_and_alarms_wait(
    store: Store, tmp_path: Path
) -> None:
    away: Any = _Away(store, 0)
    door = Door(mqtt_settings(tmp_path), away)
    door.open()
    away.calls = 3
    assert door.take(order(1), b"", T0, stream="afrr") is Answer.LATER
    assert door.refuse(Bad.FORGED, "first", T0) is Answer.REFUSED
    door.health("", T0)
    assert "gone" in door.store_trouble
    assert door.take(order(1), b"", T0, stream="afrr") is Answer.TAKEN
    door.health("", T0 + 1)
    assert alarms(store) == {Bad.FORGED.value: 1}
    assert door.store_trouble == ""


def test_silence_raises_one_alarm_and_its_end_clears_it(door: Door, store: Store) -> None:
    for second in range(4):
        door.health("no sound setpoint", T0 + second * NS_PER_S)
    assert alarms(store) == {Bad.SILENT.value: 1}
    door.health("", T0 + 5 * NS_PER_S)
    assert alarms(store) == {}
    published = store.published(PUBLISHED + "afrr")
    assert published is not None
    assert published[1]["trouble"] == ""


def test_the_controller_hears_of_orders_and_of_a_dead_gateway(door: Door, store: Store) -> None:
    source = StoredSource(store, "afrr")
    assert isinstance(source, OrderSource)
    assert "not been heard of" in source.trouble(T0)
    door.take(order(1), b"", T0, stream="afrr")
    store.put_order(replace(order(2), source="another"))
    door.health("", T0)
    assert source.orders(T0) == (order(1),)
    assert source.orders(T0 + 1) == ()
    assert source.trouble(T0 + 2 * NS_PER_S) == ""
    assert "silent for 11 s" in source.trouble(T0 + 11 * NS_PER_S)
    door.health("no broker", T0 + 12 * NS_PER_S)
    assert source.trouble(T0 + 12 * NS_PER_S) == "no broker"


def test_a_withdrawal_allows_the_contracted_power_for_what_is_left() -> None:
    limit = order(kind=OrderKind.LIMIT, power_mw=60.0, end_ns=T0 + HOUR)
    back = withdrawal(limit, "gone", 140.0, T0 + NS_PER_S)
    assert (back.power_mw, back.start_ns, back.end_ns) == (140.0, T0 + NS_PER_S, T0 + HOUR)
    assert back.replaces == limit.key


def test_a_full_inbox_lets_the_oldest_go() -> None:
    inbox: Inbox[int] = Inbox(2)
    assert [inbox.put(n) for n in (1, 2, 3)] == [None, None, 1]
    assert inbox.get(0.0) == 2
    assert inbox.back(2) is None
    assert inbox.put(4) == 2
    assert inbox.back(9) == 9
    assert [inbox.get(0.0) for _ in range(3)] == [3, 4, None]


def test_secrets_are_read_late_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "  hush ")
    told = Secret(env="A_SECRET")
    assert told.read("here") == "hush"
    assert "hush" not in repr(told)
    monkeypatch.setenv("A_SECRET", " ")
    for made in (told, Secret(file=str(tmp_path / "none")), Secret(file=str(tmp_path))):
        with pytest.raises(BadInput):
            made.read("here")
    with pytest.raises(BadInput):
        Tls(ca=str(tmp_path / "none.pem")).context("here")


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"host": "broker.example"}, "needs tls"),
        ({"signing": None}, "go together"),
        ({"keys": {}}, "needs a key"),
        ({"port": 0}, "port"),
        ({"power_max": "140"}, "unit"),
        ({"colour": 1}, "unknown key"),
        ({"password": {"file": "a", "env": "b"}}, "needs one of"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, more: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        mqtt_settings(tmp_path, **more)
