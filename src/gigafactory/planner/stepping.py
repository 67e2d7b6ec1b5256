"""The responder one second at a time, with work that comes and goes between the seconds.

`balancing.respond` runs a site over many steps in which its classes draw the same. A scheduler's
work changes each second, so here every step is told what runs now. It is the same compiled stepper,
and with constant work it gives the same seconds (a test says so).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gigafactory.kernel.seconds import run_seconds
from gigafactory.kernel.sitestate import GIVEN, HAPPENED, MESSAGE, Rows, new_shed, new_site
from gigafactory.planner.balancing import (
    Action,
    ResponsePlant,
    class_rows,
    merit_order,
    plant_row,
)

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Stepper:
    """A site that is stepped second by second.

    Args:
        plant: the site; what its classes draw is told at each step instead.
        order: int64[2, classes], who is throttled first and who is paused first.
        soc_mwh: energy in the battery.
    """

    def __init__(self, plant: ResponsePlant, order: Ints, soc_mwh: float) -> None:
        self.plant = plant
        self.order = np.ascontiguousarray(order, np.int64)
        self._plant = plant_row(plant)
        self._classes = class_rows(plant)
        self._throttle_s = np.array([one.throttle_s for one in plant.classes])
        self.site: Rows = new_site(soc_mwh, plant.ups_mw * plant.ups_s)
        self.shed: Rows = new_shed(len(plant.classes))
        self.given: Rows = np.zeros(1, GIVEN)
        self.message: Rows = np.zeros(1, MESSAGE)
        self.happened: Rows = np.zeros(1, HAPPENED)
        self._traces = np.zeros((1, 4, len(plant.classes)))

    def adopt(self, plant: ResponsePlant) -> None:
        """Owe from now on what another plant owes: the same site, with other reserves sold.

        What is under way of FCR and of the setpoint is cut back to what is now sold, so that
        nothing is given which nobody bought; all else goes on.

        Args:
            plant: the same site; its battery and classes are those there are.
        """
        active = float(self._plant["active_mw"][0])
        self.plant, self._plant = plant, plant_row(plant)
        self._plant["active_mw"] = active
        fcr, afrr, y = plant.fcr.contracted_mw, plant.afrr, self.site
        y["fcr_mw"] = y["fcr_mw"].clip(-fcr, fcr)
        y["setpoint_mw"] = y["setpoint_mw"].clip(-afrr.down_mw, afrr.up_mw)

    def work(self, active_mw: Array, throttle_mw: Array, depth_mw: Array) -> None:
        """Tell what runs, or would if it were not paused.

        What has ended meanwhile can no longer be shed: the state is cut back to what is there.

        Args:
            active_mw: per class at full speed, what was cut off included, site power.
            throttle_mw: of it, what the lowest speed saves.
            depth_mw: per class, how deep its contract goes.
        """
        c, s = self._classes, self.shed
        c["active_mw"], c["throttle_mw"] = active_mw, throttle_mw
        c["pause_mw"] = active_mw - throttle_mw
        c["throttle_mw_per_s"] = throttle_mw / self._throttle_s
        c["depth_mw"] = depth_mw
        self._plant["active_mw"] = active_mw.sum()
        if self.site["shedding"][0]:
            s["throttled_mw"] = np.minimum(s["throttled_mw"], c["throttle_mw"])
            s["paused_mw"] = np.minimum(s["paused_mw"], c["pause_mw"])
            left = active_mw - s["throttled_mw"] - s["paused_mw"]
            s["dropped_mw"] = np.minimum(s["dropped_mw"], np.maximum(left, 0.0))

    def step(self) -> Any:
        """Run one step of what stands in `given` and `message`; returns the record of it."""
        run_seconds(
            self._plant, self._classes, self.order, self.site, self.shed,
            self.given, self.message, self.happened, self._traces,
        )  # fmt: skip
        return self.happened[0]

    def agreed_mw(self) -> Array:
        """What the contracts allow to be shed at this moment, per class, MW."""
        c, s = self._classes, self.shed
        now_s = float(self.site["step"][0]) * self.plant.dt_s
        used = (s["in_use"] != 0) & (s["allowed"] != 0) & (now_s - s["began_s"] <= c["lasting_s"])
        return np.asarray(np.where(used, c["depth_mw"], 0.0))

    def merit_order(self, price_eur_per_mwh: float) -> list[Action]:
        """The ways of importing less now, in the order taken (`balancing.merit_order`)."""
        c = self._classes
        rows = zip(self.plant.classes, c["active_mw"], c["throttle_mw"], c["depth_mw"], strict=True)
        now = [(one, float(a), float(t), float(d)) for one, a, t, d in rows]
        return merit_order(self.plant, price_eur_per_mwh, now, self.order)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        """The state as plain bytes."""
        return {"site": self.site.view(np.uint8), "shed": self.shed.view(np.uint8).reshape(-1)}

    def restore(self, arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Put back what `snapshot` gave."""
        self.site.view(np.uint8)[...] = arrays["site"]
        self.shed.view(np.uint8).reshape(-1)[...] = arrays["shed"]


__all__ = ["Stepper"]
