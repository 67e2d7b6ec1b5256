"""The file `plan.yaml` of a dossier: what a factory's money looks like over its years.

Prices, lives, the cost of capital and upkeep stand in the factory file and are not repeated here:
the plan adds when they are paid, to whom and where, who lends on what terms, what the state takes
and gives, and what a year is taken to be while no run has counted one.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Final, Literal

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Country, Name, SourcedBlock, Text, Words, setting
from gigafactory.factory.blocks import Flag as Flag_
from gigafactory.factory.demand import LifeRange, MoneyRange, RateRange
from gigafactory.factory.dossier import Dossier
from gigafactory.factory.quantities import (
    AnyShare,
    CostEURPerMWh,
    CostEURPerYear,
    Figure,
    MoneyEUR,
    PositiveRatio,
    PositiveShare,
    Ratio,
    Share,
    SignedShare,
)

AssetLabel = Literal[
    "accelerators",
    "network",
    "storage",
    "shell",
    "power",
    "cooling",
    "battery",
    "connection",
    "land",
    "development",
]
#: Classes of asset whose cost stands in the factory file.
FROM_FACTORY: Final = ("accelerators", "network", "storage", "battery", "connection")
#: Classes that are parts of the factory file's infrastructure.
INFRASTRUCTURE: Final = ("shell", "power", "cooling")
#: Classes that only a plan knows.
OWN: Final = ("land", "development")

OpexLabel = Literal[
    "energy", "water", "grid_tariff", "staff", "maintenance", "insurance", "licences", "site"
]
#: Lines of opex that the ledger of a run counts, and those that are costs of the factory file.
COUNTED: Final = ("energy", "water", "grid_tariff")
FACTORY_LINES: Final = ("staff", "maintenance")

Year = Annotated[int, Figure(low=2000, high=2100, whole=True)]
BuildingYears = Annotated[int, Figure(low=1, high=10, whole=True, unit="years")]
OperatingYears = Annotated[int, Figure(low=1, high=60, whole=True, unit="years")]
TermYears = Annotated[int, Figure(low=1, high=60, whole=True, unit="years")]
GraceYears = Annotated[int, Figure(low=0, high=20, whole=True, unit="years")]
Days = Annotated[float, Figure(low=0, high=365, unit="days")]
Whole = Annotated[int, Figure(low=0, whole=True)]


class Places(Block):
    """Where money goes: shares by place; what is neither is elsewhere."""

    nl: Share = setting("Share that goes to parties in the Netherlands.", 0.0)
    eu: Share = setting("Share that goes to parties elsewhere in the European Union.", 0.0)


class Spread(Block):
    """How far a figure may lie below and above its base, as factors of it."""

    low: PositiveShare = setting("Low estimate over the base.")
    high: AnyShare = setting("High estimate over the base.")


class ChangeRange(SourcedBlock):
    """A low, a middle and a high estimate of a yearly change."""

    low: SignedShare = setting("Low estimate.")
    base: SignedShare = setting("Middle estimate.")
    high: SignedShare = setting("High estimate.")


class NumberRange(SourcedBlock):
    """A low, a middle and a high estimate of a plain number."""

    low: Ratio = setting("Low estimate.")
    base: Ratio = setting("Middle estimate.")
    high: Ratio = setting("High estimate.")


class AssetPlan(SourcedBlock):
    """One class of asset: what it costs beyond the factory file, when it is paid, and where."""

    cost_eur: MoneyRange | None = setting(
        "Cost of land and of development, which no factory file has.", None, key="cost"
    )
    part: Share = setting(
        "Share of the factory file's infrastructure (shell, power, cooling).", 0.0
    )
    spread: Spread | None = setting("Range, where the factory file has none.", None)
    life_years: LifeRange | None = setting(
        "Life of land and development; the factory file has the others.", None, key="life"
    )
    paid: tuple[Share, ...] = setting("Shares paid in each year of building.")
    refresh: AnyShare = setting("Price when bought again, as a share of the first price.", 1.0)
    residual: Share = setting("What its book value fetches at the end.", 0.0)
    payee: Name = setting("Who is paid.")
    places: Places = setting("Where the payee adds value.")
    ip_share: Share = setting("Share of the price that pays for design and licences.", 0.0)
    ip_places: Places = setting("Where these rights are owned.", Places())
    index: SignedShare = setting(
        "Yearly rise of its price until it is bought, from the first year on.", 0.0
    )


class OpexPlan(SourcedBlock):
    """One line of the yearly cost."""

    eur_per_year: CostEURPerYear | None = setting(
        "Cost in a full year, where neither a run nor the factory file has it.", None, key="yearly"
    )
    of_capex: Share | None = setting("The same as a share of all capex.", None)
    index: SignedShare = setting("Yearly rise of its price, from the first year on.", 0.0)
    spread: Spread | None = setting(
        "Range around it (energy, transport and water have theirs under `uncertain`).", None
    )
    payee: Name = setting("Who is paid.")
    places: Places = setting("Where the payee adds value.")
    fixed: Share = setting(
        "Share that is paid while nothing runs.",
        1.0,
        source="Our assumption, 2026, assumption: a bill that does not follow the load",
    )


class Tranche(SourcedBlock):
    """Borrowed money on one set of terms."""

    name: Name = setting("Its name.")
    kind: Literal["senior", "junior", "shell_notes", "refresh"] = setting(
        "Rank: senior and refresh loans are served first, then shell notes, then junior debt. A "
        "refresh loan is drawn whenever accelerators, network and storage are bought again."
    )
    part: Share = setting("Share of what is to be financed while building (refresh: of each).")
    rate: Share = setting("Interest a year.")
    term_years: TermYears = setting("Years from the first year of operation.", key="term")
    grace_years: GraceYears = setting("Of these, years of interest alone.", 0, key="grace")
    fee: Share = setting("Paid once on what is drawn.", 0.0)
    dscr_min: Ratio = setting("Covenant: dividends stop below this cover.", 0.0, key="covenant")
    currency: Literal["EUR", "USD"] = setting("Currency of the loan.", "EUR")
    lender: Name = setting("Who lends.")
    places: Places = setting("Where the interest goes.")


class Owner(SourcedBlock):
    """Who puts in equity and takes the profit."""

    name: Name = setting("Who.")
    part: Share = setting("Share of the equity.")
    places: Places = setting("Where the profit ends.")


class Approval(SourcedBlock):
    """A decision of an authority that money waits for."""

    name: Name = setting("Its name.")
    title: Words = setting("What is decided, and by whom.")
    kind: Literal["permit", "grid_contract", "change_of_control", "state_aid"] = setting(
        "What is approved; a change of control asks again whenever owners change."
    )
    granted: Flag_ = setting("Whether it has been given.", False)
    late_years: Whole = setting(
        "Whole years beyond the first year of the plan until it is expected; everything but "
        "development waits for it.",
        0,
        key="late",
    )


class Grant(SourcedBlock):
    """Public money."""

    name: Name = setting("Its name.")
    giver: Name = setting("Who gives it.")
    title: Words = setting("What it is.")
    granted: Flag_ = setting("Whether it counts: false shows it as a scenario only.", False)
    of_capex: Share = setting("Share of the first capex.", 0.0)
    amount_eur: MoneyEUR = setting(
        "A fixed amount, paid in step with the capex.", 0.0, key="amount"
    )
    buys_access: Share = setting(
        "Share of the accelerator-hours it buys for others than paying customers, without price.",
        0.0,
    )
    access_years: OperatingYears = setting("Years of operation in which it buys them.", 5)
    groups: tuple[Name, ...] = setting(
        "Tenant groups whose use counts as its spillover.",
        ("knowledge_institute", "start_up", "sme", "public"),
    )


class Segment(SourcedBlock):
    """Customers of one kind."""

    name: Name = setting("Its name.")
    title: Words = setting("Its title.")
    sectors: tuple[Text, ...] = setting("Sectors of tenants that belong to it.", ())
    groups: tuple[Name, ...] = setting("Tenant groups that belong to it, unless a sector does.", ())
    places: Places = setting("Where these customers are.")


class Estimate(SourcedBlock):
    """A full year before any run has counted one."""

    utilisation: Share = setting("Sold hours over installed hours.")
    load_share: Share = setting("Mean IT power over design IT power.")
    pue: PositiveRatio = setting("Energy of the site over that of IT.")
    energy_eur_per_mwh: CostEURPerMWh = setting("All-in, without transport.", key="energy")
    grid_tariff_eur: CostEURPerYear = setting("Transport.", key="grid_tariff")
    water_eur: CostEURPerYear = setting("Water.", key="water")
    heat_eur: CostEURPerYear = setting("Earned by heat.", 0.0, key="heat")
    reserves_eur: CostEURPerYear = setting("Earned by balancing reserves.", 0.0, key="reserves")
    congestion_eur: CostEURPerYear = setting(
        "Earned by congestion services.", 0.0, key="congestion"
    )
    guarantees_eur: CostEURPerYear = setting(
        "Earned by guarantees of origin sold.", 0.0, key="guarantees"
    )


class Uncertain(SourcedBlock):
    """Ranges of what nobody knows; a draw takes a triangle over each."""

    price: Spread = setting("Prices of all classes of work, as factors.")
    utilisation: Spread = setting("Sold hours, as factors; never beyond what is installed.")
    energy_price: Spread = setting("Price of energy, as factors.")
    power_delay_chance: Share = setting(
        "Chance that power comes late.",
        0.0,
        source="Our assumption, 2026, assumption: on time unless the plan says otherwise",
    )
    power_delay: NumberRange = setting("Years that it then comes late.")
    price_change: ChangeRange = setting(
        "Yearly change of the price of an accelerator-hour while a generation grows old."
    )


class Tax(SourcedBlock):
    """What the state takes of the profit."""

    rate: Share = setting("Rate of corporate income tax.")
    loss_free_eur: MoneyEUR = setting(
        "Losses of earlier years that count in full against a year's profit.", 0.0, key="loss_free"
    )
    loss_share: Share = setting("Share of the profit beyond it that losses may cover.", 1.0)
    interest_share: Share = setting(
        "Share of the result before interest, tax and depreciation up to which interest counts.",
        1.0,
    )


class Abroad(SourcedBlock):
    """What the same factory would meet in another country, where a figure is known."""

    energy_eur_per_mwh: CostEURPerMWh | None = setting(
        "All-in price of energy there; empty: input required.", None, key="energy"
    )
    building: PositiveShare | None = setting(
        "Price of shell, power and cooling over the plan's; empty: input required.", None
    )


class Valuation(SourcedBlock):
    """What a buyer might pay, as a multiple of a year's result."""

    multiple: NumberRange = setting("Enterprise value over EBITDA.")
    exit_year: OperatingYears = setting("Year of operation at whose end it is sold.")


