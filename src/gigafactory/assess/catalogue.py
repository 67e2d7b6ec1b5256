"""The frameworks by name: what `gigafactory assess` can apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gigafactory.assess.access import assess_access
from gigafactory.assess.classes import assess_classes
from gigafactory.assess.cloud import assess_cloud
from gigafactory.assess.eed import assess_eed
from gigafactory.assess.results import Assessment
from gigafactory.assess.siting import assess_siting
from gigafactory.assess.subject import Subject
from gigafactory.assess.tender import assess_tender

FRAMEWORKS: Final[Mapping[str, Callable[[Subject], Assessment]]] = {
    "cloud": assess_cloud,
    "eed": assess_eed,
    "tender": assess_tender,
    "siting": assess_siting,
    "classes": assess_classes,
    "access": assess_access,
}

__all__ = ["FRAMEWORKS"]
