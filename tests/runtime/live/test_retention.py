"""The store lets go of what is old once a day, and keeps what settlements need."""

from __future__ import annotations

from pathlib import Path

import pytest

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Message
from gigafactory.engine.errors import BadInput
from gigafactory.runtime.live.retention import RETENTION, Sweeper
from gigafactory.runtime.live.settings import Retention, load_settings
from gigafactory.units import NS_PER_DAY
from tests.runtime.live.bench import NOON
from tests.runtime.live.test_serve import written


def filled(folder: Path) -> Store:
    store = Store.open(f"sqlite:///{folder / 'store.db'}")
    for channel in ("gopacs", "afrr"):
        for days in (500, 60, 1):
            at_ns = NOON - days * NS_PER_DAY
            store.put_message(Message(channel, "in", f"m{days}", "x", at_ns, b""))
    return store


def names(store: Store, channel: str) -> list[str]:
    return [m.message_id for m in store.messages(channel)]


def test_it_sweeps_once_a_day_also_over_a_restart(tmp_path: Path) -> None:
    store = filled(tmp_path)
    first = Sweeper(store, Retention(), ("gopacs",))
    first.turn(NOON)
    first.wait()
    assert names(store, "gopacs") == ["m60", "m1"], "thirteen months"
    assert names(store, "afrr") == ["m1"], "thirty days"
    told = store.published(RETENTION)
    assert told is not None
    assert told[1]["rows"]["message"] == 3
    store.put_message(Message("afrr", "in", "late", "x", NOON - 99 * NS_PER_DAY, b""))
    again = Sweeper(store, Retention(), ("gopacs",))
    for later in (1, NS_PER_DAY - 1):
        again.turn(NOON + later)
        again.wait()
    assert "late" in names(store, "afrr")
    again.turn(NOON + NS_PER_DAY)
    again.wait()
    assert "late" not in names(store, "afrr")
    store.close()


def test_messages_of_a_settled_channel_may_not_be_swept_early(tmp_path: Path) -> None:
    _, settings = written(tmp_path, retention={"settled": "300 d"})
    with pytest.raises(BadInput, match="thirteen months"):
        load_settings(settings)


def test_a_gateway_of_gopacs_has_its_own_name(tmp_path: Path) -> None:
    channels = {"grid": {"kind": "uftp", "points": ["site0"]}}
    _, settings = written(tmp_path, channels=channels)
    with pytest.raises(BadInput, match="is called gopacs"):
        load_settings(settings)
