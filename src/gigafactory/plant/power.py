"""What IT draws: idle power, power against speed, and the network fabric.

A running accelerator draws, all-in at its node::

    power_w = idle_w + dynamic(speed) * (work_w - idle_w)

where ``dynamic`` is a `PowerCurve`: piecewise linear, rising, and convex in speed (speed is concave
in power), because the first watts taken away cost little speed and the last ones much. The curves
stand in ``data/power_curves.yaml``: fitted on measurements where somebody published them (H200
serving, V100 and A40 training), and an assumption with a range where nobody did (H100 and B200
training among them).

Valid between the lowest measured speed of a curve and full speed; below that a job is paused, not
throttled. Powers are means over seconds: swings within a training step (0.1 to 20 Hz) are not here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.plant.catalogue import CLASS_LABELS, Chip
from gigafactory.plant.provenance import STATES, Source, read_yaml

Array = npt.NDArray[np.float64]

BUNDLED: Final = Path(__file__).parent / "data" / "power_curves.yaml"

#: The three readings of an assumed curve: least favourable, in between, most favourable to
#: throttling. A measured curve is the same in all three.
CASES: Final = ("low", "base", "high")

#: One 64-port 400 Gb/s switch, W, flat whatever the load (measured: MLPerf Training v4.1, Dell,
#: 64 H100, switch ``sw_0``, median 686 W over 3,220 samples, 2024).
SWITCH_W: Final = 686.0
SWITCH_PORTS: Final = 64

FABRIC_SOURCE: Final = Source(
    source="MLPerf Training v4.1, Dell, measured power of one 64-port fabric switch",
    year=2024,
    state="assumption",
    note="the switch (686 W, flat) is measured; how many of them a large fat tree needs is"
    " arithmetic: (2 x tiers - 1) ports per accelerator, non-blocking",
)

#: How far a corner rounded to six places may bend the wrong way before it is called a mistake.
_BEND: Final = 1e-4


def fabric_w(tiers: int = 3) -> float:
    """Power of the cluster network per accelerator, W, outside the servers.

    A non-blocking fat tree of ``tiers`` levels needs ``2 * tiers - 1`` switch ports per attached
    accelerator (one at the edge, two at each further level that is not the top, one at the top).

    Args:
        tiers: levels of switches; 1 serves up to 64 accelerators, 2 up to 2,048, 3 up to 65,536
            with 64-port switches; larger sites are several such trees.

    Returns:
        Watts per accelerator, independent of load: 10.7 with 1 tier, 32.2 with 2, 53.6 with 3.
        Network cards are in the node figure; optics are counted with the switch ports.

    Raises:
        ValueError: when ``tiers`` is below 1.
    """
    if tiers < 1:
        raise ValueError(f"a fabric has at least one tier of switches, not {tiers}")
    return (2 * tiers - 1) * SWITCH_W / SWITCH_PORTS


@dataclass(frozen=True, slots=True)
class PowerCurve:
    """Share of the dynamic power drawn at each speed, piecewise linear between 3 to 5 points.

    Attributes:
        speed: rising speeds, from the slowest that throttling reaches to 1.0.
        dynamic: share of ``work_w - idle_w`` drawn at each of them, rising to 1.0; convex in speed.
        source: where the curve comes from.
        year: of that source.
        state: ``measured`` or ``assumption``.
        rmse: root mean square error of the fit, in speed (0.02 means 2 % of full speed); nan where
            nothing was fitted.
        note: what was fitted, and on what.
    """

    speed: tuple[float, ...]
    dynamic: tuple[float, ...]
    source: str
    year: int
    state: str
    rmse: float
    note: str = ""

    def __post_init__(self) -> None:
        why = curve_fault(self.speed, self.dynamic)
        if why:
            raise ValueError(why)

    @property
    def speed_min(self) -> float:
        """The slowest speed that throttling reaches."""
        return self.speed[0]

    def dynamic_at(self, speed: npt.ArrayLike) -> Array:
        """Share of the dynamic power at a speed (0..1, any shape).

        Speeds below `speed_min` cannot be had and are answered as `speed_min`.
        """
        asked = np.asarray(speed, dtype=np.float64)
        return np.asarray(np.interp(asked, self.speed, self.dynamic), dtype=np.float64)

    def speed_at(self, dynamic: npt.ArrayLike) -> Array:
        """The speed that a share of the dynamic power buys (0..1, any shape): the inverse.

        Shares below the curve's first are answered as `speed_min`: the job still draws that much,
        so a caller who has less power than that must pause work instead.
        """
        asked = np.asarray(dynamic, dtype=np.float64)
        return np.asarray(np.interp(asked, self.dynamic, self.speed), dtype=np.float64)

    def segments(self) -> tuple[tuple[float, float], ...]:
        """The pieces as (width in speed, slope in dynamic share per speed), slopes never falling.

        This is what a linear programme needs: power above the floor is a sum of pieces that fill in
        order by themselves because each is dearer than the one before.
        """
        points = tuple(zip(self.speed, self.dynamic, strict=True))
        return tuple((s1 - s0, (d1 - d0) / (s1 - s0)) for (s0, d0), (s1, d1) in pairwise(points))


def curve_fault(speed: tuple[float, ...], dynamic: tuple[float, ...]) -> str:
    """Say in words why two lists of points are not a power curve; empty when they are one."""
    if len(speed) != len(dynamic) or not 3 <= len(speed) <= 5:
        return "needs 3 to 5 points, as many speeds as dynamic shares"
    if not all(math.isfinite(x) for x in (*speed, *dynamic)):
        return "every point must be a finite number"
    if speed[0] <= 0.0 or dynamic[0] < 0.0:
        return "speeds are above zero and shares not negative"
    if speed[-1] != 1.0 or dynamic[-1] != 1.0:
        return "must end at full speed: speed 1.0, dynamic 1.0"
    if any(a >= b for a, b in pairwise(speed)) or any(a >= b for a, b in pairwise(dynamic)):
        return "speeds and shares must rise from point to point"
    points = tuple(zip(speed, dynamic, strict=True))
    slopes = [(d1 - d0) / (s1 - s0) for (s0, d0), (s1, d1) in pairwise(points)]
    if any(a > b + _BEND for a, b in pairwise(slopes)):
        return "power must be convex in speed: each further step of speed costs at least as much"
    return ""


def power_w(chip: Chip, class_label: str, speed: npt.ArrayLike, curve: PowerCurve) -> Array:
    """All-in node power per accelerator at a speed, W.

    Args:
        chip: the accelerator.
        class_label: what it works on.
        speed: 0..1, any shape.
        curve: from `curve_for`.

    Returns:
        Watts, the shape of ``speed``.

    Raises:
        BadInput: when the chip cannot do that class.
    """
    if class_label not in chip.work_w:
        known = ", ".join(sorted(chip.work_w))
        raise refuse("catalogue", f"{chip.name}.work", class_label, f"it can do only: {known}")
    span_w = chip.work_w[class_label] - chip.idle_w
    return chip.idle_w + curve.dynamic_at(speed) * span_w


def it_power_mw(
    chip: Chip,
    running: Mapping[str, npt.ArrayLike],
    installed: npt.ArrayLike,
    speed: Mapping[str, npt.ArrayLike] | None = None,
    case: str = "base",
    fabric_w_each: float | None = None,
) -> Array:
    """IT power of a pool of one chip: running work, idle accelerators and the network, MW.

    Args:
        chip: the accelerator of the pool.
        running: accelerators at work per class label, float64[P] or a number.
        installed: accelerators switched on, float64[P] or a number; those not running idle.
        speed: speed per class label (1.0 where left out).
        case: which reading of an assumed curve (`CASES`).
        fabric_w_each: network watts per accelerator; `fabric_w()` where left out.

    Returns:
        MW, the broadcast shape of the inputs.

    Raises:
        BadInput: for a class the chip cannot do, or when more run than are installed.
    """
    on = np.asarray(installed, dtype=np.float64)
    each_w = fabric_w() if fabric_w_each is None else fabric_w_each
    total_w = on * (chip.idle_w + each_w)
    busy = np.zeros_like(on)
    for label in sorted(running):
        count = np.asarray(running[label], dtype=np.float64)
        curve = curve_for(chip.name, label, case)
        at = 1.0 if speed is None else speed.get(label, 1.0)
        total_w = total_w + count * (power_w(chip, label, at, curve) - chip.idle_w)
        busy = busy + count
    if np.any(busy > on * (1.0 + 1e-12)):
        most = float(np.max(busy - on))
        raise refuse("pool", chip.name, most, "more accelerators run than are installed")
    return np.asarray(total_w / 1e6, dtype=np.float64)


def curve_for(chip_name: str, class_label: str, case: str = "base") -> PowerCurve:
    """The power curve of a chip and job class.

    Args:
        chip_name: a name of the catalogue; a chip without a curve of its own gets the class's
            default, which is an assumption and says so.
        class_label: one of `CLASS_LABELS`.
        case: ``low`` (throttling costs most speed), ``base`` or ``high`` (it costs least).

    Returns:
        The curve.

    Raises:
        BadInput: for an unknown class label or case.
    """
    problems = []
    if class_label not in CLASS_LABELS:
        why = f"unknown class; known: {', '.join(CLASS_LABELS)}"
        problems.append(Problem("power curve", "class", class_label, why))
    if case not in CASES:
        why = f"unknown case; known: {', '.join(CASES)}"
        problems.append(Problem("power curve", "case", case, why))
    if problems:
        raise BadInput(problems)
    curves, uses = _bundled()
    names = uses.get((chip_name, class_label)) or uses["*", class_label]
    return curves[names[CASES.index(case)]]


def load_curves(
    path: Path = BUNDLED,
) -> tuple[dict[str, PowerCurve], dict[tuple[str, str], tuple[str, str, str]]]:
    """Read a file of curves.

    Args:
        path: YAML with ``curves: {name: {...}}`` and ``uses: [{chip, classes, low, base, high}]``.

    Returns:
        The curves by name, and for each (chip or ``"*"``, class label) the names of its low, base
        and high curve.

    Raises:
        BadInput: with every problem in the file.
    """
    problems: list[Problem] = []
    content = read_yaml(path, problems)
    curves: dict[str, PowerCurve] = {}
    for name, raw in sorted((content.get("curves") or {}).items()):
        curve = _read_curve(str(path), f"curves.{name}", raw, problems)
        if curve is not None:
            curves[str(name)] = curve
    uses: dict[tuple[str, str], tuple[str, str, str]] = {}
    for row in content.get("uses") or []:
        names = (str(row["low"]), str(row["base"]), str(row["high"]))
        problems.extend(
            Problem(str(path), f"uses.{row['chip']}", name, "no such curve")
            for name in sorted(set(names) - set(curves))
        )
        for label in row["classes"]:
            uses[str(row["chip"]), str(label)] = names
    problems.extend(
        Problem(str(path), "uses.*", label, "each class needs a default curve")
        for label in CLASS_LABELS
        if ("*", label) not in uses
    )
    if problems:
        raise BadInput(problems)
    return curves, uses


@lru_cache(maxsize=1)
def _bundled() -> tuple[dict[str, PowerCurve], dict[tuple[str, str], tuple[str, str, str]]]:
    return load_curves()


def _read_curve(where: str, field: str, raw: Any, problems: list[Problem]) -> PowerCurve | None:
    try:
        speed = tuple(float(x) for x in raw["speed"])
        dynamic = tuple(float(x) for x in raw["dynamic"])
        rmse = float(raw["rmse"]) if raw.get("rmse") is not None else math.nan
        state = str(raw["state"])
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, not {state!r}")
        return PowerCurve(
            speed=speed,
            dynamic=dynamic,
            source=str(raw["source"]),
            year=int(raw["year"]),
            state=state,
            rmse=rmse,
            note=str(raw.get("note", "")),
        )
    except KeyError as error:
        problems.append(Problem(where, field, "", f"the key {error} is missing"))
    except (TypeError, ValueError) as error:
        problems.append(Problem(where, field, "", str(error)))
    return None
