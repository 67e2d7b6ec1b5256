"""The rules without I/O: market days, offers, orders, restrictions, settlement, the wire."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.secrets import Secret
from gigafactory.adapters.uftp import offers, settling
from gigafactory.adapters.uftp.book import Book, room_w, scaled
from gigafactory.adapters.uftp.checks import matched, request_reasons
from gigafactory.adapters.uftp.days import (
    Span,
    by_isp,
    covered,
    day_of,
    faults,
    instant_text,
    joined,
    parse_instant,
)
from gigafactory.adapters.uftp.desk import Desk
from gigafactory.adapters.uftp.guard import Unsafe, guard
from gigafactory.adapters.uftp.orders import grid_orders
from gigafactory.adapters.uftp.published import grant_of, site_body
from gigafactory.adapters.uftp.settings import UftpSettings, signing_key
from gigafactory.adapters.uftp.terms import (
    Answer,
    Frame,
    Grant,
    Head,
    Metered,
    Offer,
    Option,
    Order,
    Prognosis,
    Request,
    SettledIsp,
    SettledOrder,
    Settlement,
    Wanted,
)
from gigafactory.adapters.uftp.wire import open_post, reopened, sealed_post
from gigafactory.engine.errors import BadInput
from gigafactory.factory.validating import load_checked
from tests.adapters.uftp.counterpart import (
    AGR_DOMAIN,
    CONNECTION,
    DSO_DOMAIN,
    METER,
    POINT,
    Keys,
)

ZONE = "Europe/Amsterdam"
SPRING, AUTUMN, PLAIN = dt.date(2026, 3, 29), dt.date(2026, 10, 25), dt.date(2026, 6, 11)
DAYS = st.sampled_from([SPRING, AUTUMN, PLAIN])
KEYS = Keys.made()


def settings(**changes: Any) -> UftpSettings:
    other = {"domain": DSO_DOMAIN, "role": "DSO", "endpoint": "https://tso.example.nl/m",
             "public_key": KEYS.public}  # fmt: skip
    return UftpSettings.model_validate(
        {
            "domain": AGR_DOMAIN, "signing_key": {"env": "NOT_READ"}, "counterparts": [other],
            "site": "maasvlakte", "congestion_point": POINT, "connection": CONNECTION,
            "meter": METER, "firm": "100 MW", "price": "85 EUR/MWh",
            "contracts": [
                {"id": "CSC-1", "kind": "csc", "dso": DSO_DOMAIN, "capacity": "20 MW"},
                {"id": "ATR-1", "kind": "atr", "dso": DSO_DOMAIN, "capacity": "40 MW"},
            ],
            **changes,
        }
    )  # fmt: skip


def head(kind: str, number: int, at_ns: int) -> Head:
    name = f"00000000-0000-4000-8000-{number:012d}"
    return Head(kind, name, name, DSO_DOMAIN, "DSO", at_ns, at_ns, AGR_DOMAIN)


def frame(date: dt.date) -> Frame:
    return Frame(date, ZONE, 15, POINT)


def grant(date: dt.date, baseline_w: int, least_w: int, at_ns: int = 0) -> Grant:
    day = day_of(date, ZONE, 15)
    starts = [day.start_ns(isp) for isp in range(1, day.count + 1)]
    return Grant(at_ns, dict.fromkeys(starts, baseline_w), dict.fromkeys(starts, least_w))


# --- days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("date", "count"), [(SPRING, 92), (PLAIN, 96), (AUTUMN, 100)])
def test_a_local_day_has_its_isps(date: dt.date, count: int) -> None:
    day = day_of(date, ZONE, 15)
    assert day.count == count
    assert day.end_ns == day_of(date + dt.timedelta(days=1), ZONE, 15).begin_ns
    assert faults([(1, count)], day) == ""
    assert "out of bounds" in faults([(1, count + 1)], day)
    assert "out of bounds" in faults([(0, 1)], day)
    assert "out of bounds" in faults([], day)
    assert "conflict" in faults([(1, 4), (2, 1)], day)


@given(st.dictionaries(st.integers(1, 100), st.integers(-5, 5)))
def test_stretches_hold_what_they_were_made_of(powers: dict[int, int]) -> None:
    spans = joined(powers)
    assert by_isp(spans) == powers
    assert list(covered(one[:2] for one in spans)) == sorted(powers)
    assert all(
        one.power_w != two.power_w or one.start + one.duration < two.start
        for one, two in pairwise(spans)
    )


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_survives_its_text(at_ms: int) -> None:
    assert parse_instant(instant_text(at_ms * 1_000_000)) == at_ms * 1_000_000


def test_an_instant_without_an_offset_is_none() -> None:
    with pytest.raises(ValueError, match="offset"):
        parse_instant("2026-06-10T07:00:00")


# --- offers and over-commitment -------------------------------------------------------------------


@given(
    date=DAYS,
    asked=st.lists(
        st.tuples(st.integers(1, 88), st.integers(1, 4), st.integers(-40, 5)), max_size=8
    ),
    headroom_mw=st.integers(0, 60),
)  # fmt: skip
def test_offers_together_never_exceed_what_the_site_can_give(
    date: dt.date, asked: list[tuple[int, int, int]], headroom_mw: int
) -> None:
    ours = settings()
    day = day_of(date, ZONE, 15)
    now_ns = day.begin_ns - 3600 * 10**9
    given_ = grant(date, 100_000_000, (100 - headroom_mw) * 1_000_000)
    book = Book()
    for number, (start, duration, power) in enumerate(asked, 1):
        room = room_w(book, day, given_.baseline_w, given_.least_w, now_ns)
        wanted = (Wanted(start, duration, power * 1_000_000, max(power, 0) * 1_000_000, True),)
        request = Request(head("FlexRequest", number, now_ns), frame(date), 1, day.end_ns, wanted)
        option = offers.option_for(request, room, day, ours, now_ns)
        if option is None:
            continue
        assert all(power * 1_000_000 <= one.power_w < 0 for one in option.spans)
        until = offers.expiry_ns(option, day, ours, now_ns)
        offer = Offer(
            head("FlexOffer", 1000 + number, now_ns), frame(date), until,
            request.head.message_id, (option,),
        )  # fmt: skip
        book.take(offer, {}, ours=True)
        left = room_w(book, day, given_.baseline_w, given_.least_w, now_ns)
        assert all(one >= 0 for one in left.values())
    promised = book.offered_w(date, now_ns)
    assert all(one <= headroom_mw * 1_000_000 for one in promised.values())


def test_a_price_is_energy_times_the_price() -> None:
    spans = (Span(1, 4, -10_000_000), Span(9, 2, -1))
    assert offers.priced_eur(spans, 15, 85.0) == Decimal("850.0001")  # rounded up


@given(st.integers(-50_000_000, -1), st.integers(1, 100))
def test_both_readings_of_an_activation_factor_ask_the_same(power: int, percent: int) -> None:
    factor = Decimal(percent) / 100
    option = Option("1", Decimal(10), Decimal("0.01"), (Span(5, 4, power),))
    copied, why = matched(option.spans, option, factor)
    assert not why
    multiplied, why = matched(scaled(option.spans, factor), option, factor)
    assert not why
    assert copied == multiplied
    assert all(abs(one - power * percent / 100) <= 0.5 for one in copied.values())
    assert matched((Span(5, 3, power),), option, factor)[1] == "ISP mismatch"
    assert matched((Span(5, 4, power - 1),), option, Decimal(1))[1] == "Power mismatch"


def test_a_request_is_held_to_the_specification() -> None:
    ours = settings()
    day = day_of(PLAIN, ZONE, 15)
    now_ns = day.begin_ns - 10**12
    good = Request(
        head("FlexRequest", 1, now_ns), frame(PLAIN), 1, now_ns + 10**11,
        (Wanted(1, 4, -5, 0, True),),
    )  # fmt: skip
    assert request_reasons(good, ours) == ""
    for changes, reason in (
        ({"wanted": (Wanted(1, 4, -5, 0, False),)}, "Lacking Requested Disposition"),
        ({"wanted": (Wanted(1, 4, -5, 5, True),)}, "Requested Power discrepancy"),
        ({"wanted": (Wanted(1, 4, 5, -5, True),)}, "Power discrepancy"),
        ({"wanted": (Wanted(1, 97, -5, 0, True),)}, "ISPs out of bounds"),
        ({"frame": replace(frame(PLAIN), isp_min=30)}, "ISP duration rejected"),
        ({"frame": replace(frame(PLAIN), timezone="Mars/North")}, "TimeZone rejected"),
        ({"expires_ns": now_ns}, "ExpirationDateTime"),
        ({"contract": "NONE"}, "Unknown ContractID"),
        ({"head": head("FlexRequest", 1, day.end_ns)}, "Period out of bounds"),
    ):
        assert reason in request_reasons(replace(good, **changes), ours)


# --- the desk -------------------------------------------------------------------------------------


def desk_with_prognosis(date: dt.date, at_ns: int) -> Desk:
    desk = Desk(settings(), Book())
    day = day_of(date, ZONE, 15)
    spans = (Span(1, day.count, 100_000_000),)
    desk.book.take(Prognosis(head("DPrognosis", 900, at_ns), frame(date), 1, spans), {}, ours=True)
    return desk


def csc(number: int, date: dt.date, at_ns: int, start: int, power_w: int) -> Order:
    return Order(
        head("FlexOrder", number, at_ns), frame(date), f"R-{number}", (Span(start, 2, power_w),),
        Decimal(0), contract="CSC-1", unsolicited=True,
    )  # fmt: skip


@given(
    date=DAYS,
    calls=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 20)), max_size=12),
    headroom_mw=st.integers(0, 30),
)
def test_orders_add_up_within_headroom_and_are_the_same_when_read_again(
    date: dt.date, calls: list[tuple[int, int]], headroom_mw: int
) -> None:
    at_ns = day_of(date, ZONE, 15).begin_ns - 3600 * 10**9
    desk = desk_with_prognosis(date, at_ns)
    given_ = grant(date, 100_000_000, (100 - headroom_mw) * 1_000_000)
    again = desk_with_prognosis(date, at_ns).book
    asked: dict[int, int] = {}
    for number, (start, power_mw) in enumerate(calls, 1):
        order = csc(number, date, at_ns, start, -power_mw * 1_000_000)
        handled = desk.handle(order, DSO_DOMAIN, at_ns, given_)
        (written,) = handled.written
        assert isinstance(written.record, Answer)
        desk.book.take(written.record, written.detail, ours=True)
        again.take(order, {}, ours=False)
        again.take(written.record, written.detail, ours=True)
        if written.record.accepted:
            for isp in (start, start + 1):
                asked[isp] = asked.get(isp, 0) + power_mw
        # the same message again is answered by what was answered
        assert desk.handle(order, DSO_DOMAIN, at_ns, given_).written == ()
    assert all(power <= min(headroom_mw, 20) for power in asked.values())
    limits = desk.book.limit_w(date)
    assert limits == {isp: (100 - power) * 1_000_000 for isp, power in asked.items()}
    assert again.limit_w(date) == limits
    lowest: dict[int, float] = {}
    day = day_of(date, ZONE, 15)
    for entry in desk.book.orders.values():
        for one in grid_orders(entry, desk.settings):
            for isp in range(1, day.count + 1):
                if one.start_ns <= day.start_ns(isp) < one.end_ns:
                    lowest[isp] = min(one.power_mw, lowest.get(isp, one.power_mw))
    assert lowest == {isp: 100.0 - power for isp, power in asked.items()}


def test_a_call_without_a_baseline_or_against_a_plan_that_is_unknown() -> None:
    at_ns = day_of(PLAIN, ZONE, 15).begin_ns - 3600 * 10**9
    bare = Desk(settings(), Book())
    (written,) = bare.handle(csc(1, PLAIN, at_ns, 5, -5), DSO_DOMAIN, at_ns, Grant()).written
    assert isinstance(written.record, Answer)
    assert written.record.why == "No baseline"
    # the contract binds us: a runtime that is silent is no reason to refuse a call
    desk = desk_with_prognosis(PLAIN, at_ns)
    (written,) = desk.handle(csc(1, PLAIN, at_ns, 5, -5), DSO_DOMAIN, at_ns, Grant()).written
    assert isinstance(written.record, Answer)
    assert written.record.accepted


def test_a_right_is_restricted_no_longer_than_its_hours_of_the_year() -> None:
    ours = settings(
        contracts=[{"id": "ATR-1", "kind": "atr", "dso": DSO_DOMAIN, "capacity": "40 MW",
                    "restricted_before": 1312}]
    )  # fmt: skip
    desk = Desk(ours, Book())
    at_ns = day_of(PLAIN, ZONE, 15).begin_ns - 20 * 3600 * 10**9  # 04:00 the day before
    answers = []
    for number, spans in ((1, (Span(1, 4, -1_000_000),)), (2, (Span(9, 8, -1_000_000),))):
        order = Order(
            head("FlexOrder", number, at_ns), frame(PLAIN), f"A-{number}", spans, Decimal(0),
            contract="ATR-1", unsolicited=True,
        )  # fmt: skip
        (written,) = desk.handle(order, DSO_DOMAIN, at_ns, Grant()).written
        desk.book.take(written.record, written.detail, ours=True)
        assert isinstance(written.record, Answer)
        answers.append(written.record)
    assert answers[0].accepted  # 1,313 of 1,314 hours
    assert "may be restricted" in answers[1].why


# --- settlement -----------------------------------------------------------------------------------


@given(st.integers(0, 200), st.integers(1, 100), st.integers(0, 250))
def test_what_is_delivered_is_within_nothing_and_what_was_ordered(
    before: int, asked: int, metered: int
) -> None:
    got = settling.delivered_w(before, -asked, metered)
    assert 0 <= got <= asked
    assert got == asked or metered > before - asked
    assert got == 0 or metered + got <= max(before, metered + got)


def test_the_example_of_the_specification_is_settled_as_it_says() -> None:
    # baseline 10 MW, 2 MW ordered: allocation, delivered, missing (settle phase, 3.1.0)
    for actual, delivered, missing in ((7, 2, 0), (8, 2, 0), (9, 1, 1), (10, 0, 2)):
        got = settling.delivered_w(10, -2, actual)
        assert (got, 2 - got) == (delivered, missing)


def test_every_figure_of_a_settlement_is_checked() -> None:
    at_ns = day_of(PLAIN, ZONE, 15).begin_ns - 3600 * 10**9
    desk = desk_with_prognosis(PLAIN, at_ns)
    order = replace(csc(1, PLAIN, at_ns, 5, -10_000_000), price_eur=Decimal(400))
    (written,) = desk.handle(order, DSO_DOMAIN, at_ns, Grant()).written
    desk.book.take(written.record, written.detail, ours=True)
    metered = Metered(head("Metering", 901, at_ns), PLAIN, 1, (Span(1, 96, 92_000_000),))
    desk.book.take(metered, {}, ours=True)
    row = SettledIsp(5, 2, 100_000_000, -10_000_000, 92_000_000, 8_000_000, 2_000_000)
    good = SettledOrder("R-1", PLAIN, POINT, Decimal(400), Decimal(40), Decimal(360), (row,))

    def said(*orders: SettledOrder, currency: str = "EUR") -> list[str]:
        message = Settlement(head("FlexSettlement", 2, at_ns), PLAIN, PLAIN, currency, orders)
        return [one.why for one in settling.dispositions(message, desk.book, 1000)]

    assert said(good) == [""]
    assert said() == ["ordered and accepted, but not in this settlement"]
    for wrong, reason in (
        (replace(good, price_eur=Decimal(500), net_eur=Decimal(460)), "Price was 400"),
        (replace(good, net_eur=Decimal(350)), "NetSettlement"),
        (replace(good, date=PLAIN + dt.timedelta(days=1)), "Period out of bounds"),
        (replace(good, point="ean.871685900000000099"), "another congestion point"),
        (replace(good, isps=(row._replace(start=6),)), "not those of the order"),
        (replace(good, isps=(row, row)), "ISP conflict"),
        (replace(good, isps=(row._replace(baseline_w=99_000_000),)), "BaselinePower"),
        (replace(good, isps=(row._replace(ordered_w=-9_000_000),)), "OrderedFlexPower"),
        (replace(good, isps=(row._replace(actual_w=93_000_000),)), "ActualPower"),
        (replace(good, isps=(row._replace(delivered_w=7_000_000),)), "DeliveredFlexPower"),
        (replace(good, isps=(row._replace(missing_w=3_000_000),)), "PowerDeficiency"),
    ):
        assert reason in said(wrong)[0]
    assert "settled twice" in said(good, good)[1]
    assert "currency" in said(good, currency="USD")[0]
    assert "no such order" in said(good, replace(good, reference="R-9"))[1]


# --- the wire -------------------------------------------------------------------------------------


def test_our_messages_survive_the_library_and_come_back_as_they_were() -> None:
    ours = settings()
    at_ns = 1_781_000_000_000_000_000
    option = Option("1", Decimal("1700.1250"), Decimal("0.40"), (Span(41, 8, -10_000_000),))
    name = "00000000-0000-4000-8000-000000000042"
    for record in (
        Prognosis(head("DPrognosis", 1, at_ns), frame(PLAIN), 3, (Span(1, 96, 5),)),
        Offer(head("FlexOffer", 2, at_ns), frame(PLAIN), at_ns + 10**9, name, (option,), name),
        Metered(head("Metering", 3, at_ns), PLAIN, 1, (Span(1, 1, 90_000_001), Span(2, 1, 7))),
        Answer(head("FlexOrderResponse", 4, at_ns), name, False, "ISP mismatch"),
        Answer(head("FlexSettlementResponse", 5, at_ns), name, True, "", (("R", False, "why"),)),
    ):
        mine = replace(record, head=replace(record.head, recipient=DSO_DOMAIN))
        body = sealed_post(mine, ours, KEYS.private)
        assert reopened(body, DSO_DOMAIN, "DSO", at_ns).record == mine


@given(st.binary(max_size=400))
def test_no_bytes_break_the_door(body: bytes) -> None:
    opened = open_post(body, 0, settings())
    assert getattr(opened, "status", 0) in (400, 419)


@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE a><a/>", b"<a/><a/>", b"<a>", b"<a>&x;</a>", b"<?go now?><a/>",
        b"<a>" * 13 + b"</a>" * 13, b"\xef\xbb\xbf\xff", '<a b="\ud7ff"/>'.encode("utf-16"),
    ],
)  # fmt: skip
def test_the_guard_lets_nothing_unsafe_through(document: bytes) -> None:
    with pytest.raises(Unsafe):
        guard(document)


def test_the_guard_names_the_root() -> None:
    assert guard(b'<?xml version="1.0" encoding="UTF-8"?><a><b/><!-- c --></a>') == "a"


# --- settings and what is published ---------------------------------------------------------------


def test_settings_tell_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "gopacs.yaml"
    common = "counterparts: []\nsite: s\nfirm: 100 MW\nprice: 85 EUR/MWh\n"

    def told(text: str) -> str:
        file.write_text(common + text)
        with pytest.raises(BadInput) as bad:
            load_checked(file, "gopacs.yaml", UftpSettings)
        return str(bad.value)

    text = told("domain: Not One\nsigning_key: {}\ncongestion_point: nowhere\nretry: 1\n")
    for word in ("domain", "signing_key", "congestion_point", "retry", "connection"):
        assert word in text
    good = f"domain: us.nl\nsigning_key: {{env: K}}\ncongestion_point: {POINT}\n"
    text = told(f"{good}connection: {CONNECTION}\nhost: 0.0.0.0\ndns: true\n")
    for word in ("role DSO", "host 0.0.0.0", "dns is not built"):
        assert word in text


def test_a_secret_is_in_one_place_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs one of"):
        Secret(file="a", env="b")
    with pytest.raises(BadInput, match="cannot be read"):
        signing_key(settings(signing_key={"file": str(tmp_path / "none")}))
    with pytest.raises(BadInput, match="not set"):
        signing_key(settings(signing_key={"env": "GIGAFACTORY_NO_SUCH"}))
    short = tmp_path / "short"
    short.write_text(KEYS.public)
    with pytest.raises(BadInput, match="64 bytes"):
        signing_key(settings(signing_key={"file": str(short)}))
    short.write_text(KEYS.private + "\n")
    assert signing_key(settings(signing_key={"file": str(short)})) == KEYS.private


def test_a_plan_that_is_old_says_nothing_of_the_future_and_the_meter_stays_true() -> None:
    body = site_body(0, 15, baseline_w=[5], least_w=[2], metered_begin_ns=0, metered_w=[4])
    fresh, why = grant_of((100, {"s": body}), "s", 110, 60)
    assert (fresh.headroom_w(0), why) == (3, "")
    old, why = grant_of((100, {"s": body}), "s", 200, 60)
    assert (old.headroom_w(0), old.metered_w) == (0, {0: 4})
    assert "too old" in why
    assert "nothing is published" in grant_of(None, "s", 0, 60)[1]
    assert "cannot be read" in grant_of((0, {"s": {"isp_min": "x"}}), "s", 0, 60)[1]
