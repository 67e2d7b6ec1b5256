"""The report's voice: every word in the reader's language, every number in that language's form.

Words live in `text/<lang>.yaml` (the report) and `text/<lang>.statements.yaml`, with the same keys
in each language. A word that is not there
is a bug and stops the rendering; a number that was not recorded is said to be so.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import yaml
from markupsafe import Markup

from gigafactory.engine.errors import refuse

LANGUAGES: Final = ("en", "nl")
#: (thousands separator, decimal separator)
_SEPARATORS: Final[Mapping[str, tuple[str, str]]] = {"en": (",", "."), "nl": (".", ",")}
_MINUS: Final = "\u2212"
_NBSP: Final = "\u00a0"


@lru_cache(maxsize=len(LANGUAGES))
def texts(lang: str) -> Mapping[str, str]:
    """All words of a language by dotted key.

    Raises:
        BadInput: for a language that is not there.
    """
    if lang not in LANGUAGES:
        raise refuse("--lang", "lang", lang, f"is not a language of the report; use {LANGUAGES}")
    folder = resources.files("gigafactory.report") / "text"
    flat: dict[str, str] = {}
    for name in (f"{lang}.yaml", f"{lang}.statements.yaml"):
        _flatten(yaml.safe_load((folder / name).read_text("utf-8")), "", flat)
    return flat


def _flatten(tree: Mapping[str, Any], prefix: str, out: dict[str, str]) -> None:
    for key, found in tree.items():
        if isinstance(found, Mapping):
            _flatten(found, f"{prefix}{key}.", out)
        else:
            out[f"{prefix}{key}"] = str(found).strip()


class Voice:
    """Words and numbers in one language.

    Attributes:
        lang: "en" or "nl".
    """

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._texts = texts(lang)
        self._thousands, self._decimal = _SEPARATORS[lang]

    # -- words -------------------------------------------------------------------------------

    def say(self, key: str, **parts: object) -> str:
        """A sentence as plain text, its {parts} filled in."""
        return self._texts[key].format(**parts)

    def markup(self, key: str, **parts: object) -> Markup:
        """A sentence for the page: parts that are markup stay so, anything else is escaped."""
        return Markup(self._texts[key]).format(**parts)  # noqa: S704  (our own file of words)

    def knows(self, key: str) -> bool:
        """Whether there is a word for this key."""
        return key in self._texts

    def named(self, family: str, label: str) -> str:
        """The word of a label in a family, or the label itself in plain letters when unknown."""
        key = f"{family}.{label}"
        return self._texts[key] if key in self._texts else label.replace("_", " ")

    # -- numbers -----------------------------------------------------------------------------

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with separators of the language: 1,234.5 or 1.234,5."""
        if value is None or not math.isfinite(value):
            return self.say("number.none")
        plain = f"{abs(value):,.{digits}f}"
        negative = value < 0 and plain.strip("0,.") != ""
        swapped = plain.replace(",", "\0").replace(".", self._decimal)
        return (_MINUS if negative else "") + swapped.replace("\0", self._thousands)

    def neat(self, value: float | None) -> str:
        """A number with about three significant digits, never in powers of ten."""
        if value is None or not math.isfinite(value):
            return self.say("number.none")
        size = abs(value)
        return self.number(value, 0 if size >= 100 else 1 if size >= 10 else 2)

    def share(self, value: float | None, digits: int = 1) -> str:
        """A fraction as a percentage."""
        if value is None or not math.isfinite(value):
            return self.say("number.none")
        least = 0.5 * 10.0 ** (-digits - 2)
        if 0 < value < least:
            return f"<{_NBSP}{self.number(2 * least * 100, digits)}%"
        return f"{self.number(100 * value, digits)}%"

    def duration(self, seconds: float | None) -> str:
        """A duration in the unit that reads best: s, min, h or d."""
        if seconds is None or not math.isfinite(seconds):
            return self.say("number.none")
        scales = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0))
        for unit, scale in scales:
            if seconds >= 2 * scale:
                return f"{self.number(seconds / scale, 1)}{_NBSP}{self.say(f'unit.{unit}')}"
        return f"{self.number(seconds, 0)}{_NBSP}s"

    def date(self, day: dt.date) -> str:
        """A date in full: 1 January 2024 or 1 januari 2024."""
        return f"{day.day}{_NBSP}{self.say(f'month.{day.month}')} {day.year}"

    def month(self, day: dt.date) -> str:
        """The short name of a date's month."""
        return self.say(f"month_short.{day.month}")

    def weekday(self, day: dt.date) -> str:
        """Short weekday, day and month: Mon 15 Jan."""
        name = self.say(f"weekday_short.{day.weekday()}")
        return f"{name} {day.day} {self.month(day)}"

    # -- numbers that can be traced -----------------------------------------------------------

    def traced(self, shown: str, value: float | None, source: str) -> Markup:
        """A number on the page that names where it comes from.

        Args:
            shown: the text that the reader sees.
            value: the raw number, in the unit of the source (of the result, if calculated).
            source: one or more of ``summary:key``, ``series:column``, ``jobs:column``,
                ``sources:row`` or ``factory:key``, divided by spaces.

        Returns:
            A `data` element.
        """
        raw = "" if value is None or not math.isfinite(value) else f"{value:.12g}"
        return Markup('<data value="{}" data-source="{}">{}</data>').format(raw, source, shown)
