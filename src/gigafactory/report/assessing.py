"""An assessment in lines for the terminal: scores, what holds them back, findings, changes."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gigafactory.assess.accountability import grant_payments
from gigafactory.assess.catalogue import FRAMEWORKS, assess
from gigafactory.assess.differences import Differences, differences
from gigafactory.assess.plain import plain
from gigafactory.assess.registers.supplies import passports
from gigafactory.assess.results import Assessment, Finding
from gigafactory.assess.sensitivity import Stability, Swing, sensitivity, tornado
from gigafactory.assess.subject import Subject, subject_of
from gigafactory.assess.words import Amount, amount, percent
from gigafactory.engine.errors import refuse

_WIDTH: Final = 100

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "source": "Source", "interest": "Interest", "day": "as of", "scores": "Scores",
        "held": "Held back", "against": "Against", "none": "no factory",
        "abroad": "the factory abroad", "foreign_owned": "the factory foreign-owned",
        "met": "met", "unmet": "UNMET", "unverified": "unverified", "not_applicable": "n/a",
        "weights": "Under {n} random weights", "same": "order stays in {s} (", "first":
        "the factory is first in {s}", "widest": "What moves it most", "changes":
        "What changed", "nothing": "Nothing changed.", "gate": "gate", "to": "to",
        "factory": "the factory",
    },
    "nl": {
        "source": "Bron", "interest": "Belang", "day": "per", "scores": "Uitkomsten",
        "held": "Voorbehoud", "against": "Ten opzichte van", "none": "geen fabriek",
        "abroad": "de fabriek in het buitenland",
        "foreign_owned": "de fabriek in buitenlandse hand",
        "met": "gehaald", "unmet": "NIET GEHAALD", "unverified": "niet geverifieerd",
        "not_applicable": "n.v.t.", "weights": "Bij {n} willekeurige wegingen", "same":
        "de volgorde blijft in {s} (", "first": "de fabriek staat bovenaan in {s}", "widest":
        "Wat het meest uitmaakt", "changes": "Wat er veranderde", "nothing":
        "Er veranderde niets.", "gate": "poort", "to": "tot", "factory": "de fabriek",
    },
}  # fmt: skip


def assessment_lines(
    found: Assessment, today: dt.date, lang: str = "en", *, findings: bool = True
) -> list[str]:
    """An assessment as lines of text.

    Args:
        found: the assessment.
        today: the day it was made for.
        lang: "en" or "nl".
        findings: whether every finding is told, or the scores alone.
    """
    say = _WORDS[lang]
    lines = [f"{found.title[lang]} ({found.version}), {say['day']} {today}"]
    lines += _wrapped(f"{say['source']}: {found.source}")
    if found.interest:
        lines += _wrapped(f"{say['interest']}: {found.interest[lang]}")
    for note in found.notes.get(lang, ()):
        lines += _wrapped(note)
    if found.scores:
        lines += ["", say["scores"]]
        named = [(_label(found, name, lang), v) for name, v in found.scores.items()]
        width = max(len(name) for name, _ in named)
        lines += [f"  {name:<{width}}  {_signed(v, lang):>6}" for name, v in named]
    for name, why in found.held_back.items():
        lines += ["", *_wrapped(f"{say['held']}, {_label(found, name, lang)}: {why[lang]}")]
    if found.differences:
        lines.append("")
        for other, rows in found.differences.items():
            told = ", ".join(
                f"{_label(found, name, lang)} {_signed(v, lang, plus=True)}"
                for name, v in rows.items()
            )
            lines += _wrapped(f"{say['against']} {say.get(other, other)}: {told}")
    if findings:
        for group in dict.fromkeys(one.group for one in found.findings):
            lines += ["", _label(found, group, lang)]
            for one in found.findings:
                if one.group == group:
                    lines += _finding_lines(one, lang)
    return lines


#: What the parts of a score are called.
_PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "opportunity": {"en": "opportunities", "nl": "kansen"},
    "risk": {"en": "risks", "nl": "risico's"},
    "cap": {"en": "left by the gates", "nl": "wat de poorten overlaten"},
    "known_share": {"en": "known", "nl": "bekend"},
    "low": {"en": "at worst", "nl": "op zijn slechtst"},
    "high": {"en": "at best", "nl": "op zijn best"},
    "coverage": {"en": "coverage", "nl": "dekking"},
    "kept": {"en": "kept", "nl": "nagekomen"},
    "broken": {"en": "broken or overdue", "nl": "geschonden of te laat"},
    "not_shown": {"en": "not shown", "nl": "niet aangetoond"},
}


def _label(found: Assessment, name: str, lang: str) -> str:
    """What a score or a group is called: its group's title, and its part."""
    if name in found.groups:
        code = name.partition(".")
        before = f"{code[0].upper()} {code[2]}: " if code[2] else ""
        return before + found.groups[name][lang]
    group, _, part = name.rpartition(".")
    if part in _PARTS:
        word = _PARTS[part][lang]
        return f"  {word}" if group in found.groups else word
    return name


def _finding_lines(one: Finding, lang: str) -> list[str]:
    say = _WORDS[lang]
    gate = f", {say['gate']}" if one.gate else ""
    value = "" if one.value is None else f" {_value(one, lang)}"
    points = ""
    if one.points is not None and not one.gate:
        points = f" [{_signed(one.points, lang, plus=one.kind == 'opportunity')}]"
    head = f"{one.title[lang]}{value} ({say[one.grade.value]}{gate}){points}"
    return [*_wrapped(head, 2), *_wrapped(one.why.get(lang, ""), 4)]


