"""Security on paper: threats, incidents with their clocks, requests of other powers for data."""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from dataclasses import dataclass
from typing import Final, Literal

from gigafactory.assess.registers.base import Wrong, load_register, refuse_wrong, twice
from gigafactory.assess.shapes import Citation, Instant
from gigafactory.assess.subject import Subject
from gigafactory.factory.blocks import Block, Country, Day, Flag, Name, Text, Words, setting
from gigafactory.factory.quantities import Score
from gigafactory.policy.tables import thresholds


class Threat(Block):
    """A threat, who says so, and until when that was looked at."""

    id: Name = setting("Its name.")
    title: Words = setting("What may happen.")
    kind: Literal["physical", "cyber", "hybrid", "legal", "supply"] = setting("What kind.")
    likelihood: Score = setting("How likely within a year, 0 to 1, as judged by the owner.")
    impact: Score = setting("How bad, 0 to 1, as judged by the owner.")
    owner: Text = setting("Who keeps the entry.")
    reviewed: Day = setting("Day it was last looked at.")
    review_by: Day = setting("First day on which that no longer counts.")
    answer: Words | None = setting("What is done about it.", None)
    source: Citation = setting("Who says so: AIVD, MIVD, ENISA, another.")


class Threats(Block):
    """The threat register."""

    threats: tuple[Threat, ...] = setting("Threats.", ())


def load_threats(subject: Subject) -> Threats | None:
    """The threat register; a review that lapses before it was done is a problem."""
    found = load_register(subject, "threats", Threats)
    if found is not None:
        wrong: list[Wrong] = twice("threats", (one.id for one in found.threats))
        wrong += [
            (f"threats.{one.id}.review_by", one.review_by, f"lies before {one.reviewed}")
            for one in found.threats
            if one.review_by <= one.reviewed
        ]
        refuse_wrong(subject, "threats", wrong)
    return found


def lapsed(threat: Threat, day: dt.date) -> bool:
    """Whether a threat must be looked at again."""
    return day >= threat.review_by


#: Article 23 of Directive (EU) 2022/2555: early warning and notification, hours after becoming
#: aware; final report, months after the notification.
EARLY_WARNING_H: Final = 24
NOTIFICATION_H: Final = 72
FINAL_MONTHS: Final = 1


class Incident(Block):
    """A security incident."""

    id: Name = setting("Its name.")
    title: Words = setting("What happened.")
    aware: Instant = setting("When the factory became aware of it.")
    significant: Flag = setting("Significant in the sense of NIS2 art. 23(3): the clocks run.")
    authority: Text = setting("Whom it is told: the CSIRT or the competent authority.")
    early_warning: Instant | None = setting("When the early warning was sent.", None)
    notification: Instant | None = setting("When the notification was sent.", None)
    final_report: Instant | None = setting("When the final report was sent.", None)
    example: Flag = setting("Made up for demonstration.", False)


class Incidents(Block):
    """The incident register."""

    incidents: tuple[Incident, ...] = setting("Incidents.", ())


@dataclass(frozen=True, slots=True)
class ClockState:
    """One clock of an incident at an instant.

    Attributes:
        incident: whose.
        duty: early_warning, notification or final_report.
        due: until when; None where the clock has not started.
        sent: when it was sent; None while it was not.
        state: sent, late (sent after it was due), running, overdue, or not_started.
        left_h: hours until it is due; negative when overdue; None unless it runs.
    """

    incident: str
    duty: str
    due: dt.datetime | None
    sent: dt.datetime | None
    state: str
    left_h: float | None


def load_incidents(subject: Subject) -> Incidents | None:
    """The incident register; a report sent before anybody was aware is a problem."""
    found = load_register(subject, "incidents", Incidents)
    if found is not None:
        wrong: list[Wrong] = twice("incidents", (one.id for one in found.incidents))
        for one in found.incidents:
            sent = [one.aware, one.early_warning, one.notification, one.final_report]
            told = [instant for instant in sent if instant is not None]
            if told != sorted(told):
                why = "the reports must follow each other: aware, warning, notification, final"
                wrong.append((f"incidents.{one.id}", one.aware, why))
        refuse_wrong(subject, "incidents", wrong)
    return found


