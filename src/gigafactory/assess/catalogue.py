"""Every framework by its name: what `gigafactory assess --framework NAME` applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gigafactory.assess.accountability import assess_registers
from gigafactory.assess.controls import assess_controls
from gigafactory.assess.counterfactuals import assess_axes
from gigafactory.assess.recommendations import assess_recommendations
from gigafactory.assess.results import Assessment
from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import refuse
from gigafactory.factory.reading import nearest

FRAMEWORKS: Final[dict[str, Callable[[Subject], Assessment]]] = {
    "axes": assess_axes,
    "recommendations": assess_recommendations,
    "controls": assess_controls,
    "registers": assess_registers,
}


def assess(name: str, subject: Subject) -> Assessment:
    """Apply a framework to a subject.

    Raises:
        BadInput: there is no such framework, or a file of the dossier is wrong.
    """
    if name not in FRAMEWORKS:
        raise refuse("--framework", "", name, f"is no framework; {nearest(name, FRAMEWORKS)}")
    return FRAMEWORKS[name](subject)


__all__ = ["FRAMEWORKS", "assess"]
