"""From a request for flexibility to its settlement, with every process of the service as it runs.

`gigafactory serve` starts the controller (on a simulated cluster) and the GOPACS gateway; the grid
operator and the common reference are built on the official library, and are not ours. A market day
takes a day, so the service is stopped and started again between the evening before, the hour of the
order and the day after; the time its processes see is shifted in between, from outside.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import shapeshifter_uftp.uftp as uftp
import yaml
from xsdata.models.datatype import XmlDate

from gigafactory.adapters.store.records import Asked, OfferState, Verdict, WorkState
from gigafactory.adapters.uftp.days import instant_text
from gigafactory.engine.errors import EXIT_OK
from gigafactory.units import NS_PER_S
from tests.adapters.uftp.counterpart import POINT
from tests.adapters.uftp.rig import TODAY, TOMORROW, Rig, local, waited
from tests.runtime.live.test_serve import command, written

SITE = "site0"
ASKED_W = -12_000
ISPS = (1, 2)
_SHIFT = """
import os, time
offset = int(open(os.environ["GF_TEST_CLOCK"]).read())
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + offset / 1e9
time.time_ns = lambda: real_ns() + offset
"""


class Service:
    """The service under test, and whom it speaks with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rig = Rig(
            folder, site=SITE, firm="1 MW", contracts=[], least="1 kW", tolerance="0.0005 MW",
            revise="1 s", lead="0 s", stale="15 min",
        )  # fmt: skip
        channel = {"kind": "uftp", "points": [SITE], "silent": "60 s", "options": self.rig.settings}
        self.factory, self.settings = written(
            folder, store={"url": self.rig.url}, channels={"gopacs": channel}
        )
        told = yaml.safe_load(self.settings.read_text())
        told["managers"]["main"]["checkpoint"] = "60 s"
        self.settings.write_text(yaml.safe_dump(told))
        (folder / "shift").mkdir()
        (folder / "shift" / "sitecustomize.py").write_text(_SHIFT)
        self.log = folder / "log"

    @contextmanager
    def running(self, at_ns: int) -> Iterator[None]:
        """The whole service from an instant on, until it is told to stop."""
        self.rig.set_clock(at_ns)
        path = [str(self.folder / "shift"), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "GF_TEST_CLOCK": str(self.rig.clock_file),
               "PYTHONPATH": os.pathsep.join(path)}  # fmt: skip
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command(self.factory, self.settings), env=env, stdout=log, stderr=log
            )
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == EXIT_OK, self.log.read_text()[-3000:]
        finally:
            process.kill()
            process.wait()

    def told(self, kind: str, *names: str) -> Any:
        """A part of what the service published after the clock was set; None for nothing."""
        said = self.rig.store.published(kind)
        found: Any = said[1] if said is not None else None
        for name in names:
            found = found.get(name) if found is not None else None
        return found

    def fresh(self, kind: str) -> bool:
        said = self.rig.store.published(kind)
        return said is not None and 0 <= self.rig.now_ns() - said[0] < 5 * NS_PER_S

    def ask(self, count: int) -> None:
        for i in range(count):
            body = {"job_class": "research", "accelerators": 8, "nodes": 1, "walltime_s": 10**6,
                    "priority": 3, "script": "# need_s=900000\n", "name": f"w{i}",
                    "pool": "pool00", "accelerators_min": 0}  # fmt: skip
            self.rig.store.submit(Asked("lab", f"w{i}", body, "test", self.rig.now_ns()))

    def states(self) -> list[WorkState]:
        return [one.state for one in self.rig.store.list_work()]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    try:
        yield made
    finally:
        for one in made.rig.store.messages("gopacs"):
            sys.stdout.write(f"{one.seq} {one.direction} {one.kind} {one.state}\n")
        for alarm in made.rig.store.alarms(open_only=False):
            sys.stdout.write(f"{alarm.kind} {alarm.key} {alarm.text}\n")
        sys.stdout.write(made.log.read_text()[-3000:] if made.log.exists() else "")
        made.rig.close()


def prognosis(rig: Rig, least_w: int) -> Any:
    """The newest prognosis of tomorrow, once the work that runs is in it."""
    found = [one for one in rig.dso.of(uftp.DPrognosis) if one.period.to_date() == TOMORROW]
    return found[-1] if found and found[-1].isps[0].power > least_w else None


