"""People and what they got done: skills, outcomes claimed and verified, research that came home."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gigafactory.assess.registers.base import Wrong, load_register, refuse_wrong, twice
from gigafactory.assess.shapes import Citation, Number, People
from gigafactory.assess.subject import Subject
from gigafactory.factory.blocks import Block, Day, Flag, MissionLabel, Name, Text, Words, setting
from gigafactory.factory.quantities import Count, MoneyEUR, Ratio, Share


class Role(Block):
    """A kind of work in the factory and who does it."""

    id: Name = setting("Its name.")
    title: Words = setting("As shown.")
    staff_fte: People = setting("People who do it, full-time equivalents.", key="fte")
    eu_based_fte: People = setting("Of these based in the European Union.", key="eu_based")
    trainees: Count = setting("Trainees, apprentices, doctoral students.")
    critical: Flag = setting("The factory cannot be run without it.")
    skills: tuple[Text, ...] = setting("Skills it needs.", ())
    source: Citation = setting("Where this comes from.")


class Talent(Block):
    """The talent register."""

    counted: Day = setting("Day of the count.")
    verified_by: Text | None = setting("Who checked the count; empty while nobody has.", None)
    example: Flag = setting("Made up for demonstration.", False)
    research_eur_per_year: MoneyEUR | None = setting(
        "Spent a year on research and development; empty when unknown.", None, key="research"
    )
    roles: tuple[Role, ...] = setting("Roles.", ())


@dataclass(frozen=True, slots=True)
class TalentFigures:
    """The register in figures.

    Attributes:
        total_fte: people.
        trainees: trainees.
        eu_share: of the people, based in the Union.
        critical_eu_share: the same of critical roles: what SOV-4.3 asks; None without one.
    """

    total_fte: float
    trainees: int
    eu_share: float | None
    critical_eu_share: float | None


def load_talent(subject: Subject) -> Talent | None:
    """The talent register; more people in the Union than there are is a problem."""
    found = load_register(subject, "talent", Talent)
    if found is not None:
        wrong: list[Wrong] = twice("roles", (one.id for one in found.roles))
        wrong += [
            (f"roles.{one.id}.eu_based", one.eu_based_fte, f"is more than all {one.staff_fte:g}")
            for one in found.roles
            if one.eu_based_fte > one.staff_fte
        ]
        refuse_wrong(subject, "talent", wrong)
    return found


def talent_figures(talent: Talent) -> TalentFigures:
    """People, trainees, and how many of them are based in the Union."""

    def share(roles: list[Role]) -> float | None:
        total = sum(one.staff_fte for one in roles)
        return sum(one.eu_based_fte for one in roles) / total if total > 0.0 else None

    roles = list(talent.roles)
    return TalentFigures(
        sum(one.staff_fte for one in roles),
        sum(one.trainees for one in roles),
        share(roles),
        share([one for one in roles if one.critical]),
    )


class Outcome(Block):
    """What a mission's work changed: claimed by its owner, and verified by somebody else or not."""

    id: Name = setting("Its name.")
    mission: MissionLabel = setting("Mission it serves.")
    title: Words = setting("What changed.")
    owner: Text = setting("Who claims it.")
    effect: Name = setting(
        "The change in the world it is about. Outcomes with one effect are counted once."
    )
    unit: Text = setting("Unit of the benefit.")
    claimed: Number = setting("Benefit a year as its owner says.")
    verified: Number | None = setting("Benefit a year that was verified; empty for none.", None)
    verified_by: Text | None = setting("Who verified it.", None)
    method: Text = setting("How it was worked out, against which baseline.")
    counted_by: Text | None = setting(
        "Key of the run's summary in which the same benefit is counted already; empty for none.",
        None,
    )
    dated: Day = setting("Day of the claim.")
    expires: Day | None = setting("First day it no longer counts; empty for never.", None)
    example: Flag = setting("Made up for demonstration: shown, never counted.", False)


class Outcomes(Block):
    """Outcomes of the missions."""

    outcomes: tuple[Outcome, ...] = setting("Outcomes.", ())


