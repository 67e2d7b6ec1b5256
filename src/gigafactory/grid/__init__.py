"""The grid room: the connection, the markets, the weather and the contracts on energy.

What it knows: market calendars (which intervals make up a local day, 92, 96 or 100 quarter-hours),
prices, weather and carbon series with their provenance, generators of synthetic ones and readers of
real ones, the grid connection with its dated phases and N-1 capacity, power purchase agreements and
guarantees of origin, and the ports to the market and to flexibility buyers.

What it does not know: what the factory does with it. No chip, job, tenant, plan or account appears
here; a limit is a number of MW per period, a price is a number of EUR/MWh.

Who may import it: policy and every floor above. Its siblings (plant, jobs, ledger, kernel) may not;
weather and prices reach them as plain arrays.
"""

from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.connection import Connection
from gigafactory.grid.frequency import (
    Frequency,
    read_frequency,
    read_frequency_from_folder,
    synthetic_frequency,
)
from gigafactory.grid.ppa import Ppa, market_based_co2_kg
from gigafactory.grid.real import (
    SignalFiles,
    read_carbon,
    read_humidity,
    read_imbalance,
    read_prices,
    read_temperature,
    real_signals,
    real_signals_from_folder,
)
from gigafactory.grid.series import Series, SourceRow
from gigafactory.grid.signals import Signals
from gigafactory.grid.synthetic import synthetic_signals

__all__ = [
    "Connection",
    "Frequency",
    "MarketCalendar",
    "Ppa",
    "Series",
    "SignalFiles",
    "Signals",
    "SourceRow",
    "market_based_co2_kg",
    "read_carbon",
    "read_frequency",
    "read_frequency_from_folder",
    "read_humidity",
    "read_imbalance",
    "read_prices",
    "read_temperature",
    "real_signals",
    "real_signals_from_folder",
    "synthetic_frequency",
    "synthetic_signals",
]
