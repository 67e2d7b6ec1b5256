"""A stress run's options from the command line, and its outcome in plain words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.runtime.owed import AUCTIONS, NOBODY, RESPONSE
from gigafactory.runtime.run import RunOptions
from gigafactory.runtime.stress import Stress

_SOLD_BY: Final = {
    AUCTIONS: "sold at the auctions for the day (energy.reserves), within energy.response",
    RESPONSE: "held in every second (energy.response), not sold at a price",
    NOBODY: "none are sold",
}
_PRODUCTS: Final = {"fcr": "FCR", "afrr_up": "aFRR up", "afrr_down": "aFRR down"}


def stress_options(
    factory: str,
    scenario: str | None,
    start: str,
    days: int,
    warm_up: int,
    seed: int,
    trace: str,
    asked: Mapping[str, Any],
    *,
    jobs: str | None = None,
    prices: str | None = None,
    lang: str = "en",
) -> RunOptions:
    """The options of a stress run: ordinary days first, then days by the second.

    Args:
        factory: bundled name or path.
        scenario: bundled name or path.
        start: first stress day, ISO.
        days: stress days.
        warm_up: ordinary days before the first.
        seed: of the run.
        trace: frequency, one of `stress.TRACES`.
        asked: other fields of `Stress`.
        jobs: a job file.
        prices: a price file.
        lang: language of the report.

    Raises:
        BadInput: every problem.
    """
    problems = []
    if not 0 <= warm_up <= 366:
        problems.append(Problem("--warm-up", "", str(warm_up), "is from 0 to 366 days"))
    if not 1 <= days <= 366:
        problems.append(Problem("--days", "", str(days), "is from 1 to 366 days"))
    stress = Stress(trace=trace, begin=max(warm_up, 0), **asked)
    problems += stress.problems(max(warm_up, 0) + max(days, 1))
    if problems:
        raise BadInput(problems)
    try:
        first = dt.date.fromisoformat(start) - dt.timedelta(days=warm_up)
    except (ValueError, OverflowError):
        raise refuse("--start", "", start, "is a date such as 2025-06-18") from None
    fields = {name: getattr(stress, name) for name in Stress.__dataclass_fields__}
    return RunOptions(
        factory,
        scenario,
        jobs,
        prices=prices,
        start=first.isoformat(),
        days=warm_up + days,
        seed=seed,
        lang=lang,
        yardstick="off",
        stress=fields,
    )


def stress_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    """The outcome of a stress run, line by line."""
    block = summary.get("stress")
    if block is None:
        yield "Stress   no day by the second is done yet"
        return
    trace = block["frequency"]
    yield f"Stress   {block['days']} day(s) by the second"
    yield f"Trace    frequency {trace['state']}: {trace['note']}"
    for name, site in block["sites"].items():
        yield f"Site     {name}: {site['seconds']:,} s, {site['off_s']:,} s without connection"
        yield (
            f"Limit    {site['above_limit_s']} s above a limit; highest import "
            f"{site['import_mw_max']:.1f} MW; {site['limit_ordered_s']:,} s under an ordered limit"
        )
        yield from _reserve_lines(site)
        ramp = site["ramp"]
        yield (
            f"Ramp     {ramp['others']['max_mw_per_min']:.1f} MW in a minute, reserves, limits and "
            f"trips apart ({ramp['all']['max_mw_per_min']:.1f} with them); etiquette "
            f"{ramp['allowed_mw_per_min']:.1f}"
        )
        shed, beyond = sum(site["shed_mwh"].values()), sum(site["beyond_mwh"].values())
        yield (
            f"Work     {shed:.1f} MWh shed, {beyond:.2f} MWh beyond contracts in "
            f"{site['exceeded_s']:,} s, for which EUR {site['paid_eur']:,.0f} was paid"
        )
        yield from _swing_lines(site["swing"])
        yield "Order    in which work gave way:"
        for row in site["merit_order"]:
            cost = (
                "" if row["cost_eur_per_mwh"] is None else f"{row['cost_eur_per_mwh']:,.0f} EUR/MWh"
            )
            only = "limits only" if row["limits_only"] else ""
            yield (
                f"         {row['action']:<9} {row['class']:<19} {row['power_mw']:7.1f} MW "
                f"{cost:>14} {row['full_s']:6.0f} s  {only}"
            ).rstrip()


def _reserve_lines(site: Mapping[str, Any]) -> Iterator[str]:
    fcr, afrr = site["fcr"], site["afrr"]
    yield f"Reserves {_SOLD_BY[site['sold_by']]}"
    if fcr is not None and fcr["within_share"] is not None:
        yield (
            f"FCR      {fcr['within_share']:.3%} of {fcr['measured_s']:,} s owed and measured "
            f"within {site['tolerance_share']:.0%} of {_span(fcr)}; battery outside its "
            f"reserve for {fcr['outside_reserve_s']:,} s"
        )
    if afrr is not None and afrr["within_share"] is not None:
        apart = afrr["within_share_unlimited"]
        away = "" if apart is None else f", {apart:.2%} away from ordered limits and trips"
        share, count = afrr["within_share"], afrr["connected_s"]
        yield f"aFRR     {share:.2%} of {count:,} s in the corridor{away}"
    for row in site["pay"] or ():
        energy = "" if row["product"] == "fcr" else f", energy {row['energy_eur']:,.0f}"
        yield (
            f"Sold     {row['day']} {_PRODUCTS[row['product']]:<9} {row['sold_mw_h']:6,.0f} MW h: "
            f"capacity EUR {row['capacity_eur']:,.0f}{energy}, "
            f"withheld {row['withheld_eur']:,.0f}; {row['asked_mwh']:.1f} MWh called, "
            f"{row['missed_mwh']:.2f} missed"
        )


def _span(fcr: Mapping[str, Any]) -> str:
    """The MW owed in the seconds in which any are."""
    least, most = fcr["contracted_mw_least"], fcr["contracted_mw"]
    return f"{most:g} MW" if least == most else f"{least:g} to {most:g} MW"


def _swing_lines(swing: Mapping[str, Any] | None) -> Iterator[str]:
    if swing is not None:
        before, after = swing["before"], swing["after"]
        yield (
            f"Swings   gang of {swing['accelerators']:,}: {before['peak_to_peak_mw']:.1f} MW peak "
            f"to peak, {before['steepest_mw_per_s']:.0f} MW/s; behind the {swing['storage']} "
            f"{after['peak_to_peak_mw']:.2f} MW, {after['steepest_mw_per_s']:.2f} MW/s"
        )


__all__ = ["stress_lines", "stress_options"]