class Plan(SourcedBlock):
    """The plan of the money of a factory."""

    first_year: Year = setting("First year in which money is spent.")
    building_years: BuildingYears = setting("Years of building.", key="building")
    operating_years: OperatingYears = setting("Years of operation.", key="operating")
    ramp: tuple[Share, ...] = setting("Occupancy by year of operation; the last one stays.")
    price_returns: Flag_ = setting(
        "Whether the price is back at its start when accelerators are bought again.", True
    )
    price_index: SignedShare = setting("Yearly rise of prices of other income.", 0.0)
    usd_change: SignedShare = setting(
        "Yearly change of what a dollar costs in euros, for loans in dollars.", 0.0
    )
    connection_fields: Whole = setting("Connection fields at the grid operator's station.", 0)
    field_eur: MoneyRange | None = setting(
        "Price of one field; part of the factory file's connection.", None, key="field"
    )
    assets: dict[AssetLabel, AssetPlan] = setting("Every class of asset.")
    opex: dict[OpexLabel, OpexPlan] = setting("Every line of yearly cost.")
    estimate: Estimate = setting("A full year before a run has counted one.")
    uncertain: Uncertain = setting("Ranges of what nobody knows.")
    segments: tuple[Segment, ...] = setting("Customers by kind; the last takes the rest.")
    owners: tuple[Owner, ...] = setting("Who puts in equity.")
    tranches: tuple[Tranche, ...] = setting("Who lends, in any order.", ())
    grants: tuple[Grant, ...] = setting("Public money.", ())
    approvals: tuple[Approval, ...] = setting("Decisions that money waits for.", ())
    tax: Tax = setting("What the state takes of the profit.")
    receivable_days: Days = setting("Days until customers pay.", 0.0)
    payable_days: Days = setting("Days until bills are paid.", 0.0)
    cash_min_eur: MoneyEUR = setting("Cash that is always kept.", 0.0, key="cash_min")
    valuation: Valuation = setting("What a buyer might pay.")
    abroad: dict[Country, Abroad] = setting("The same factory in other countries.", {})
    discount: RateRange | None = setting(
        "Yearly discount rate; the factory file's cost of capital without one.", None
    )


