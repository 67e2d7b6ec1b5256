"""What would be instead: no factory, the factory abroad, the factory under an owner from outside.

The scale of the axes starts at the world without the factory, so against `none` each score is its
own difference. `abroad` is the same factory in another Member State, where the Dutch are guests.
`foreign_owned` is the same factory here under a parent outside the European Economic Area. Run and
documents stay what they are: the difference is the place and the owner, nothing else.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gigafactory.assess.axes import AXES, axes_alone
from gigafactory.assess.results import Assessment
from gigafactory.assess.subject import Subject
from gigafactory.factory.access import Owner

#: Where the factory would stand, and who would own it (assumptions).
ABROAD: Final = "DE"
OWNER: Final = Owner(name="Owner outside the Union (assumed)", country="US")

NAMES: Final = ("none", "abroad", "foreign_owned")


def abroad(subject: Subject, country: str = ABROAD) -> Subject:
    """The same factory in another country, its operator under the law there."""
    factory = subject.factory
    sites = {
        name: site.model_copy(update={"place": site.place.model_copy(update={"country": country})})
        for name, site in factory.sites.items()
    }
    governance = factory.governance.model_copy(
        update={"jurisdictions": (country,) if factory.governance.jurisdictions else ()}
    )
    moved = factory.model_copy(update={"sites": sites, "governance": governance})
    return replace(subject, factory=moved)


def foreign_owned(subject: Subject, owner: Owner = OWNER) -> Subject:
    """The same factory with another owner on top of its chain."""
    governance = subject.factory.governance
    chain = (*governance.parents, owner)
    laws = governance.jurisdictions or ("NL",)
    changed = governance.model_copy(update={"parents": chain, "jurisdictions": laws})
    factory = subject.factory.model_copy(update={"governance": changed})
    return replace(subject, factory=factory)


def alternatives(subject: Subject) -> dict[str, Assessment]:
    """The axes of the counterfactuals that have a factory."""
    return {
        "abroad": axes_alone(abroad(subject)),
        "foreign_owned": axes_alone(foreign_owned(subject)),
    }


def assess_axes(subject: Subject) -> Assessment:
    """The axes of a subject, each also as a difference to the three counterfactuals."""
    found = axes_alone(subject)
    others = {name: one.scores for name, one in alternatives(subject).items()}
    others["none"] = dict.fromkeys(AXES, 0.0)
    differences = {
        name: {
            axis: found.scores[axis] - others[name][axis]
            for axis in AXES
            if axis in found.scores and axis in others[name]
        }
        for name in NAMES
    }
    return replace(found, differences=differences)


__all__ = ["ABROAD", "NAMES", "OWNER", "abroad", "alternatives", "assess_axes", "foreign_owned"]
