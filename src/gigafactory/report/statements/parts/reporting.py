"""Chapters of what is reported by law: the fields of a data centre, and the access time given."""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup

from gigafactory.assess import Assessment
from gigafactory.report.sections.tell import Section, Table
from gigafactory.report.statements.desk import Absent, Desk
from gigafactory.report.statements.providers import ask

#: Cuts of the access report, in the order of its tables.
_CUTS: Final = ("mode", "group", "member_state", "terms", "union")
#: Indicators of Annex III that are shares.
_SHARES: Final = ("erf", "ref")


def eed_told(desk: Desk) -> list[Markup]:
    """The four indicators of each site, and how many fields have a value."""
    found = ask(desk, "eed")
    if isinstance(found, Absent):
        return []
    assert isinstance(found, Assessment)
    told: list[Markup] = []
    for site in desk.subject.factory.sites:
        scores = found.scores
        if f"{site}.pue" not in scores:
            continue
        parts = {
            key: desk.share(scores.get(f"{site}.{key}"), f"assess:eed/{site}.{key}")
            for key in (*_SHARES, "known")
        }
        parts |= {
            key: desk.found(scores.get(f"{site}.{key}"), f"assess:eed/{site}.{key}", 3)
            for key in ("pue", "wue")
        }
        told.append(desk.voice.markup("eed.told", site=site, **parts))
    return told


def fields_part(desk: Desk) -> Section | Absent:
    """Every field of Annexes I, II and III of each site, with how its value was made."""
    rows = ask(desk, "eed_fields")
    if isinstance(rows, Absent):
        return rows
    section, voice = desk.part("eed_fields"), desk.voice
    section.lead.append(voice.markup("eed.lead"))
    for site in dict.fromkeys(row.site for row in rows):
        for annex in ("I", "II", "III"):
            cells = [_field(desk, row) for row in rows if (row.site, row.annex) == (site, annex)]
            heads = [voice.say(f"eed.{n}") for n in ("field", "value", "state", "how")]
            title = voice.say("eed.table", site=site, annex=annex)
            section.tables.append(Table(title, heads, cells, texts=frozenset({1, 2, 3})))
    section.notes.append(voice.markup("eed.two_powers"))
    return section


def _field(desk: Desk, row: Any) -> list[Markup | str]:
    voice = desk.voice
    head = Markup('{} <span class="soft">{}</span>').format(desk.own(row.title), row.symbol)
    trail = row.evidence.reference or f"assess:eed/{row.site}.{row.field}"
    trail = trail.replace(" ", "-")
    shown: Markup | str
    if row.number is not None and row.field in _SHARES:
        shown = desk.share(row.number, trail)
    elif row.number is not None:
        whole = float(row.number).is_integer() or abs(row.number) >= 1000.0
        shown = desk.found(row.number, trail, 0 if whole else 3)
    elif row.value is None:
        shown = Markup('<span class="soft">–</span>')
    else:
        words = desk.own(row.text) if row.text else str(row.value)
        shown = Markup('<span class="words" data-source="{}">{}</span>').format(trail, words)
    state = Markup('<span class="state {}">{}</span>').format(
        row.state, voice.say(f"eed.is.{row.state}")
    )
    if row.unit and row.value is not None:
        unit = voice.named("assess_unit", row.unit)
        shown = Markup('{} <span class="soft">{}</span>').format(shown, unit)
    how = Markup('<div class="how">{}</div>').format(desk.own(row.how))
    return [head, shown, state, how]


def access_time_part(desk: Desk) -> Section | Absent:
    """Access time asked, granted and used, by every cut; too small groups shown together."""
    report = ask(desk, "access_time")
    if isinstance(report, Absent):
        return report
    section, voice = desk.part("access_time"), desk.voice
    due = voice.date(report.due) if report.due else voice.say("number.none")
    billed = desk.found(report.billed_though_free_eur, "summary:access_time", 2)
    section.lead.append(voice.markup("access.lead", due=due, billed=billed))
    for cut in _CUTS:
        rows: list[list[Markup | str]] = [
            [
                _cut_name(desk, cut, row.name),
                desk.found(float(row.members), "summary:access_time"),
                *(
                    desk.found(getattr(row, f"{what}_gpu_h"), "summary:access_time")
                    for what in ("requested", "granted", "used")
                ),
            ]
            for row in report.table(cut, public=True)
        ]
        names = ("tenants", "requested", "granted", "used")
        heads = [voice.say(f"access.cut.{cut}"), *(voice.say(f"access.{n}") for n in names)]
        section.tables.append(Table(voice.say("access.table", cut=heads[0].lower()), heads, rows))
    section.notes.append(voice.markup("access.note"))
    return section


def _cut_name(desk: Desk, cut: str, name: str) -> str:
    families = {"mode": "access_mode", "group": "tenant_group"}
    if cut == "member_state":
        return name
    return desk.voice.named(families.get(cut, "access_of"), name)


__all__ = ["access_time_part", "eed_told", "fields_part"]