#: Name of the file within a dossier.
FILE: Final = "plan.yaml"
_WHOLE = 1e-9


def load_plan(dossier: Dossier) -> Plan | None:
    """The plan of a dossier; None where it has none.

    Raises:
        BadInput: with every problem found in it.
    """
    plan = dossier.load(FILE, Plan)
    if plan is not None and (problems := check_plan(plan, f"{dossier.name}/{FILE}")):
        raise BadInput(problems)
    return plan


def check_plan(plan: Plan, where: str) -> list[Problem]:
    """What a plan says that cannot be, beyond the range of each figure."""
    return [*_shares(plan, where), *_assets(plan, where), *_lines(plan, where)]


def _shares(plan: Plan, where: str) -> list[Problem]:
    found = [
        Problem(where, field, f"{total * 100:g} %", "shares must come to 100 % together")
        for field, total in (
            ("owners", sum(owner.part for owner in plan.owners)),
            ("assets: part", sum(a.part for a in plan.assets.values())),
            *((f"assets.{n}.paid", sum(a.paid)) for n, a in plan.assets.items()),
        )
        if abs(total - 1.0) > _WHOLE
    ]
    borrowed = sum(t.part for t in plan.tranches if t.kind != "refresh")
    again = sum(t.part for t in plan.tranches if t.kind == "refresh")
    for field, total in (("tranches", borrowed), ("tranches: refresh", again)):
        if total > 1.0 + _WHOLE:
            why = "more is borrowed than there is to finance"
            found.append(Problem(where, field, f"{total * 100:g} %", why))
    parties: list[tuple[str, Places]] = [
        *((f"assets.{n}.places", a.places) for n, a in plan.assets.items()),
        *((f"assets.{n}.ip_places", a.ip_places) for n, a in plan.assets.items()),
        *((f"opex.{n}.places", line.places) for n, line in plan.opex.items()),
        *((f"tranches.{t.name}.places", t.places) for t in plan.tranches),
        *((f"owners.{o.name}.places", o.places) for o in plan.owners),
        *((f"segments.{s.name}.places", s.places) for s in plan.segments),
    ]
    return found + [
        Problem(where, field, f"{(p.nl + p.eu) * 100:g} %", "nl and eu are at most 100 % together")
        for field, p in parties
        if p.nl + p.eu > 1.0 + _WHOLE
    ]