@dataclass(frozen=True, slots=True)
class Benefit:
    """A change in the world, counted once.

    Attributes:
        effect: which.
        mission: whose.
        unit: of both figures.
        claimed: largest claim of it.
        verified: smallest verified figure of it; None where nobody verified one.
        counted_as: outcome: here; ledger: by the run already, so not here; nothing: not verified.
        outcomes: those that claim it.
        method: of the one that is counted, or of the first.
    """

    effect: str
    mission: str
    unit: str
    claimed: float
    verified: float | None
    counted_as: str
    outcomes: tuple[str, ...]
    method: str


def load_outcomes(subject: Subject) -> Outcomes | None:
    """The outcomes; a verified figure without a verifier, or by the owner, is a problem."""
    found = load_register(subject, "outcomes", Outcomes)
    if found is None:
        return None
    wrong: list[Wrong] = twice("outcomes", (one.id for one in found.outcomes))
    units: dict[str, str] = {}
    for one in found.outcomes:
        at = f"outcomes.{one.id}"
        if one.verified is not None and one.verified_by in (None, one.owner):
            wrong.append((f"{at}.verified_by", one.verified_by, "must be somebody but the owner"))
        if one.example and one.verified is not None:
            wrong.append((f"{at}.verified", one.verified, "is an example: nobody verified it"))
        if units.setdefault(one.effect, one.unit) != one.unit:
            why = f"another outcome counts {one.effect} in {units[one.effect]}"
            wrong.append((f"{at}.unit", one.unit, why))
    refuse_wrong(subject, "outcomes", wrong)
    return found


def benefits(outcomes: Outcomes, day: dt.date, counted: Mapping[str, bool]) -> tuple[Benefit, ...]:
    """The benefits of the missions, each counted once.

    Of outcomes that claim one effect the smallest verified figure counts. What a run counts already
    (heat handed over, import given up) is named and not counted again.

    Args:
        outcomes: the register.
        day: the day that counts.
        counted: whether the run's summary has a figure, by key.
    """
    by_effect: dict[str, list[Outcome]] = {}
    for one in outcomes.outcomes:
        if one.dated <= day and (one.expires is None or day < one.expires):
            by_effect.setdefault(one.effect, []).append(one)
    out = []
    for effect, rows in by_effect.items():
        sure = [one for one in rows if one.verified is not None]
        best = min(sure, key=lambda one: one.verified or 0.0) if sure else None
        by_run = any(one.counted_by and counted.get(one.counted_by) for one in rows)
        out.append(
            Benefit(
                effect,
                rows[0].mission,
                rows[0].unit,
                max(one.claimed for one in rows),
                best.verified if best else None,
                "ledger" if by_run else "outcome" if best else "nothing",
                tuple(one.id for one in rows),
                (best or rows[0]).method,
            )
        )
    return tuple(out)


class BaselineRow(Block):
    """Accelerator-hours that a field of research uses elsewhere."""

    field: Text = setting("Field, as the tenants of the factory file are counted under.")
    gpu_h_per_year: Ratio = setting("Accelerator-hours a year, in H100-hours.", key="gpu_hours")
    where: Literal["hyperscaler", "abroad"] = setting("Where they are used now.")
    source: Citation = setting("Who counted.")


class Baseline(Block):
    """Where computing is done today."""

    dated: Day = setting("Day of the count.")
    hyperscaler_share: Share = setting("Part of the European cloud market of US hyperscalers.")
    source: Citation = setting("Where that share comes from.")
    rows: tuple[BaselineRow, ...] = setting("By field.", ())


def load_baseline(subject: Subject) -> Baseline | None:
    """The baseline against which computing comes home; None where nobody counted."""
    return load_register(subject, "baseline", Baseline)


__all__ = [
    "Baseline",
    "BaselineRow",
    "Benefit",
    "Outcome",
    "Outcomes",
    "Role",
    "Talent",
    "TalentFigures",
    "benefits",
    "load_baseline",
    "load_outcomes",
    "load_talent",
    "talent_figures",
]
