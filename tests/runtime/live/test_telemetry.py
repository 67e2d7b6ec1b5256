"""What the channels are told: power, what could be asked, and a counter that never falls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gigafactory.adapters.channels.door import TELEMETRY, Door
from gigafactory.adapters.channels.settings import ChannelSettings
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.parts import ORDERS_SILENT
from tests.runtime.live.bench import SITE, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def told(bench: Bench) -> dict[str, Any]:
    said = bench.store.published(TELEMETRY)
    assert said is not None
    assert said[0] == bench.clock.now_ns()
    return dict(said[1][SITE])


def imported_uwh(bench: Bench) -> int:
    column = live.SITE_COLUMNS.index("import_uwh")
    return sum(int(f.sites[0, column]) for _, _, f in bench.frames() if isinstance(f, live.Metered))


def test_telemetry_has_the_form_that_channels_read(bench: Bench) -> None:
    for i in range(4):
        bench.ask(f"w{i}", need_s=3000.0)
    bench.turn(30)
    body = told(bench)
    assert set(body) == {"metered_mw", "up_mw", "down_mw", "import_wh"}
    assert isinstance(body["import_wh"], int)
    assert body["metered_mw"] == pytest.approx(bench.twin.power_w("pool00") * 1.1 / 1e6, rel=1e-3)
    assert body["up_mw"] > 0.0, "four nodes could be paused"
    assert body["down_mw"] > 0.0, "the limit leaves room"
    settings = ChannelSettings.model_validate({"name": "afrr", "point": SITE, "power_max": "5 MW"})
    assert Door(settings, bench.store).metered(bench.clock.now_ns(), 6.0) == body


def test_the_counter_goes_on_over_restarts_and_counts_what_was_not_told(bench: Bench) -> None:
    for i in range(8):
        bench.ask(f"w{i}", need_s=30_000.0)
    last = 0
    for _ in range(3):
        for _ in range(20):
            bench.turn(2)
            now = told(bench)["import_wh"]
            assert now >= last
            last = now
        before = bench.store.published(TELEMETRY)
        bench.turn(10)
        bench.parts.book.sync()
        assert before is not None
        bench.store.publish(TELEMETRY, before[1], before[0])  # as if killed before it was told
        bench.restart()
    bench.turn(2)
    after = told(bench)["import_wh"]
    assert after >= last
    whole = imported_uwh(bench)
    assert whole / 1e6 - 4 <= after <= whole / 1e6, "all that was accounted, less than 1 Wh a start"


def test_a_channel_that_speaks_on_events_alone_is_alive_while_its_gateway_is(
    bench: Bench,
) -> None:
    desk = bench.parts.desk
    desk.sources["gopacs"] = replace(desk.sources["gopacs"], silent_s=20.0)
    bench.parts = bench.controller.parts = replace(bench.parts, channels=("gopacs",))

    def says(trouble: str) -> None:
        bench.store.publish("channel:gopacs", {"trouble": trouble}, bench.clock.now_ns())

    def silent() -> bool:
        (report,) = bench.turn(2)
        return (ORDERS_SILENT, "gopacs") in report.troubles

    for _ in range(30):  # a minute without any order
        says("")
        assert not silent()
    found = []
    for _ in range(15):
        says("its server does not answer")
        found.append(silent())
    assert not any(found[:9]), "it was well less than 20 s ago"
    assert all(found[11:]), "a gateway in trouble is no sign of life"
    says("")
    assert not silent()