def _value(one: Finding, lang: str) -> str:
    assert one.value is not None
    shown = percent(one.value) if one.unit == "share" else amount(one.value, one.unit)
    return shown.text(lang)


def _signed(value: float, lang: str, *, plus: bool = False) -> str:
    text = Amount(value, digits=2).text(lang)
    return f"+{text}" if plus and value > 0.0 else text


def _wrapped(text: str, indent: int = 0) -> list[str]:
    margin = " " * indent
    lines = textwrap.wrap(
        text.replace(" %", "\N{NO-BREAK SPACE}%"),
        _WIDTH,
        initial_indent=margin,
        subsequent_indent=margin + "  ",
        break_long_words=False,
    )
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def sensitivity_lines(
    found: Assessment,
    stable: Sequence[Stability],
    swings: Sequence[Swing],
    lang: str = "en",
    most: int = 3,
) -> list[str]:
    """How far weights matter, and what moves each axis most."""
    say = _WORDS[lang]
    lines = [say["weights"].format(n=stable[0].draws if stable else 0)]
    for one in stable:
        order = " > ".join(say[name] for name in one.order)
        same = say["same"].format(s=percent(one.same_order_share, 0).text(lang))
        first = say["first"].format(s=percent(one.factory_first_share, 0).text(lang))
        spread = " / ".join(_signed(v, lang) for v in (one.value_p05, one.value_p50, one.value_p95))
        axis = _label(found, one.axis, lang)
        lines += _wrapped(f"{axis}: {same}{order}); {first}; P5/P50/P95 {spread}", 2)
        mine = [swing for swing in swings if swing.axis == one.axis][:most]
        told = "; ".join(
            f"{found.of(swing.criterion).title[lang]}: {_signed(swing.low, lang)} {say['to']} "
            f"{_signed(swing.high, lang)}"
            for swing in mine
        )
        lines += _wrapped(f"{say['widest']}: {told}", 4)
    return lines


def difference_lines(found: Assessment, changed: Differences, lang: str = "en") -> list[str]:
    """What moved between two assessments, and why."""
    say = _WORDS[lang]
    lines = [say["changes"]]
    if not changed.scores and not changed.moves:
        return [*lines, f"  {say['nothing']}"]
    for name, (a, b, change) in changed.scores.items():
        shown = " -> ".join("-" if v is None else _signed(v, lang) for v in (a, b))
        by = "" if change is None else f" ({_signed(change, lang, plus=True)})"
        group, _, part = name.rpartition(".")
        label = _label(found, name, lang).strip()
        if part in _PARTS and group in found.groups:
            label = f"{_label(found, group, lang)}, {label}"
        lines.append(f"  {label}: {shown}{by}")
    for one in changed.moves:
        lines += _wrapped(f"{one.title[lang]}: {one.why[lang]}", 2)
    return lines


def assess_lines(
    what: str | Path,
    framework: str,
    today: dt.date | None,
    lang: str,
    *,
    against: str | Path | None = None,
    run: Path | None = None,
    against_run: Path | None = None,
) -> list[str]:
    """What `gigafactory assess` prints: one framework, or the scores of all of them.

    Raises:
        BadInput: no such framework, factory or run; or what is wrong with a file of the dossier.
    """
    subject = subject_of(what, today, run=run)
    other = None if against is None else _other(against, subject, against_run)
    lines: list[str] = []
    for name in _named(framework):
        found = assess(name, subject)
        lines += assessment_lines(found, subject.today, lang, findings=framework != "all")
        if name == "axes":
            stable = sensitivity(subject, found)
            lines += ["", *sensitivity_lines(found, stable, tornado(found), lang)]
        if other is not None:
            before = assess(name, other)
            changed = differences(before, found, other, subject)
            lines += ["", *difference_lines(found, changed, lang)]
        lines.append("")
    return lines[:-1]


def assess_plain(
    what: str | Path,
    framework: str,
    today: dt.date | None,
    *,
    against: str | Path | None = None,
    run: Path | None = None,
    against_run: Path | None = None,
) -> dict[str, Any]:
    """The same as plain data, by framework; what changed stands under `against`.

    With the registers come the passports of all hardware, one per pool and asset.

    Raises:
        BadInput: as `assess_lines`.
    """
    subject = subject_of(what, today, run=run)
    other = None if against is None else _other(against, subject, against_run)
    out: dict[str, Any] = {"day": subject.today.isoformat(), "frameworks": {}}
    for name in _named(framework):
        found = assess(name, subject)
        row = plain(found)
        if name == "axes":
            row["stability"] = plain(sensitivity(subject, found))
            row["tornado"] = plain(tornado(found))
        if name == "registers":
            row["passports"] = passports(subject)
            row["payments"] = plain(grant_payments(subject))
        if other is not None:
            row["against"] = plain(differences(assess(name, other), found, other, subject))
        out["frameworks"][name] = row
    return out


def _other(against: str | Path, subject: Subject, run: Path | None) -> Subject:
    return subject_of(against, subject.today, run=run)


def _named(framework: str) -> tuple[str, ...]:
    if framework == "all":
        return tuple(FRAMEWORKS)
    if framework not in FRAMEWORKS:
        known = ", ".join((*FRAMEWORKS, "all"))
        raise refuse("--framework", "", framework, f"is no framework; known are {known}")
    return (framework,)


__all__ = [
    "assess_lines",
    "assess_plain",
    "assessment_lines",
    "difference_lines",
    "sensitivity_lines",
]
