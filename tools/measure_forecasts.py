"""Measure the forecasting methods on real Dutch data of 2024, for docs/explanation/forecasts.md.

Prints the tables of that page. Needs the folder named by GIGAFACTORY_DATA; takes about two minutes.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gigafactory.grid import MarketCalendar, Signals, real_signals_from_folder
from gigafactory.planner.forecast import CHOICES, METHODS, Information, errors_by_lead, forecast
from gigafactory.plant.thermal import wet_bulb_c

LEADS_H = (3.0, 6.0, 12.0, 24.0, 48.0)
#: Days left out: until then the learned method has too little to learn from.
SKIP_DAYS = 77
UNITS = {"price": "EUR/MWh", "imbalance": "EUR/MWh", "temperature": "°C", "wet_bulb": "°C"}
UNITS |= {"humidity": "%", "carbon": "kg/MWh"}


def actual_of(signals: Signals, name: str) -> npt.NDArray[np.float64]:
    """What came of a signal, shape [P]."""
    if name == "wet_bulb":
        return np.asarray(wet_bulb_c(signals.temperature.values, signals.humidity.values))
    return np.asarray(getattr(signals, name).values)


def measure(
    signals: Signals, calendar: MarketCalendar, name: str, method: str, at: list[int]
) -> str:
    """A row of a table: errors by lead time, mean error, pinball loss and share within 80 %.

    Only periods that were not known count.
    """
    actual, pairs, inside = actual_of(signals, name), [], []
    for now_ns in at:
        known = Information(signals, calendar, now_ns)
        made = forecast(known, name, 194, method)
        came = actual[known.period :][: len(made)]
        first = max(0, known.known(name) - known.period)
        part = type(made)(
            name, now_ns, made.valid_ns[first:], made.quantiles, made.values[:, first:]
        )
        pairs.append((part, came[first:]))
        low, high = part.at(0.1) - 1e-9, part.at(0.9) + 1e-9
        inside.append(np.mean((low <= came[first:]) & (came[first:] <= high)))
    report = errors_by_lead(pairs, LEADS_H)
    total = errors_by_lead(pairs, (1000.0,))
    cells = [f"{mae:.3g}" if n else "" for mae, n in zip(report.mae, report.count, strict=True)]
    unit = UNITS.get(name, "")
    named = f"{name.replace('_', ' ')}{', ' + unit if unit else ''}"
    cells += [f"{total.mae[0]:.3g}", f"{total.pinball[0]:.3g}", f"{np.mean(inside):.2f}"]
    return f"| {named} | {method.replace('_', ' ')} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print both tables."""
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 366)
    signals = real_signals_from_folder(calendar, Path(os.environ["GIGAFACTORY_DATA"]))
    days = range(SKIP_DAYS, calendar.days - 3)
    edges = "".join(f" to {lead:.0f} h |" for lead in LEADS_H)
    head = f"| signal | method |{edges} all | pinball | in 80 % |"
    rule = "|---|---|" + "---:|" * (len(LEADS_H) + 3)
    print(f"Issued at 11:45, to 48.5 h\n\n{head}\n{rule}")
    for method in CHOICES:
        at = [calendar.local_ns(day, 11, 45) for day in days]
        print(measure(signals, calendar, "price", method, at), flush=True)
    print(f"\nIssued every 25 h, to 48.5 h\n\n{head}\n{rule}")
    at = [int(calendar.start_ns[p]) for p in range(SKIP_DAYS * 96, calendar.periods - 194, 100)]
    for name in METHODS:
        if name not in ("price", "load"):
            for method in CHOICES:
                print(measure(signals, calendar, name, method, at), flush=True)


if __name__ == "__main__":
    sys.exit(main())
