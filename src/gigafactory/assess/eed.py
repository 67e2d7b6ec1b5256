"""The yearly report of a data centre to the EU: every field of Delegated Regulation (EU) 2024/1364.

One row a field and site, with how its value was made and where it comes from. What nobody says is
a row that says so. The indicators of Annex III are ratios of sums.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gigafactory.assess.cited import cited, framed, framework_data, number, words
from gigafactory.assess.eedfile import EedSite, read_eed
from gigafactory.assess.eedvalues import Told, tell
from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject

NAME: Final = "eed"
COLUMNS: Final = (
    *("site", "annex", "field", "symbol", "title", "unit", "value", "state", "how"),
    *("reference", "source"),
)


@dataclass(frozen=True, slots=True)
class EedRow:
    """One field of one data centre.

    Attributes:
        site: name of its site.
        field: key, unique within a data centre.
        annex: I, II or III.
        symbol: the Regulation's; not unique.
        title: by language.
        unit: of the value; "" for text and ratios.
        value: a number, a text, or None where nobody knows.
        text: the value in words, by language, where it is one; empty for numbers.
        state: metered, factory, stated or unknown.
        how: how the value was made, by language.
        evidence: what it rests on.
        source: of the field's definition.
    """

    site: str
    field: str
    annex: str
    symbol: str
    title: Mapping[str, str]
    unit: str
    value: float | str | None
    text: Mapping[str, str]
    state: str
    how: Mapping[str, str]
    evidence: Evidence
    source: str

    @property
    def number(self) -> float | None:
        """The value where it is a number."""
        return self.value if isinstance(self.value, float) else None


def eed_rows(subject: Subject, site: str | None = None) -> tuple[EedRow, ...]:
    """Every field of every data centre of a factory, or of one.

    Args:
        subject: the factory with its dossier and a run; without a run nothing is metered.
        site: name of a site; all when left out.

    Raises:
        BadInput: with every problem of the dossier's `eed.yaml`.
    """
    stated = read_eed(subject)
    names = tuple(subject.factory.sites) if site is None else (site,)
    return tuple(row for name in names for row in _site_rows(subject, name, stated[name]))


def _site_rows(subject: Subject, site: str, stated: EedSite) -> list[EedRow]:
    raw = framework_data(NAME)
    found = tell(subject, site, stated)
    assert set(found) == set(raw["fields"]), set(found) ^ set(raw["fields"])
    return [_row(site, key, field, found[key]) for key, field in raw["fields"].items()]


def _row(site: str, key: str, field: Mapping[str, Any], told: Told) -> EedRow:
    raw, formula = framework_data(NAME), field.get("formula")
    source = raw["cite"].format(annex=field["annex"])
    if field.get("national"):
        source = cited(raw["it_power"]["nl"]["source"])
    how = told.how
    if formula is not None and told.value is not None:
        how = {lang: f"{formula}: {text}" for lang, text in how.items()}
    return EedRow(
        site=site,
        field=key,
        annex=field["annex"],
        symbol=field["symbol"],
        title=words(field["title"]),
        unit=field["unit"],
        value=told.value,
        text=told.text,
        state=told.state,
        how=how,
        evidence=told.evidence,
        source=source,
    )


def rows_by_field(rows: tuple[EedRow, ...], site: str) -> dict[str, EedRow]:
    """The rows of one data centre by field."""
    return {row.field: row for row in rows if row.site == site}


# --- the exported file ----------------------------------------------------------------------------


def eed_table(rows: tuple[EedRow, ...], lang: str = "en") -> list[dict[str, Any]]:
    """Rows as plain records with the columns of the exported file."""
    return [
        {
            "site": row.site,
            "annex": row.annex,
            "field": row.field,
            "symbol": row.symbol,
            "title": row.title[lang],
            "unit": row.unit,
            "value": row.text.get(lang, row.value) if row.text else row.value,
            "state": row.state,
            "how": row.how[lang],
            "reference": row.evidence.reference,
            "source": row.source,
        }
        for row in rows
    ]


def eed_csv(rows: tuple[EedRow, ...], lang: str = "en") -> str:
    """The exported file as CSV; a value that is not known is an empty cell, its state says so."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(eed_table(rows, lang))
    return out.getvalue()