def clocks(incident: Incident, now: dt.datetime) -> tuple[ClockState, ...]:
    """The three clocks of an incident at an instant; none where it is not significant.

    The final report is due a month after the notification, and its clock starts with that: until
    it is sent, it counts from when the notification is due. A month later is the same day of the
    next month, or that month's last.

    Args:
        incident: the incident.
        now: the instant that counts, with its offset.
    """
    if not incident.significant:
        return ()
    assert now.tzinfo is not None, "an instant has an offset"
    told_by = incident.aware + dt.timedelta(hours=NOTIFICATION_H)
    rows = (
        ("early_warning", incident.aware + dt.timedelta(hours=EARLY_WARNING_H),
         incident.early_warning),
        ("notification", told_by, incident.notification),
        ("final_report", _a_month_after(incident.notification or told_by), incident.final_report),
    )  # fmt: skip
    return tuple(_clock(incident.id, duty, due, sent, now) for duty, due, sent in rows)


def _clock(
    incident: str, duty: str, due: dt.datetime, sent: dt.datetime | None, now: dt.datetime
) -> ClockState:
    if sent is not None and sent <= now:
        return ClockState(incident, duty, due, sent, "late" if sent > due else "sent", None)
    left_h = (due - now).total_seconds() / 3600.0
    return ClockState(incident, duty, due, None, "overdue" if left_h < 0.0 else "running", left_h)


def _a_month_after(instant: dt.datetime) -> dt.datetime:
    year, month = (
        (instant.year + 1, 1) if instant.month == 12 else (instant.year, instant.month + 1)
    )
    return instant.replace(year=year, month=month, day=min(instant.day, monthrange(year, month)[1]))


class AccessRequest(Block):
    """A power outside the Union asks for data of a tenant."""

    case: Name = setting("Number of the case.")
    received: Instant = setting("When it came in.")
    authority: Text = setting("Who asks.")
    country: Country = setting("Whose law it rests on.")
    law: Text = setting("The law it names.")
    tenant: Name = setting("Whose data.")
    data: Literal["personal", "non_personal", "both"] = setting("What is asked.")
    basis: Literal["none", "treaty", "gdpr_49", "eu_order"] = setting(
        "Ground in European law to comply: none, an international agreement such as a treaty on "
        "mutual legal assistance (GDPR art. 48; Data Act art. 32), a derogation of GDPR art. 49, "
        "or an order of a Member State."
    )
    tenant_notice: Literal["told", "to_be_told", "forbidden_by_order"] = setting(
        "Whether the tenant was told."
    )
    told: Instant | None = setting("When it was told; needed where it was.", None)
    decision: Literal["open", "refused", "referred", "complied"] = setting("What was decided.")
    decided: Instant | None = setting("When; needed where it was.", None)
    example: Flag = setting("Made up for demonstration.", False)


class AccessRequests(Block):
    """Requests of other powers for data."""

    requests: tuple[AccessRequest, ...] = setting("Requests.", ())


def load_requests(subject: Subject) -> AccessRequests | None:
    """The register of requests; one without its instants is a problem."""
    found = load_register(subject, "access_requests", AccessRequests)
    if found is not None:
        wrong: list[Wrong] = twice("requests", (one.case for one in found.requests))
        for one in found.requests:
            at = f"requests.{one.case}"
            if one.tenant_notice == "told" and one.told is None:
                wrong.append((f"{at}.told", None, "is missing: when was the tenant told?"))
            if one.decision != "open" and one.decided is None:
                wrong.append((f"{at}.decided", None, "is missing: when was it decided?"))
        refuse_wrong(subject, "access_requests", wrong)
    return found


def conflict(request: AccessRequest) -> str:
    """What a request means in law.

    Returns:
        "breach": data were given without a ground in European law; "conflict": a law from outside
        asks what European law forbids, and it was not (yet) done; "": none.
    """
    if request.country in thresholds().eea or request.basis != "none":
        return ""
    return "breach" if request.decision == "complied" else "conflict"


__all__ = [
    "EARLY_WARNING_H",
    "FINAL_MONTHS",
    "NOTIFICATION_H",
    "AccessRequest",
    "AccessRequests",
    "ClockState",
    "Incident",
    "Incidents",
    "Threat",
    "Threats",
    "clocks",
    "conflict",
    "lapsed",
    "load_incidents",
    "load_requests",
    "load_threats",
]
