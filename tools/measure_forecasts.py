"""Measure the forecasting methods on real Dutch data of a year, for docs/explanation/forecasts.md.

Prints the tables of that page: of 2024, or of the year given. Needs the folder named by
GIGAFACTORY_DATA; takes about a minute.
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
UNITS |= {"humidity": "%", "carbon": "kg/MWh", "load": "accelerators"}
#: Metered series besides the signals.
LOADS: dict[str, npt.NDArray[np.float64]] = {}
#: Accelerators asked for per hour by the jobs at work, half a year (tables of the Alibaba spot-GPU
#: trace); its days carry no date and are laid on the first days of the year.
LOAD_FILE = "compute/spot_gpu_v2026_derived/hourly_concurrency.csv"


def actual_of(signals: Signals, name: str) -> npt.NDArray[np.float64]:
    """What came of a signal, shape [P]."""
    if name == "load":
        return LOADS["load"]
    if name == "wet_bulb":
        return np.asarray(wet_bulb_c(signals.temperature.values, signals.humidity.values))
    return np.asarray(getattr(signals, name).values)


def measure(
    signals: Signals, calendar: MarketCalendar, name: str, method: str, at: list[int]
) -> str:
    """Row of a table: errors by lead time, mean error, pinball loss and share within 80 %.

    Only periods that were not known count.
    """
    actual, pairs, inside = actual_of(signals, name), [], []
    for now_ns in at:
        known = Information(signals, calendar, now_ns, LOADS)
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


def main(year: int = 2024) -> None:
    """Print the tables of a year; signals that were not measured then are left out."""
    data = Path(os.environ["GIGAFACTORY_DATA"])
    first = dt.date(year, 1, 1)
    calendar = MarketCalendar.of(first, (first.replace(year=year + 1) - first).days)
    signals = real_signals_from_folder(calendar, data)
    synthetic = {series.name for series in signals if series.state == "synthetic"}
    days = range(SKIP_DAYS, calendar.days - 3)
    edges = "".join(f" to {lead:.0f} h |" for lead in LEADS_H)
    head = f"| signal | method |{edges} all | pinball | in 80 % |"
    rule = "|---|---|" + "---:|" * (len(LEADS_H) + 3)
    print(f"Prices, issued at 11:45, to 48.5 h\n\n{head}\n{rule}")
    for method in CHOICES:
        at = [calendar.local_ns(day, 11, 45) for day in days]
        print(measure(signals, calendar, "price", method, at), flush=True)
    print(f"\nAll else, issued every 25 h, to 48.5 h\n\n{head}\n{rule}")
    at = [int(calendar.start_ns[p]) for p in range(SKIP_DAYS * 96, calendar.periods - 194, 100)]
    # Half a year of real dew points is in the folder; where it is not, humidity is made.
    skipped = {"price", "load"} | (
        synthetic - {"humidity", "wind_offshore"} if year == 2024 else synthetic | {"wet_bulb"}
    )
    for name in METHODS:
        if name not in skipped:
            for method in CHOICES:
                print(measure(signals, calendar, name, method, at), flush=True)
    if (data / LOAD_FILE).is_file():
        hourly = np.genfromtxt(data / LOAD_FILE, delimiter=",", skip_header=1)[:, 2]
        LOADS["load"] = np.repeat(hourly, 4)
        for method in CHOICES:
            until = [now for now in at if now < calendar.start_ns[len(LOADS["load"]) - 194]]
            print(measure(signals, calendar, "load", method, until), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