def eed_json(rows: tuple[EedRow, ...], lang: str = "en") -> str:
    """The exported file as JSON: regulation, columns' records; what is not known is null."""
    raw = framework_data(NAME)
    document = {"regulation": raw["version"], "fields": eed_table(rows, lang)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def eed_text(rows: tuple[EedRow, ...], suffix: str, lang: str = "en") -> str:
    """The text of the exported file; its ending says which form: ".json" or ".csv"."""
    return eed_json(rows, lang) if suffix == ".json" else eed_csv(rows, lang)


def eed_lines(rows: tuple[EedRow, ...], lang: str) -> list[str]:
    """The report as lines for a terminal: symbol, title, value, and how it was made."""
    states = framework_data(NAME)["states"]
    lines = []
    for row in rows:
        if row.number is not None:
            whole = abs(row.number) >= 1000.0 or row.number.is_integer()
            unit = framework_data(NAME)["units"].get(row.unit, {}).get(lang, row.unit)
            value = f"{number(row.number, lang, 0 if whole else 3)} {unit}".strip()
        else:
            value = str(row.text.get(lang, row.value)) if row.value is not None else ""
        state = states[row.state][lang]
        told = f"{value} ({row.how[lang]})" if value else state
        lines.append(f"{row.site:<14} {row.symbol:<10} {row.title[lang][:56]:<56} {told}")
    return lines


# --- as an assessment -----------------------------------------------------------------------------

_GRADES: Final = {
    "metered": Grade.MET,
    "factory": Grade.MET,
    "stated": Grade.UNVERIFIED,
    "unknown": Grade.UNMET,
}


def assess_eed(subject: Subject) -> Assessment:
    """The report as an assessment: obligations, and for each field whether it can be filled.

    A field from the run or the factory file is met, one the operator only states is unverified,
    one that nobody knows is unmet. Scores: `SITE.pue`, `.wue`, `.erf`, `.ref`, and `SITE.known`,
    the share of fields with a value.

    Raises:
        BadInput: with every problem of the dossier's `eed.yaml`.
    """
    raw, rows = framework_data(NAME), eed_rows(subject)
    stated = read_eed(subject)
    findings: list[Finding] = []
    scores: dict[str, float] = {}
    for site in subject.factory.sites:
        mine = rows_by_field(rows, site)
        findings += _obligations(site, mine, stated[site])
        findings += [_finding(row) for row in mine.values()]
        for key in ("pue", "wue", "erf", "ref"):
            value = mine[key].number
            if value is not None:
                scores[f"{site}.{key}"] = value
        known = sum(row.value is not None for row in mine.values())
        scores[f"{site}.known"] = known / len(mine)
    texts = raw["texts"]
    notes = [words(texts[key]) for key in ("note_symbol", "note_pue", "note_simulated")]
    return framed(NAME, findings, notes, scores=scores)


def _obligations(site: str, rows: Mapping[str, EedRow], stated: EedSite) -> list[Finding]:
    """Which duties hold for a data centre: met says that the duty holds."""
    raw, found = framework_data(NAME), []
    kw, kw_nl = rows["it_power"].number or 0.0, rows["it_power_nl"].number or 0.0
    for key, duty in raw["thresholds"].items():
        limit = float(duty["kw"])
        holds = max(kw, kw_nl) >= limit
        why = words(raw["texts"]["obligation"], kw=kw, kw_nl=kw_nl, threshold=limit)
        if stated.defence_only and key == "report":
            holds, why = False, words(raw["texts"]["exempt"])
        found.append(
            Finding(
                criterion=f"{site}.{key}",
                group="obligations",
                title=words(duty["title"]),
                grade=Grade.MET if holds else Grade.NOT_APPLICABLE,
                value=kw,
                unit="kW",
                threshold=limit,
                formula="installed IT power >= threshold",
                source=cited(duty["source"]),
                evidence=(Evidence(Proof.FACTORY, "factory:fleet"),),
                why=why,
            )
        )
    return found


def _finding(row: EedRow) -> Finding:
    states = framework_data(NAME)["states"]
    why = {lang: f"{states[row.state][lang]}: {row.how[lang]}" for lang in ("en", "nl")}
    return Finding(
        criterion=f"{row.site}.{row.field}",
        group=f"Annex {row.annex}",
        title=row.title,
        grade=_GRADES[row.state],
        value=row.number,
        unit=row.unit,
        formula=row.symbol,
        source=row.source,
        evidence=(row.evidence,),
        why=why,
    )


def reporting_days(subject: Subject) -> tuple[dt.date, int] | None:
    """First day and number of days of the run; None without one."""
    if not subject.summary:
        return None
    start = dt.date.fromisoformat(str(subject.summary["start"]))
    return start, int(subject.summary["days_done"])


__all__ = [
    "COLUMNS",
    "EedRow",
    "assess_eed",
    "eed_csv",
    "eed_json",
    "eed_lines",
    "eed_rows",
    "eed_table",
    "eed_text",
    "reporting_days",
    "rows_by_field",
]
