"""The grid room: the connection, the markets, the weather and the contracts on energy.

What it knows: market calendars (which intervals make up a local day, 92, 96 or 100 quarter-hours),
prices, weather and carbon series with their provenance, generators of synthetic ones and readers of
real ones, the grid connection with its dated phases and N-1 capacity, transport rights and the
transport tariff, power purchase agreements and guarantees of origin, the carbon and the water of
electricity in every way they may be counted, the rules of balancing
products and markets as dated data, what each of them pays or charges, the proof of delivery against
a baseline, and the ports to the market and to flexibility buyers.

What it does not know: what the factory does with it. No chip, job, tenant, plan or account appears
here; a limit is a number of MW per period, a price is a number of EUR/MWh.

Who may import it: policy and every floor above. Its siblings (plant, jobs, ledger, kernel) may not;
weather and prices reach them as plain arrays.
"""

from gigafactory.grid.baseline import (
    Proof,
    last_metered_mw,
    prove,
    schedule_mw,
    similar_days_mw,
)
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.carbon import CarbonAccount, carbon_account, indirect_water_m3, water_factors
from gigafactory.grid.connection import Connection
from gigafactory.grid.frequency import (
    Frequency,
    read_frequency,
    read_frequency_from_folder,
    synthetic_frequency,
)
from gigafactory.grid.ppa import Ppa, market_based_co2_kg
from gigafactory.grid.products import (
    MarketRules,
    ProductRules,
    bid_mw,
    blocks,
    market_on,
    product_on,
)
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
from gigafactory.grid.rights import (
    Form,
    Limits,
    Refusal,
    Restriction,
    RightsRules,
    TimeBlock,
    TransportRight,
    TransportRights,
    rights_on,
    violations,
)
from gigafactory.grid.series import Series, SourceRow
from gigafactory.grid.settlement import (
    AfrrPay,
    FcrPay,
    Imbalance,
    Party,
    PpaPay,
    activated_share,
    fcr_asked_mw,
    imbalance_prices,
    settle_afrr,
    settle_fcr,
    settle_imbalance,
    settle_ppa,
    split_between,
    undelivered_share,
)
from gigafactory.grid.signals import Signals
from gigafactory.grid.synthetic import synthetic_signals
from gigafactory.grid.tariff import Bill, Line, TransportTariff, tariff_bill, tariff_on, usage_h

__all__ = [
    "AfrrPay",
    "Bill",
    "CarbonAccount",
    "Connection",
    "FcrPay",
    "Form",
    "Frequency",
    "Imbalance",
    "Limits",
    "Line",
    "MarketCalendar",
    "MarketRules",
    "Party",
    "Ppa",
    "PpaPay",
    "ProductRules",
    "Proof",
    "Refusal",
    "Restriction",
    "RightsRules",
    "Series",
    "SignalFiles",
    "Signals",
    "SourceRow",
    "TimeBlock",
    "TransportRight",
    "TransportRights",
    "TransportTariff",
    "activated_share",
    "bid_mw",
    "blocks",
    "carbon_account",
    "fcr_asked_mw",
    "imbalance_prices",
    "indirect_water_m3",
    "last_metered_mw",
    "market_based_co2_kg",
    "market_on",
    "product_on",
    "prove",
    "read_carbon",
    "read_frequency",
    "read_frequency_from_folder",
    "read_humidity",
    "read_imbalance",
    "read_prices",
    "read_temperature",
    "real_signals",
    "real_signals_from_folder",
    "rights_on",
    "schedule_mw",
    "settle_afrr",
    "settle_fcr",
    "settle_imbalance",
    "settle_ppa",
    "similar_days_mw",
    "split_between",
    "synthetic_frequency",
    "synthetic_signals",
    "tariff_bill",
    "tariff_on",
    "undelivered_share",
    "usage_h",
    "violations",
    "water_factors",
]
