"""Every framework by its name: what `gigafactory assess --framework NAME` applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gigafactory.assess.access import assess_access
from gigafactory.assess.accountability import assess_registers
from gigafactory.assess.classes import assess_classes
from gigafactory.assess.cloud import assess_cloud
from gigafactory.assess.controls import assess_controls
from gigafactory.assess.counterfactuals import assess_axes
from gigafactory.assess.eed import assess_eed
from gigafactory.assess.recommendations import assess_recommendations
from gigafactory.assess.results import Assessment
from gigafactory.assess.siting import assess_siting
from gigafactory.assess.subject import Subject
from gigafactory.assess.tender import assess_tender
from gigafactory.engine.errors import refuse
from gigafactory.factory.reading import nearest

FRAMEWORKS: Final[dict[str, Callable[[Subject], Assessment]]] = {
    "axes": assess_axes,
    "recommendations": assess_recommendations,
    "controls": assess_controls,
    "registers": assess_registers,
    "cloud": assess_cloud,
    "eed": assess_eed,
    "tender": assess_tender,
    "siting": assess_siting,
    "classes": assess_classes,
    "access": assess_access,
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
