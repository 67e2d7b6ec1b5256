"""Balancing reserves a site sells: what was prequalified, what stands behind it, what it asks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Final

from gigafactory.factory.blocks import Flag, JobClassLabel, Name, SourcedBlock, setting
from gigafactory.factory.quantities import (
    CostEURPerMW,
    CostEURPerMWh,
    PositiveDurationS,
    PositiveShare,
    PowerMW,
    PriceEURPerMWh,
    Ratio,
    Share,
    SmallShare,
)
from gigafactory.grid.products import product_on

#: Day whose product rules a factory file is checked by; a run takes those of its own days.
RULES_ON: Final = dt.date(2026, 1, 1)
_S_PER_H: Final = 3600.0


class Reserves(SourcedBlock):
    """Balancing reserves sold from one site: FCR, and aFRR up (less import) and down (more)."""

    site: Name = setting("Site that sells them.")
    fcr_mw: PowerMW = setting(
        "Prequalified FCR, each way; the battery carries it.",
        0.0,
        key="fcr",
        source="Not sold, 2026, assumption: none",
    )
    afrr_up_mw: PowerMW = setting(
        "Prequalified aFRR up.",
        0.0,
        key="afrr_up",
        source="Not sold, 2026, assumption: none",
    )
    afrr_down_mw: PowerMW = setting(
        "Prequalified aFRR down; the battery carries it.",
        0.0,
        key="afrr_down",
        source="Not sold, 2026, assumption: none",
    )
    battery_afrr: Flag = setting("The battery carries aFRR.", True)
    sheds: dict[JobClassLabel, Share] = setting(
        "Share of a class's power at work that may be shed for aFRR up, by slowing the class down "
        "to no less than its lowest speed; empty for none.",
        {},
    )
    tenants_agree: tuple[Name, ...] = setting(
        "Tenants who agreed that their work is slowed for aFRR. A class is slowed as a whole, so "
        "every tenant with work of it must be among them.",
        (),
    )
    fcr_reservoir_s: PositiveDurationS = setting(
        "Time at full FCR, each way, that is planned to be in the battery.",
        2700.0,
        key="fcr_reservoir",
        source="SO GL article 156(11), at most 30 min, 2017, assumption: half as much again, for "
        "what activation takes until it is traded back",
    )
    afrr_reservoir_s: PositiveDurationS = setting(
        "Time at full aFRR that is planned to be in the battery for its part of it.",
        3600.0,
        key="afrr_reservoir",
        source="Our assumption, 2026, assumption: four market periods, for what activation takes "
        "until it is traded back",
    )
    up_markup_eur_per_mwh: CostEURPerMWh = setting(
        "Energy bid up: what the battery asks above the day-ahead price.",
        40.0,
        key="up_markup",
        source="Our assumption, 2026, assumption: wear, losses and trading the energy back",
    )
    down_markdown_eur_per_mwh: CostEURPerMWh = setting(
        "Energy bid down: how far below the day-ahead price the battery buys.",
        40.0,
        key="down_markdown",
        source="Our assumption, 2026, assumption: wear, losses and trading the energy back",
    )
    shed_bid_eur_per_mwh: PriceEURPerMWh = setting(
        "Energy bid up of work that is slowed down.",
        500.0,
        key="shed_bid",
        source="Our assumption, 2026, assumption: delay of research at EUR 0.15 per accelerator-"
        "hour comes to EUR 200 to 400 per MWh saved",
    )
    called_share: PositiveShare = setting(
        "Share of a market period in which a bid within the merit order is called.",
        0.5,
        key="called",
        source="Our assumption, 2026, assumption: the price of a period is that of its last bid, "
        "which is reached only at times",
    )
    load_margin: SmallShare = setting(
        "Share of the expected load kept free below the connection's limit when reserves are sold.",
        0.03,
        source="Our assumption, 2026, assumption: error of the load forecast",
    )
    penalty_factor: Ratio = setting(
        "Capacity pay taken off, as a multiple of that of what was not there or not delivered.",
        1.0,
        source="The Dutch rule was not found, 2026, assumption: the pay is withheld",
    )
    fcr_price_eur_per_mw: CostEURPerMW = setting(
        "Mean price of FCR per MW and block of four hours, for synthetic prices.",
        40.8,
        key="fcr_price",
        source="Regelleistung.net, Dutch price of the 18 blocks of 24 October 2023 and 6 and 14 "
        "February 2024, 2024, measured: a sample of three days",
    )
    afrr_up_price_eur_per_mwh: CostEURPerMWh = setting(
        "Mean price of aFRR up per MW and hour, for synthetic prices.",
        12.0,
        key="afrr_up_price",
        source="No Dutch price was found, 2026, assumption: below a quarter of the 53 of a Danish "
        "series of 2024/25",
    )
    afrr_down_price_eur_per_mwh: CostEURPerMWh = setting(
        "Mean price of aFRR down per MW and hour, for synthetic prices.",
        5.0,
        key="afrr_down_price",
        source="No Dutch price was found, 2026, assumption: below the 6.3 of a Danish series of "
        "2024/25",
    )

    @property
    def products_mw(self) -> dict[str, float]:
        """Prequalified power by product, under the planner's names."""
        return {"fcr": self.fcr_mw, "up": self.afrr_up_mw, "down": self.afrr_down_mw}

    @property
    def sells(self) -> bool:
        """Whether anything is sold at all."""
        return any(power > 0 for power in self.products_mw.values())