def _assets(plan: Plan, where: str) -> list[Problem]:
    found = []
    needed = (*FROM_FACTORY, *INFRASTRUCTURE)
    found += [
        Problem(where, f"assets.{n}", "", "is missing") for n in needed if n not in plan.assets
    ]
    for name, asset in plan.assets.items():
        at = f"assets.{name}"
        if len(asset.paid) != plan.building_years:
            why = f"needs one share for each of the {plan.building_years} years of building"
            found.append(Problem(where, f"{at}.paid", str(len(asset.paid)), why))
        own = name in OWN
        if own != (asset.cost_eur is not None) or own != (asset.life_years is not None):
            why = "land and development need a cost and a life; the factory file has the others"
            found.append(Problem(where, at, "", why))
        if asset.part and name not in INFRASTRUCTURE:
            why = "only shell, power and cooling are parts of the infrastructure"
            found.append(Problem(where, f"{at}.part", f"{asset.part * 100:g} %", why))
        if asset.spread is not None and not asset.spread.low <= 1.0 <= asset.spread.high:
            found.append(Problem(where, f"{at}.spread", "", "must lie around 100 %"))
    return found


def _lines(plan: Plan, where: str) -> list[Problem]:
    found = []
    needed = (*COUNTED, *FACTORY_LINES)
    found += [Problem(where, f"opex.{n}", "", "is missing") for n in needed if n not in plan.opex]
    for name, line in plan.opex.items():
        given = (line.eur_per_year is not None) + (line.of_capex is not None)
        known = name in COUNTED or name in FACTORY_LINES
        if given != (0 if known else 1):
            why = (
                "is counted by a run or stands in the factory file: give no amount"
                if known
                else "needs either yearly or of_capex"
            )
            found.append(Problem(where, f"opex.{name}", "", why))
    if not plan.ramp:
        found.append(Problem(where, "ramp", "", "needs at least one year"))
    for field, empty in (("segments", not plan.segments), ("owners", not plan.owners)):
        if empty:
            found.append(Problem(where, field, "", "needs at least one"))
    for kind, group in (
        ("tranches", [t.name for t in plan.tranches]),
        ("grants", [g.name for g in plan.grants]),
        ("segments", [s.name for s in plan.segments]),
    ):
        twice = {a for a, b in itertools.combinations(group, 2) if a == b}
        found += [Problem(where, kind, n, "has this name twice") for n in sorted(twice)]
    for loan in plan.tranches:
        if loan.grace_years >= loan.term_years:
            why = "must be shorter than the term"
            found.append(Problem(where, f"tranches.{loan.name}.grace", str(loan.grace_years), why))
        if loan.kind != "refresh" and loan.term_years > plan.operating_years:
            why = "must end within the years of operation"
            found.append(Problem(where, f"tranches.{loan.name}.term", str(loan.term_years), why))
    if not 1 <= plan.valuation.exit_year <= plan.operating_years:
        why = "must lie within the years of operation"
        found.append(Problem(where, "valuation.exit_year", str(plan.valuation.exit_year), why))
    return found


__all__ = ["FILE", "Plan", "check_plan", "load_plan"]
