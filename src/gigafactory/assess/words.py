"""Sentences in English and Dutch from one place, with their figures written as each language does.

Knows commas and points; knows nothing of what is said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Both = Mapping[str, str]
LANGUAGES = ("en", "nl")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in a sentence.

    Attributes:
        value: the number.
        unit: written behind it, with a space; empty for none.
        digits: behind the decimal sign.
    """

    value: float
    unit: str = ""
    digits: int = 0

    def text(self, lang: str) -> str:
        """As written in a language: 1,234.5 in English, 1.234,5 in Dutch."""
        number = f"{self.value:,.{self.digits}f}"
        if number.lstrip("-").strip("0.,") == "":
            number = number.lstrip("-")  # no minus before a nought
        if lang == "nl":
            number = number.translate(str.maketrans(",.", ".,"))
        one = round(self.value, self.digits) == 1.0
        return f"{number} {unit_in(self.unit, lang, one=one)}".rstrip()


#: Units that are words: one and several, English and Dutch. The others are the same in both.
_UNITS: Mapping[str, tuple[str, str, str, str]] = {
    "paths": ("path", "paths", "weg", "wegen"),
    "components": ("component", "components", "onderdeel", "onderdelen"),
    "outcomes": ("outcome", "outcomes", "uitkomst", "uitkomsten"),
    "sectors": ("sector", "sectors", "sector", "sectoren"),
    "programmes": ("programme", "programmes", "programma", "programma's"),
    "stakeholders": ("stakeholder", "stakeholders", "belanghebbende", "belanghebbenden"),
    "lines": ("line", "lines", "regel", "regels"),
    "points": ("point", "points", "punt", "punten"),
    "d": ("day", "days", "dag", "dagen"),
}


def unit_in(unit: str, lang: str, *, one: bool = False) -> str:
    """A unit as written in a language, behind one of it or behind several."""
    if unit not in _UNITS:
        return unit
    return _UNITS[unit][(2 if lang == "nl" else 0) + (0 if one else 1)]


def amount(value: float, unit: str = "") -> Amount:
    """A number with as many digits as it needs: none where it is whole or large."""
    digits = 0 if float(value).is_integer() or abs(value) >= 1000.0 else 3
    return Amount(float(value), unit, digits)


def percent(share: float, digits: int = 1) -> Amount:
    """A share as a percentage."""
    return Amount(share * 100.0, "%", digits)


def both(en: str, nl: str, /, **parts: object) -> dict[str, str]:
    """A sentence in both languages; `{name}` stands for a part.

    Parts are an `Amount`, a number (written whole, or with three digits where it is none), a text
    in both languages, a day, or anything else as it prints.
    """
    return {
        lang: text.format(**{name: written(part, lang) for name, part in parts.items()})
        for lang, text in (("en", en), ("nl", nl))
    }


def written(part: object, lang: str) -> str:
    """One part of a sentence in a language."""
    if isinstance(part, Amount):
        return part.text(lang)
    if isinstance(part, bool) or not isinstance(part, int | float):
        if isinstance(part, Mapping):
            return str(part[lang])
        return part.isoformat() if isinstance(part, dt.date) else str(part)
    return amount(float(part)).text(lang)


def listed(parts: Iterable[str]) -> dict[str, str]:
    """Names one after the other: "a, b and c"."""
    names = list(parts)
    if len(names) <= 1:
        return dict.fromkeys(LANGUAGES, "".join(names))
    head = ", ".join(names[:-1])
    return {"en": f"{head} and {names[-1]}", "nl": f"{head} en {names[-1]}"}


__all__ = [
    "LANGUAGES",
    "Amount",
    "Both",
    "amount",
    "both",
    "listed",
    "percent",
    "unit_in",
    "written",
]
