"""Deals to hold a factory against, and promises held against what was found.

A verdict follows from a rule and figures, which it tells: what a run or the model shows (found),
what it shows to be otherwise (not found), or what nothing here can decide (open).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gigafactory.finance.base import Base
from gigafactory.finance.chances import Chances
from gigafactory.finance.demand import implied_gap, load_demand, rebound_ratio
from gigafactory.finance.numbers import in_language
from gigafactory.finance.reference import levelised_usd, reference
from gigafactory.finance.scenarios import energy_ratio, load_scenarios
from gigafactory.finance.tables import read_table
from gigafactory.plant.provenance import Source, need_source

DEALS: Final = "deals.yaml"
CLAIMS: Final = "claims.yaml"
Verdict = Literal["found", "not_found", "open"]
#: A cost is called predictable when P10 and P90 lie within this share of P50: what a budget allows.
PREDICTABLE_SHARE: Final = 0.10
_BILLION: Final = 1e9


@dataclass(frozen=True, slots=True)
class Deal:
    """A deal or a published total.

    Attributes:
        name: its name.
        title: by language.
        value_usd, value_eur: as published; None in the other currency.
        power_mw: that the value is for; None where no source gives it.
        of: what that power is, by language.
        equity_share: of the value, where it is known.
        source: who says so.
    """

    name: str
    title: Mapping[str, str]
    value_usd: float | None
    value_eur: float | None
    power_mw: float | None
    of: Mapping[str, str]
    equity_share: float | None
    source: Source

    @property
    def usd_per_mw(self) -> float | None:
        """Value per MW; None unless a source gives both."""
        if self.value_usd is None or self.power_mw is None:
            return None
        return self.value_usd / self.power_mw


@dataclass(frozen=True, slots=True)
class Judged:
    """A promise and what became of it.

    Attributes:
        name: its name.
        claim: by language.
        verdict: what the rule says.
        why: the figures behind it, by language.
        source: who made the claim.
    """

    name: str
    claim: Mapping[str, str]
    verdict: Verdict
    why: Mapping[str, str]
    source: Source


def deals() -> list[Deal]:
    """The bundled deals.

    Raises:
        BadInput: the bundled file is damaged.
    """
    found = []
    for name, row in read_table(DEALS).items():
        usd, eur, mw = row.get("value_usd"), row.get("value_eur"), row.get("power_mw")
        equity = row.get("equity_usd")
        found.append(
            Deal(
                name,
                row["title"],
                None if usd is None else float(usd),
                None if eur is None else float(eur),
                None if mw is None else float(mw),
                row.get("of", {"en": "", "nl": ""}),
                None if equity is None or usd is None else float(equity) / float(usd),
                need_source(DEALS, name, row["source"]),
            )
        )
    return found


_Answer = tuple[Verdict, str, str]


def _capex(base: Base, _: Chances) -> _Answer:
    usd = base.capex_eur / base.factory.finance.eur_per_usd / _BILLION
    verdict: Verdict = "found" if usd >= 20 else "not_found"
    return (
        verdict,
        (
            f"this factory: USD {usd:.1f} bn for {base.accelerators:,} accelerators; "
            "tens of billions is 20 bn or more"
        ),
        (
            f"deze fabriek: {usd:.1f} miljard dollar voor {base.accelerators:,} accelerators; "
            "tientallen miljarden is 20 miljard of meer"
        ),
    )


def _revenue(base: Base, chances: Chances) -> _Answer:
    r = chances.ranges["revenue"]
    usd = [v / base.factory.finance.eur_per_usd / _BILLION for v in (r.p10, r.p50, r.p90)]
    verdict: Verdict = "found" if usd[0] >= 1 else "not_found" if usd[2] < 1 else "open"
    return (
        verdict,
        (
            f"USD {usd[0]:.1f}, {usd[1]:.1f}, {usd[2]:.1f} bn a year (P10, P50, P90) once full; "
            "revenue, not profit"
        ),
        (
            f"{usd[0]:.1f}, {usd[1]:.1f}, {usd[2]:.1f} miljard dollar per jaar (P10, P50, P90) als "
            "ze vol is; omzet, geen winst"
        ),
    )


def _opex(_: Base, chances: Chances) -> _Answer:
    r = chances.ranges["opex"]
    wide = max(r.p90 / r.p50 - 1.0, 1.0 - r.p10 / r.p50)
    verdict: Verdict = "found" if wide <= PREDICTABLE_SHARE else "not_found"
    low, high = r.p10 / 1e6, r.p90 / 1e6
    return (
        verdict,
        (
            f"P10 to P90 goes from EUR {low:.0f} to {high:.0f} m a year, {wide:.0%} from the "
            f"middle; within {PREDICTABLE_SHARE:.0%} is called predictable"
        ),
        (
            f"P10 tot P90 loopt van {low:.0f} tot {high:.0f} miljoen euro per jaar, {wide:.0%} van "
            f"het midden; binnen {PREDICTABLE_SHARE:.0%} heet voorspelbaar"
        ),
    )


def _worth(_: Base, chances: Chances) -> _Answer:
    r, loss = chances.ranges["npv"], chances.loss_share
    verdict: Verdict = "found" if r.p10 > 0 else "not_found" if r.p50 < 0 else "open"
    low, mid, high = (v / _BILLION for v in (r.p10, r.p50, r.p90))
    return (
        verdict,
        (
            f"present value EUR {low:.1f}, {mid:.1f}, {high:.1f} bn (P10, P50, P90); "
            f"negative in {loss:.0%} of the draws"
        ),
        (
            f"contante waarde {low:.1f}, {mid:.1f}, {high:.1f} miljard euro (P10, P50, P90); "
            f"negatief in {loss:.0%} van de trekkingen"
        ),
    )


def _heat(base: Base, _: Chances) -> _Answer:
    rows = base.summary.get("heat", {}).get("sites", []) if base.summary else []
    if not rows:
        return "open", "needs a run: heat is checked hour by hour", "vergt een run: warmte per uur"
    covered, need = sum(r["covered_mwh"] for r in rows), sum(r["need_mwh"] for r in rows)
    homes, always = sum(r["homes"] for r in rows), sum(r["homes_always"] for r in rows)
    share = covered / need if need else 0.0
    verdict: Verdict = "found" if always >= homes else "not_found"
    return (
        verdict,
        (
            f"{share:.0%} of the heat of {homes:,.0f} homes was covered; {always:,.0f} homes "
            "needed no back-up in any hour"
        ),
        (
            f"{share:.0%} van de warmte van {homes:,.0f} woningen kwam van de fabriek; "
            f"{always:,.0f} woningen hadden nooit bijstook nodig"
        ),
    )


def _conflict(_: Base, __: Chances) -> _Answer:
    known = load_scenarios()
    a, b = (energy_ratio(known[name]) for name in ("efficiency-40", "efficiency-10x"))
    return (
        "open",
        (
            f"the two cannot both hold: {a:g} and {b:g} times the energy per calculation; "
            "each is a scenario of its own"
        ),
        (
            f"beide kunnen niet waar zijn: {a:g} en {b:g} keer de energie per berekening; "
            "elk is een eigen scenario"
        ),
    )


def _elastic(_: Base, __: Chances) -> _Answer:
    low, high = rebound_ratio(10.0, 0.5), rebound_ratio(10.0, 1.3)
    return (
        "open",
        (
            f"only if demand is elastic (ε above 1): tenfold efficiency gives {low:.2f} times the "
            f"energy at ε 0.5, 1 at ε 1 and {high:.1f} at ε 1.3; no robust ε is published"
        ),
        (
            f"alleen als de vraag elastisch is (ε boven 1): tien keer zo efficiënt geeft {low:.2f} "
            f"keer de energie bij ε 0.5, 1 bij ε 1 en {high:.1f} bij ε 1.3; geen harde ε bekend"
        ),
    )


def _idle(_: Base, __: Chances) -> _Answer:
    rack = reference().rack
    costs = [sum(levelised_usd(replace(rack, idle_years=n)).values()) for n in (0, 1, 2)]
    rise = costs[1] / costs[0] - 1.0
    return (
        "found",
        (
            f"worked example: USD {costs[0]:.2f} per GPU-hour, {costs[1]:.2f} after a year idle "
            f"and {costs[2]:.2f} after two, {rise:.0%} for the first"
        ),
        (
            f"rekenvoorbeeld: {costs[0]:.2f} dollar per GPU-uur, {costs[1]:.2f} na een jaar "
            f"stilstand en {costs[2]:.2f} na twee, {rise:.0%} voor het eerste"
        ),
    )


def _lags(_: Base, __: Chances) -> _Answer:
    demand = load_demand()
    gaps = implied_gap(demand.history, demand)
    en = "; ".join(
        f"{day:%Y-%m}: {gap:.2f} ({'lagged' if gap > 1 else 'caught up'})" for day, gap in gaps
    )
    nl = "; ".join(
        f"{day:%Y-%m}: {gap:.2f} ({'bleef achter' if gap > 1 else 'liep in'})" for day, gap in gaps
    )
    rising = [gap > 1 for _, gap in gaps]
    verdict: Verdict = "found" if all(rising) else "not_found" if not any(rising) else "open"
    return (
        verdict,
        f"what demand did against supply since the price before, read from prices: {en}",
        f"wat de vraag deed tegenover het aanbod sinds de vorige prijs, uit prijzen: {nl}",
    )


_RULES: Final[Mapping[str, Callable[[Base, Chances], _Answer]]] = {
    "capex_tens_of_billions": _capex,
    "revenue_billions": _revenue,
    "opex_predictable": _opex,
    "worth_its_cost": _worth,
    "heat_covers_homes": _heat,
    "efficiency_conflict": _conflict,
    "needs_elastic_demand": _elastic,
    "idle_is_dear": _idle,
    "supply_lags": _lags,
}


def judge(base: Base, chances: Chances) -> list[Judged]:
    """Every bundled promise with its verdict.

    Raises:
        BadInput: the bundled file is damaged.
    """
    raw: Mapping[str, Any] = read_table(CLAIMS)
    found = []
    for name, row in raw.items():
        verdict, en, nl = _RULES[row["check"]](base, chances)
        source = need_source(CLAIMS, name, row["source"])
        why = {"en": in_language(en, "en"), "nl": in_language(nl, "nl")}
        found.append(Judged(name, row["claim"], verdict, why, source))
    return found


__all__ = ["PREDICTABLE_SHARE", "Deal", "Judged", "Verdict", "deals", "judge"]
