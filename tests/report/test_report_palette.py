"""Colours: enough contrast for text, and layers that colour-blind readers tell apart."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from gigafactory.report.frames import CLASSES
from gigafactory.report.palette import COLOURS, STAND_IN

Floats = npt.NDArray[np.float64]

#: Simulation of full protanopia and deuteranopia in linear RGB (Machado, Oliveira, Fernandes 2009).
SEEN = {
    "all": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def _linear(colour: str) -> Floats:
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _luminance(colour: str) -> float:
    return float(_linear(colour) @ (0.2126, 0.7152, 0.0722))


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _lab(linear: Floats) -> Floats:
    matrix = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = matrix @ np.clip(linear, 0, 1) / (0.9505, 1.0, 1.089)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("shade", [0, 1])
@pytest.mark.parametrize("name", ["ink", "soft", "accent", "alarm"])
def test_text_has_enough_contrast(name: str, shade: int) -> None:
    assert _contrast(COLOURS[name][shade], COLOURS["paper"][shade]) >= 4.5


@pytest.mark.parametrize("eye", SEEN)
@pytest.mark.parametrize("shade", [0, 1])
def test_classes_are_told_apart(eye: str, shade: int) -> None:
    seen = {name: _lab(np.array(SEEN[eye]) @ _linear(COLOURS[name][shade])) for name in CLASSES}
    for one, other in itertools.combinations(CLASSES, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= 14, (one, other)


def test_each_stand_in_names_one_colour() -> None:
    assert len(set(STAND_IN.values())) == len(COLOURS)
    assert not set(STAND_IN.values()) & {shade for pair in COLOURS.values() for shade in pair}
