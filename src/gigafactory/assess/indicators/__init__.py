"""Indicators: pure functions from a subject to a value, its evidence and a sentence, by name."""

from gigafactory.assess.indicators import autonomy, economy, public, society
from gigafactory.assess.indicators.base import INDICATORS, Indicator, Reading, indicator

#: The modules whose import fills the registry.
FILLED_BY = (autonomy, economy, public, society)

__all__ = ["FILLED_BY", "INDICATORS", "Indicator", "Reading", "indicator"]