def the_evening_before(service: Service) -> tuple[Any, Any]:
    """Work runs, flexibility is asked for, offered and ordered for the first half hour of the day.

    Returns:
        The order, and the baseline by ISP.
    """
    rig = service.rig
    with service.running(local(TODAY, 23, 45)):
        waited("the controller", lambda: service.fresh("status"), 120.0)
        service.ask(8)
        waited("work", lambda: service.states().count(WorkState.RUNNING) == 8, 60.0)
        waited("the gateway", lambda: service.fresh("channel:gopacs"), 60.0)
        full_w = waited("power", lambda: service.told("telemetry", SITE, "metered_mw")) * 1e6
        waited("a prognosis with the work in it", lambda: prognosis(rig, int(0.9 * full_w)), 60.0)
        request = rig.request(
            expiration_date_time=instant_text(rig.now_ns() + 300 * NS_PER_S),
            isps=[
                uftp.FlexRequestISP(
                    disposition=uftp.AvailableRequested.REQUESTED,
                    min_power=ASKED_W, max_power=0, start=ISPS[0], duration=len(ISPS),
                ),
                uftp.FlexRequestISP(
                    disposition=uftp.AvailableRequested.AVAILABLE,
                    min_power=0, max_power=5_000, start=3, duration=94,
                ),
            ],
        )  # fmt: skip
        offer = rig.offered(request)
        assert [(one.start, one.duration, one.power) for one in offer.offer_options[0].isps] == [
            (1, 2, ASKED_W)
        ]
        order = rig.order(offer)
        answer = rig.ordered(order)
        assert answer.result == "Accepted", answer.rejection_reason
        baseline = next(
            one for one in rig.dso.of(uftp.DPrognosis)
            if one.message_id == offer.d_prognosis_message_id
        )  # fmt: skip
        verdicts = waited(
            "the controller's verdict",
            lambda: [o for o in rig.store.orders() if o.verdict is not Verdict.WAITING],
        )
        (kept,) = verdicts
        assert (kept.verdict, kept.order.source) == (Verdict.TAKEN, "gopacs")
        assert kept.order.start_ns == local(TOMORROW, 0)
        assert kept.order.end_ns == local(TOMORROW, 0, 30)
        powers = {
            isp: one.power
            for one in baseline.isps
            for isp in range(one.start, one.start + one.duration)
        }
        assert kept.order.power_mw == pytest.approx((powers[1] + ASKED_W) / 1e6, abs=1e-6)
        assert service.told("status", "points", SITE, "order") == "", "not yet"
    return order, powers


def the_hour_of_the_order(service: Service, limit_w: float) -> None:
    """The controller knows the order after a restart, and lowers its power while it holds."""
    with service.running(local(TOMORROW, 0) + 20 * NS_PER_S):

        def obeyed() -> bool:
            key = service.told("status", "points", SITE, "order") or ""
            power = service.told("telemetry", SITE, "metered_mw")
            return bool(
                service.fresh("status") and key.startswith("gopacs:") and power * 1e6 <= limit_w
            )

        waited("less power in the ordered ISP", obeyed, 120.0)
        waited("some work paused", lambda: service.states().count(WorkState.RUNNING) < 8, 30.0)
        silent = [f for f in service.told("status", "fallbacks") if f["kind"] == "orders_silent"]
        assert not silent, "the gateway lives, though it says nothing new"


def settlement(order: Any, baseline: dict[int, int], actual_w: dict[int, int]) -> Any:
    """What the grid operator settles from the metering it was sent."""
    rows = []
    for isp in ISPS:
        given = max(0, min(baseline[isp] - actual_w[isp], -ASKED_W))
        rows.append(
            uftp.FlexOrderSettlementISP(
                start=isp, duration=1, baseline_power=baseline[isp], ordered_flex_power=ASKED_W,
                actual_power=actual_w[isp], delivered_flex_power=given,
                power_deficiency=-ASKED_W - given,
            )
        )  # fmt: skip
    day = XmlDate.from_date(TOMORROW)
    settled = uftp.FlexOrderSettlement(
        order_reference=order.order_reference, period=day, congestion_point=POINT,
        d_prognosis_message_id=order.d_prognosis_message_id, price=order.price, penalty=0,
        net_settlement=order.price, isps=rows,
    )  # fmt: skip
    contract = uftp.ContractSettlement(
        contract_id="none",
        periods=[
            uftp.ContractSettlementPeriod(
                period=day,
                isps=[uftp.ContractSettlementISP(start=1, duration=96, reserved_power=0)],
            )
        ],
    )
    return uftp.FlexSettlement(
        flex_order_settlements=[settled], contract_settlements=[contract], period_start=day,
        period_end=day, currency="EUR",
    )  # fmt: skip


def the_day_after(service: Service, order: Any, baseline: dict[int, int]) -> dict[int, int]:
    """The day's metering goes out, and what is settled by it is accepted; the mean power by ISP."""
    rig = service.rig
    with service.running(local(TOMORROW + dt.timedelta(days=1), 0, 10)):
        metering = waited("metering", lambda: rig.dso.of(uftp.Metering), 120.0)[0]
        assert metering.period.to_date() == TOMORROW
        assert len(metering.profiles[0].isps) == 96
        actual = {isp: round(float(metering.profiles[0].isps[isp - 1].value) * 1000)
                  for isp in range(1, 97)}  # fmt: skip
        said = settlement(order, baseline, actual)
        rig.say(said)
        answer = rig.answer_to(said, uftp.FlexSettlementResponse, "flex_settlement_message_id")
        statuses = answer.flex_order_settlement_statuses
        assert [(one.order_reference, one.disposition) for one in statuses] == [("O-1", "Accepted")]
        waited(
            "the offer to be settled",
            lambda: [one.state for one in rig.store.offers()] == [OfferState.SETTLED],
        )
    return actual


@pytest.mark.slow
def test_a_request_is_offered_ordered_obeyed_metered_and_settled(service: Service) -> None:
    order, baseline = the_evening_before(service)
    limit_w = baseline[1] + ASKED_W
    the_hour_of_the_order(service, limit_w)
    actual = the_day_after(service, order, baseline)
    for isp in ISPS:
        assert actual[isp] <= limit_w + 500, f"ISP {isp} was obeyed"
    alarms = {one.kind for one in service.rig.store.alarms(open_only=False)}
    assert not alarms & {"order_refused", "over_committed", "settlement_disputed", "limit_broken"}
