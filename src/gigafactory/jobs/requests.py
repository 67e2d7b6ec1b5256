"""Request rates of inference from published traces, as series services can follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gigafactory.engine.errors import refuse
from gigafactory.jobs.services import RateSeries
from gigafactory.jobs.tabular import Floats, Ints, Sheet, read_sheet
from gigafactory.units import NS_PER_S


def read_requests(path: str | Path, *, period_s: float = 60.0) -> dict[str, RateSeries]:
    """Read single requests and count them per interval.

    Layouts: Azure LLM inference 2023 (Patel et al., ISCA 2024; `TIMESTAMP` and, when present,
    `service`) and Mooncake (Qin et al., FAST 2025; `timestamp_ms` or `timestamp` in ms since the
    start, and, when present, `trace`).

    Args:
        path: CSV or Parquet.
        period_s: length of an interval, s.

    Returns:
        One measured series per service, by name; a last interval that is not full is dropped. A
        trace without dates starts at 1970-01-01.

    Raises:
        BadInput: the file cannot be read or holds no such columns, or rows of it are bad.
    """
    sheet = read_sheet(Path(path))
    if "timestamp_ms" in sheet.names or _numeric(sheet, "timestamp"):
        column = "timestamp_ms" if "timestamp_ms" in sheet.names else "timestamp"
        millis, _ = sheet.numbers(column)
        at_ns = np.nan_to_num(millis).astype(np.int64) * 1_000_000
        source = "Mooncake request traces (Qin et al., FAST 2025; Apache-2.0)"
    elif "timestamp" in sheet.names:
        at_ns, _ = sheet.instants("timestamp", zoned=False)
        source = "Azure LLM inference trace 2023 (Patel et al., ISCA 2024; CC-BY-4.0)"
    else:
        why = "a request trace has a column TIMESTAMP (an instant) or timestamp_ms"
        raise refuse(str(path), "columns", ", ".join(sheet.names), why)
    label = next((name for name in ("service", "trace") if name in sheet.names), None)
    words = [sheet.path.stem] * len(sheet)
    if label:
        sheet.bad(np.array([w is None for w in sheet.text(label).to_pylist()]), label, "is blank")
        words = [str(word) for word in sheet.text(label).to_pylist()]
    sheet.raise_faults()
    names = np.array(words)
    return {
        name: _counted(name, at_ns[names == name], period_s, source) for name in sorted(set(words))
    }


def _numeric(sheet: Sheet, name: str) -> bool:
    if name not in sheet.names:
        return False
    first = sheet.text(name)[0].as_py()
    return bool(first) and str(first).replace(".", "", 1).isdigit()


def _counted(name: str, at_ns: Ints, period_s: float, source: str) -> RateSeries:
    start_ns = int(at_ns.min())
    interval = ((at_ns - start_ns) / NS_PER_S // period_s).astype(np.int64)
    counts = np.bincount(interval).astype(np.float64)
    whole = counts[:-1] if len(counts) > 1 else counts
    rate = whole / period_s
    return RateSeries(name, start_ns, period_s, rate, float(rate.max()), source, "measured")


def read_rates(path: str | Path) -> dict[str, RateSeries]:
    """Read rates of many clients and add them up per model.

    Layout: ServeGen (Alibaba, 2025): `category`, `model`, `client`, `start_s` (start of an
    interval, s since the start of the trace) and `rate_rps`. A client without a row in an interval
    asks nothing in it. Intervals without any request stay as measured (two models have some).

    Args:
        path: CSV or Parquet.

    Returns:
        One measured series per model, named "category/model". The trace gives no date: its start
        counts as 1970-01-01T00:00Z, so its hours are hours since the start.

    Raises:
        BadInput: the file cannot be read or holds no such columns, or rows of it are bad.
    """
    sheet = read_sheet(Path(path))
    missing = {"model", "start_s", "rate_rps"} - set(sheet.names)
    if missing:
        why = f"a file of client rates also needs {', '.join(sorted(missing))}"
        raise refuse(str(path), "columns", ", ".join(sheet.names), why)
    start_s, _ = sheet.numbers("start_s")
    rate, _ = sheet.numbers("rate_rps")
    sheet.bad(start_s < 0.0, "start_s", "lies before the start of the trace")
    sheet.bad(rate < 0.0, "rate_rps", "is below 0")
    sheet.raise_faults()
    parts = [_codes(sheet, name) for name in ("category", "model") if name in sheet.names]
    series = {}
    for key, mask in _groups(parts):
        series[key] = _added(key, start_s[mask], rate[mask])
    return series


def _codes(sheet: Sheet, name: str) -> tuple[Ints, list[str]]:
    coded = sheet.text(name).dictionary_encode()
    return np.asarray(coded.indices.to_numpy(), dtype=np.int64), coded.dictionary.to_pylist()


def _groups(parts: list[tuple[Ints, list[str]]]) -> list[tuple[str, Any]]:
    whole = np.zeros(len(parts[0][0]), dtype=np.int64)
    for codes, names in parts:
        whole = whole * len(names) + codes
    found = []
    for code in np.unique(whole).tolist():
        rest, words = code, []
        for _, names in reversed(parts):
            rest, at = divmod(rest, len(names))
            words.append(names[at])
        found.append(("/".join(reversed(words)), whole == code))
    return sorted(found, key=lambda pair: pair[0])


def _added(name: str, start_s: Floats, rate_rps: Floats) -> RateSeries:
    steps = np.diff(np.unique(start_s))
    period_s = float(steps.min()) if len(steps) else 600.0
    at = np.rint((start_s - start_s.min()) / period_s).astype(np.int64)
    rate = np.bincount(at, weights=rate_rps).astype(np.float64)
    source = "ServeGen client rates (Alibaba, 2025; Apache-2.0)"
    start_ns = int(start_s.min() * NS_PER_S)
    note = "the trace gives no date; its hours count from its start"
    return RateSeries(name, start_ns, period_s, rate, float(rate.max()), source, "measured", note)
