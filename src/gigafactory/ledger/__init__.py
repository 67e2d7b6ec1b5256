"""The ledger: what was, in whole numbers that add up to the last one.

Knows accounts, commodities, transfers, receipts and rounding. It is a pure function of the
journal: the same frames give the same tables, byte for byte. Everything is a 64-bit integer
(GPU-seconds, Wh, micro-euro, mL, mg), quantised once where a measurement enters, the remainder
carried.

Does not know plants, prices' origins, jobs' meaning or plans; it is handed meter readings and
numbers. Imports only `gigafactory.units` and `gigafactory.engine`.
"""

from gigafactory.ledger.book import Book, Header
from gigafactory.ledger.facts import (
    ASK,
    GENERATOR_COLUMNS,
    GROUP_COLUMNS,
    METERS,
    MOVES,
    POOL_COLUMNS,
    SHARE_COLUMNS,
    Facts,
)
from gigafactory.ledger.quantise import Carry, quantised
from gigafactory.ledger.tables import account_table, job_table, transfer_table
from gigafactory.ledger.verify import conservation

__all__ = [
    "ASK",
    "GENERATOR_COLUMNS",
    "GROUP_COLUMNS",
    "METERS",
    "MOVES",
    "POOL_COLUMNS",
    "SHARE_COLUMNS",
    "Book",
    "Carry",
    "Facts",
    "Header",
    "account_table",
    "conservation",
    "job_table",
    "quantised",
    "transfer_table",
]