def wrong_with(
    sold: Reserves, power_mw: float, usable_mwh: float, efficiency: tuple[float, float]
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with reserves beside the battery of their site: key, value, why.

    Args:
        sold: the block.
        power_mw: power of the site's batteries, 0 for none.
        usable_mwh: energy between their bounds.
        efficiency: share stored of what is taken, and given of what leaves.
    """
    keys = {"fcr": "fcr", "up": "afrr_up", "down": "afrr_down"}
    fcr, afrr = product_on("fcr", RULES_ON), product_on("afrr", RULES_ON)
    for name, mw in sold.products_mw.items():
        least = (fcr if name == "fcr" else afrr).bid_min_mw
        if 0 < mw < least:
            why = f"the smallest bid is {least:g} MW; prequalify at least that, or 0 MW"
            yield keys[name], f"{mw:g} MW", why
    backed = sold.afrr_up_mw if sold.battery_afrr and not sold.sheds else 0.0
    below = sold.afrr_down_mw if sold.battery_afrr else 0.0
    for keyed, mw in (("afrr_up", sold.fcr_mw + backed), ("afrr_down", sold.fcr_mw + below)):
        if mw > power_mw * (1 + 1e-9):
            why = (
                f"with FCR it comes to {mw:g} MW, and the batteries of {sold.site} give "
                f"{power_mw:g} MW; sell less or say that the battery does not carry aFRR"
            )
            key = keyed if mw > sold.fcr_mw else "fcr"
            yield key, f"{sold.products_mw['fcr' if key == 'fcr' else keyed[5:]]:g} MW", why
    charge, discharge = efficiency
    fcr_h, afrr_h = sold.fcr_reservoir_s / _S_PER_H, sold.afrr_reservoir_s / _S_PER_H
    needed = (sold.fcr_mw * fcr_h + backed * afrr_h) / discharge
    needed += (sold.fcr_mw * fcr_h + below * afrr_h) * charge
    if power_mw > 0 and needed > usable_mwh * (1 + 1e-9):
        why = (
            f"full reservoirs both ways take {needed:.1f} MWh, and the batteries of {sold.site} "
            f"hold {usable_mwh:.1f} MWh between their bounds; sell less or shorten a reservoir"
        )
        yield "fcr_reservoir", f"{sold.fcr_reservoir_s / 60:g} min", why
    for key, given_s, rules, mw in (
        ("fcr_reservoir", sold.fcr_reservoir_s, fcr, sold.fcr_mw),
        ("afrr_reservoir", sold.afrr_reservoir_s, afrr, backed + below),
    ):
        if mw > 0 and given_s < rules.reservoir_min * 60:
            why = f"the rules ask for {rules.reservoir_min:g} min; plan with that or more"
            yield key, f"{given_s / 60:g} min", why
    if sold.afrr_down_mw > 0 and not sold.battery_afrr:
        why = "only a battery can carry it here; say battery_afrr: true or sell none"
        yield "afrr_down", f"{sold.afrr_down_mw:g} MW", why
    if sold.afrr_up_mw > 0 and not sold.battery_afrr and not sold.sheds:
        why = "neither the battery nor work carries it; say battery_afrr: true or give sheds"
        yield "afrr_up", f"{sold.afrr_up_mw:g} MW", why


__all__ = ["RULES_ON", "Reserves", "wrong_with"]
