"""Numbers as a reader of each language writes them."""

from __future__ import annotations

import math
import re
from typing import Final

_MARK: Final = re.compile(r"(?<=\d)[.,](?=\d)")
_SHARE: Final = re.compile(r"(?<=\d)%")


def in_language(text: str, lang: str) -> str:
    """A sentence with its numbers as the language writes them: 1,234.5 or 1.234,5, and 12 %."""
    spaced = _SHARE.sub(" %", text)
    if lang != "nl":
        return spaced
    return _MARK.sub(lambda found: "," if found[0] == "." else ".", spaced)


def number(value: float, digits: int, lang: str) -> str:
    """A number with so many digits behind the mark; a dash where there is none."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    # rounded first, so that no nought has a minus sign
    return in_language(f"{round(value, digits) + 0.0:,.{digits}f}", lang)


def share(value: float, lang: str, digits: int = 1) -> str:
    """A share as a percentage."""
    return "-" if math.isnan(value) else f"{number(value * 100, digits, lang)} %"


__all__ = ["in_language", "number", "share"]
