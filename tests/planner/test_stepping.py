"""One second at a time gives the seconds that many at once give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gigafactory.planner import respond, rest
from gigafactory.planner.balancing import Afrr, see_ahead
from gigafactory.planner.stepping import Stepper
from tests.planner.response_cases import PLANT, calm, plants, seconds


def stepped(plant, given_, soc_mwh):
    """The same seconds through a stepper."""
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
