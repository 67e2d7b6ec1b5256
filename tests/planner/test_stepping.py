"""One second at a time gives the seconds that many at once give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner import respond, rest
from gigafactory.planner.balancing import Afrr, State, see_ahead
from gigafactory.planner.stepping import Stepper
from tests.planner.response_cases import PLANT, calm, plants, seconds


def stepped(plant, given_, soc_mwh, blocks=()):
    """The same seconds through a stepper; of a plant a minute, in turn, where blocks are given."""
    count = len(given_.frequency_hz)
    classes = range(len(plant.classes))
    by = [
        sorted(classes, key=lambda g: getattr(plant.classes[g], f"{way}_eur_per_mwh"))
        for way in ("throttle", "pause")
    ]
    stepper = Stepper(plant, np.array(by, np.int64).reshape(2, -1), soc_mwh)
    wide = {
        name: np.broadcast_to(np.asarray(getattr(given_, name), np.float64), (count,))
        for name in ("base_mw", "limit_mw", "export_mw", "schedule_mw", "trip")
    }
    ahead = min(given_.notice_s, plant.lag_s + 2.0)
    seen = see_ahead(wide["limit_mw"].copy(), int(np.ceil(ahead)))
    every = round(plant.afrr.every_s)
    rows = []
    columns = ("active_mw", "throttle_mw", "depth_mw")
    work = [np.array([getattr(one, name) for one in plant.classes]) for name in columns]
    for i in range(count):
        if blocks and i % 60 == 0:
            stepper.adopt(blocks[i // 60])
        stepper.work(*work)
        x, m, sent = stepper.given[0], stepper.message[0], given_.setpoints
        for name, values in wide.items():
            x[name] = values[i]
        x["seen_mw"], x["frequency_hz"] = seen[i], given_.frequency_hz[i]
        m["authentic"], m["issued_s"] = 1, float(i)
        if sent is not None:
            k = i // every
            m["setpoint_mw"], m["issued_s"] = sent.setpoint_mw[k], sent.issued_s[k]
            m["authentic"] = sent.authentic[k]
        rows.append(stepper.step().copy())
    return np.array(rows)


def whole(plant):
    """All that is not throttled can be paused, as the stepper takes it."""
    from dataclasses import replace

    one = [replace(c, pause_mw=c.active_mw - c.throttle_mw) for c in plant.classes]
    # with other work, less aFRR may be within reach
    bare = replace(plant, classes=tuple(one), afrr=Afrr(0.0, 0.0))
    up, down = bare.reachable_mw()
    sold = plant.afrr
    afrr = replace(sold, up_mw=min(sold.up_mw, up), down_mw=min(sold.down_mw, down))
    return replace(bare, afrr=afrr)


@settings(max_examples=25)
@given(plants(), st.data())
def test_a_second_at_a_time_is_the_same(plant, data):
    plant = whole(plant)
    given_ = data.draw(seconds(plant))
    soc = float(rest(plant).site["soc_mwh"][0])
    many, one = respond(plant, given_), stepped(plant, given_, soc)
    for name in ("grid_mw", "battery_mw", "soc_mwh", "fcr_mw", "afrr_mw", "shed_mw", "excess_mw"):
        np.testing.assert_allclose(one[name], getattr(many, name), atol=1e-9, err_msg=name)


def test_work_that_ends_can_no_longer_be_shed() -> None:
    count = len(PLANT.classes)
    order = np.array([range(count), range(count)], np.int64)
    stepper = Stepper(PLANT, order, 200.0)
    active = np.array([one.active_mw for one in PLANT.classes])
    throttle = np.array([one.throttle_mw for one in PLANT.classes])
    given_ = calm(1)
    x = stepper.given[0]
    for _ in range(400):
        stepper.work(active, throttle, active)
        x["base_mw"], x["limit_mw"], x["seen_mw"] = given_.base_mw, 60.0, 60.0
        x["frequency_hz"] = 50.0
        done = stepper.step()
    assert done["shed_mw"] > 10.0
    stepper.work(active * 0.1, throttle * 0.1, active * 0.1)
    s = stepper.shed
    down = s["throttled_mw"] + s["paused_mw"] + s["dropped_mw"]
    assert (down <= active * 0.1 + 1e-9).all()
    assert next(one.action for one in stepper.merit_order(50.0)) == "battery"


def owes(plant, share):
    """The same site with a share of its FCR, aFRR up and aFRR down sold."""
    from dataclasses import replace

    fcr, up, down = share
    afrr = replace(plant.afrr, up_mw=plant.afrr.up_mw * up, down_mw=plant.afrr.down_mw * down,
                   move_mw_per_s=float("nan"))  # fmt: skip
    sold = plant.fcr.contracted_mw * fcr
    return replace(plant, fcr=replace(plant.fcr, contracted_mw=sold), afrr=afrr)


SHARES = st.tuples(*(st.sampled_from([0.0, 0.4, 1.0]) for _ in range(3)))


@settings(max_examples=40)
@given(plants(), st.lists(SHARES, min_size=5, max_size=5), st.data())
def test_promises_that_change_at_the_edge_of_a_block(plant, shares, data):
    """What is owed changes every minute: never more than is sold, never above a limit."""
    plant = whole(plant)
    given_ = data.draw(seconds(plant))
    blocks = [owes(plant, share) for share in shares]
    soc = float(rest(plant).site["soc_mwh"][0])
    done = stepped(plant, given_, soc, blocks)
    trip = np.broadcast_to(np.asarray(given_.trip, np.bool_), (300,))
    limit = np.where(trip, 0.0, np.asarray(given_.limit_mw))
    above = done["grid_mw"] - done["shortfall_mw"] - limit
    assert above.max() <= 1e-9
    battery = plant.battery
    assert done["soc_mwh"].min() >= battery.soc_min_mwh - 1e-9
    assert done["soc_mwh"].max() <= battery.soc_max_mwh + 1e-9
    assert np.abs(done["battery_mw"]).max() <= battery.power_mw + 1e-9
    for k, block in enumerate(blocks):
        part = done[60 * k : 60 * (k + 1)]
        fcr, afrr = block.fcr.contracted_mw, block.afrr
        assert np.abs(part["fcr_mw"]).max() <= fcr + 1e-9, "FCR that nobody bought"
        assert part["setpoint_mw"].max() <= afrr.up_mw + 1e-9
        assert part["setpoint_mw"].min() >= -afrr.down_mw - 1e-9
        due = part["fcr_due_mw"][np.isfinite(part["fcr_due_mw"])]
        assert np.abs(due).max(initial=0.0) <= fcr + 1e-9


@settings(max_examples=15)
@given(plants(), SHARES, SHARES, st.data())
def test_a_block_goes_on_from_the_state_of_the_one_before(plant, first, second, data):
    """Across the edge: the responder's run from that state, cut back to what is sold then."""
    from dataclasses import replace

    plant = whole(plant)
    given_ = data.draw(seconds(plant))
    one, other = owes(plant, first), owes(plant, second)
    soc = float(rest(one).site["soc_mwh"][0])
    soc = min(max(soc, plant.battery.soc_min_mwh), plant.battery.soc_max_mwh)

    def part(span):
        wide = {n: np.broadcast_to(np.asarray(getattr(given_, n)), (300,))[span]
                for n in ("frequency_hz", "base_mw", "limit_mw", "export_mw", "schedule_mw",
                          "trip")}  # fmt: skip
        every = slice(span.start // 4, span.stop // 4)
        sent = given_.setpoints
        parts = [getattr(sent, n)[every] for n in ("setpoint_mw", "issued_s", "authentic")]
        return replace(given_, **wide, setpoints=type(sent)(*parts), notice_s=0.0)

    given_ = replace(given_, notice_s=0.0)
    both = stepped(plant, given_, soc, [one, one, other, other, other])
    begun = rest(one, soc)
    left = respond(one, part(slice(0, 120)), begun)
    site = left.end.site.copy()
    fcr, afrr = other.fcr.contracted_mw, other.afrr
    site["fcr_mw"] = np.clip(site["fcr_mw"], -fcr, fcr)
    site["setpoint_mw"] = np.clip(site["setpoint_mw"], -afrr.down_mw, afrr.up_mw)
    right = respond(other, part(slice(120, 300)), State(site, left.end.shed))
    for name in ("grid_mw", "battery_mw", "soc_mwh", "fcr_mw", "afrr_mw", "shed_mw"):
        wanted = np.concatenate([getattr(left, name), getattr(right, name)])
        np.testing.assert_allclose(both[name], wanted, atol=1e-9, err_msg=name)
