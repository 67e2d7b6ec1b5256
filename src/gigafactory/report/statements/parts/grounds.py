"""The last pages: what is not there, what to bear in mind, and where each number comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from gigafactory.report.sections.tell import Section
from gigafactory.report.statements.desk import Absent, Desk

#: Kinds of places a number may come from, in the order they are explained.
_KINDS: Final = (
    *("summary", "series", "jobs", "sources", "factory"),
    *("assess", "finance", "supply", "equivalence", "dossier", "document", "register"),
)
#: More places than this are written with their rows together.
_PLACES_MOST: Final = 4
_RESERVATIONS: Final = ("model", "range", "unverified", "short")


def lacking_part(desk: Desk, absent: Sequence[Absent]) -> Section | None:
    """What this statement would say had it been there."""
    if not absent:
        return None
    section = desk.part("lacking")
    section.points.extend(dict.fromkeys(desk.why(one) for one in absent))
    return section


def reservations_part(desk: Desk) -> Section:
    """What a reader must bear in mind, and how anybody can check it."""
    section, voice, folder = desk.part("reservations"), desk.voice, desk.frame.folder
    for name in _RESERVATIONS:
        if name == "short" and (desk.frame.value("days") or 0.0) >= 360.0:
            continue
        section.points.append(voice.markup(f"reservation.{name}"))
    note = desk.subject.factory.governance.interest_note
    if note is not None:
        told = desk.own({lang: getattr(note, lang) for lang in ("en", "nl")})
        section.points.append(
            Markup('<strong class="interest">{}</strong> {}').format(
                voice.say("assessed.interest"), told
            )
        )
    section.points.append(voice.markup("reservation.verify", folder=folder))
    return section


def trail(desk: Desk) -> list[tuple[int, Markup]]:
    """Every place that numbers of this statement come from, with the number links lead to."""
    return [
        (place, Markup(" ").join(Markup("<code>{}</code>").format(one) for one in briefly(source)))
        for source, place in desk.linked.trail.items()
    ]


def briefly(source: str) -> list[str]:
    """The places a number comes from; rows of one list together, where there are many."""
    places = source.split()
    if len(places) <= _PLACES_MOST:
        return places
    return list(dict.fromkeys(re.sub(r"\.\d+(?=\.)", ".*", place) for place in places))


def kinds_of_trail(desk: Desk) -> list[Markup]:
    """What each kind of place is, for the kinds that occur."""
    held = {one.partition(":")[0] for source in desk.linked.trail for one in source.split()}
    strange = held - set(_KINDS)
    assert not strange, f"no words for numbers from {strange}"
    return [
        Markup("<code>{}:</code> {}").format(kind, desk.voice.say(f"trail.{kind}"))
        for kind in _KINDS
        if kind in held
    ]
