"""Countries: who is in the Union and in the European Economic Area, and how a place counts.

Source: Treaty on European Union and Agreement on the European Economic Area, in force in 2020 (27
Member States; Iceland, Liechtenstein and Norway).
"""

from __future__ import annotations

from typing import Final

EU: Final = frozenset(
    (
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    )
)
EEA: Final = EU | {"IS", "LI", "NO"}


def side_of(country: str, home: str = "NL") -> str:
    """Where a country stands: "home", "eu" (the Union without home), "other" or "unknown".

    Args:
        country: ISO code; "" for unknown.
        home: the country that is home.
    """
    if not country:
        return "unknown"
    if country == home:
        return "home"
    return "eu" if country in EU else "other"


__all__ = ["EEA", "EU", "side_of"]
