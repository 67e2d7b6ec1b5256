"""Promises to the public: conditions on subsidies, objections, consultations before milestones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gigafactory.assess.registers.base import Wrong, load_register, refuse_wrong, twice
from gigafactory.assess.results import Grade
from gigafactory.assess.shapes import Citation
from gigafactory.assess.subject import Subject
from gigafactory.factory.blocks import Block, Day, Flag, Name, Text, Words, setting
from gigafactory.factory.quantities import MoneyEUR
from gigafactory.units import MICRO_EUR_PER_EUR


class Condition(Block):
    """What public money asks."""

    id: Name = setting("Its name.")
    kind: Literal[
        "eu_jurisdiction", "transparent_governance", "limited_dependencies", "access", "missions",
        "other",
    ] = setting("What it is about.")  # fmt: skip
    title: Words = setting("As it reads.")
    criterion: Text = setting("Criterion of the axes that shows whether it is kept.")


class Milestone(Block):
    """A part of a grant, paid when it is reached and the conditions are kept."""

    id: Name = setting("Its name.")
    title: Words = setting("What must be reached.")
    due: Day = setting("Day on which it is paid.")
    amount_eur: MoneyEUR = setting("Amount.", key="amount")


class Grant(Block):
    """Public money and its conditions."""

    id: Name = setting("Its name.")
    title: Words = setting("As shown.")
    granter: Text = setting("Who grants it.")
    conditions: tuple[Condition, ...] = setting("Conditions on every milestone.")
    milestones: tuple[Milestone, ...] = setting("Milestones.")
    example: Flag = setting("Made up for demonstration: nobody granted it.", False)
    source: Citation = setting("Where this comes from.")


class Subsidies(Block):
    """Public money."""

    grants: tuple[Grant, ...] = setting("Grants.", ())


@dataclass(frozen=True, slots=True)
class Payment:
    """What becomes of a milestone.

    Attributes:
        grant, milestone: which.
        due: day of payment.
        amount_micro_eur: of the milestone.
        paid_micro_eur: of it payable: all or nothing.
        state: payable, blocked (a condition is broken), or held (one is not shown).
        broken: conditions that are broken.
        not_shown: conditions nobody has shown to be kept.
    """

    grant: str
    milestone: str
    due: dt.date
    amount_micro_eur: int
    paid_micro_eur: int
    state: str
    broken: tuple[str, ...]
    not_shown: tuple[str, ...]


def load_subsidies(subject: Subject) -> Subsidies | None:
    """The grants of a subject; None where there is no register of them."""
    found = load_register(subject, "subsidies", Subsidies)
    if found is not None:
        wrong = twice("grants", (one.id for one in found.grants))
        for one in found.grants:
            wrong += twice(f"grants.{one.id}.conditions", (c.id for c in one.conditions))
            wrong += twice(f"grants.{one.id}.milestones", (m.id for m in one.milestones))
        refuse_wrong(subject, "subsidies", wrong)
    return found


def payments(grant: Grant, grades: Mapping[str, Grade]) -> tuple[Payment, ...]:
    """What each milestone of a grant pays, given where the criteria stand.

    A broken condition blocks the payment; one that nobody has shown to be kept holds it back.

    Args:
        grant: the grant.
        grades: where each criterion stands; one that is absent is not shown.
    """
    stands = {one.id: grades.get(one.criterion, Grade.UNVERIFIED) for one in grant.conditions}
    broken = tuple(name for name, grade in stands.items() if grade is Grade.UNMET)
    unshown = tuple(name for name, grade in stands.items() if grade is Grade.UNVERIFIED)
    state = "blocked" if broken else "held" if unshown else "payable"
    out = []
    for one in grant.milestones:
        amount = round(one.amount_eur * MICRO_EUR_PER_EUR)
        paid = amount if state == "payable" else 0
        out.append(Payment(grant.id, one.id, one.due, amount, paid, state, broken, unshown))
    return tuple(out)


class Objection(Block):
    """Somebody objects. No names of persons stand here."""

    id: Name = setting("Its name.")
    by: Literal["resident", "association", "firm", "authority", "other"] = setting("Who, by kind.")
    about: Words = setting("What about.")
    received: Day = setting("Day it came in.")
    answered: Day | None = setting("Day it was answered; empty while it is open.", None)
    answer: Words | None = setting("The answer; needed once it is answered.", None)
    outcome: Literal["open", "upheld", "partly_upheld", "rejected", "withdrawn"] = setting(
        "What came of it.", "open"
    )
    example: Flag = setting("Made up for demonstration.", False)


class Objections(Block):
    """Objections."""

    objections: tuple[Objection, ...] = setting("Objections.", ())


def load_objections(subject: Subject) -> Objections | None:
    """The objections; an outcome without an answer is a problem."""
    found = load_register(subject, "objections", Objections)
    if found is not None:
        wrong: list[Wrong] = twice("objections", (one.id for one in found.objections))
        for one in found.objections:
            at = f"objections.{one.id}"
            if one.outcome not in {"open", "withdrawn"} and (
                one.answered is None or one.answer is None
            ):
                wrong.append((at, one.outcome, "has an outcome but no dated answer"))
            if one.answered is not None and one.answered < one.received:
                wrong.append((f"{at}.answered", one.answered, "lies before it came in"))
        refuse_wrong(subject, "objections", wrong)
    return found


def open_days(objection: Objection, day: dt.date) -> int | None:
    """Age of an open objection on a day, days; None when it is not open then."""
    if objection.received > day or objection.outcome == "withdrawn":
        return None
    if objection.answered is not None and objection.answered <= day:
        return None
    return (day - objection.received).days


class Talk(Block):
    """A talk with a stakeholder, on record."""

    stakeholder: Name = setting("With whom.")
    held: Day = setting("Day.")
    record: Text = setting("Where its record can be found.")


class DesignMilestone(Block):
    """A step of the design that others are heard about before it closes."""

    id: Name = setting("Its name.")
    title: Words = setting("As shown.")
    planned: Day = setting("Day it is to close.")
    closed: Day | None = setting("Day it closed; empty while it is open.", None)
    hears: tuple[Name, ...] = setting("Stakeholders who must have been heard.")
    talks: tuple[Talk, ...] = setting("Talks on record.", ())
    example: Flag = setting("Made up for demonstration.", False)


class Consultations(Block):
    """Design milestones and who was heard."""

    milestones: tuple[DesignMilestone, ...] = setting("Milestones.", ())


def unheard(milestone: DesignMilestone, day: dt.date) -> tuple[str, ...]:
    """Stakeholders of whom no talk is on record up to a day; of a closed one until it closed."""
    until = day if milestone.closed is None else min(day, milestone.closed)
    heard = {talk.stakeholder for talk in milestone.talks if talk.held <= until}
    return tuple(name for name in milestone.hears if name not in heard)


def load_consultations(subject: Subject) -> Consultations | None:
    """The consultations.

    Raises:
        BadInput: a milestone is closed that somebody was not heard about: it cannot close.
    """
    found = load_register(subject, "consultations", Consultations)
    if found is not None:
        wrong: list[Wrong] = twice("milestones", (one.id for one in found.milestones))
        for one in found.milestones:
            missing = unheard(one, one.closed) if one.closed is not None else ()
            if missing:
                why = (
                    f"cannot close: no talk before that day is on record with {', '.join(missing)}"
                )
                wrong.append((f"milestones.{one.id}.closed", one.closed, why))
        refuse_wrong(subject, "consultations", wrong)
    return found


__all__ = [
    "Condition",
    "Consultations",
    "DesignMilestone",
    "Grant",
    "Milestone",
    "Objection",
    "Objections",
    "Payment",
    "Subsidies",
    "Talk",
    "load_consultations",
    "load_objections",
    "load_subsidies",
    "open_days",
    "payments",
    "unheard",
]
