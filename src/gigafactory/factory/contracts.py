"""What runs where and on which energy: accelerator pools, batteries, contracts, the market."""

from __future__ import annotations

from typing import Literal

from gigafactory.factory.blocks import Day, Flag, Name, SourcedBlock, setting
from gigafactory.factory.quantities import (
    CostEURPerMWh,
    PositiveCount,
    PositiveEnergyMWh,
    PositivePowerMW,
    PositiveShare,
    PriceEURPerMWh,
    Share,
)


class Delivery(SourcedBlock):
    """A batch of accelerators that arrives on a date."""

    date: Day = setting("Local day from whose start they can work.")
    accelerators: PositiveCount = setting("How many arrive.")


class Pool(SourcedBlock):
    """Accelerators of one kind in one hall."""

    name: Name = setting("Name of the pool.")
    site: Name = setting("Site it stands on.")
    hall: Name = setting("Hall it stands in.")
    chip: Name = setting("Accelerator, a name in the catalogue.")
    accelerators: PositiveCount = setting("Physical accelerators when complete.")
    rack_accelerators: PositiveCount = setting("Accelerators in one rack.")
    deliveries: tuple[Delivery, ...] = setting(
        "Dated deliveries; empty when all stand there from the start.", ()
    )


class Battery(SourcedBlock):
    """A battery behind the connection."""

    name: Name = setting("Name of the battery.")
    site: Name = setting("Site it stands on.")
    power_mw: PositivePowerMW = setting("Largest charge and discharge power.", key="power")
    energy_mwh: PositiveEnergyMWh = setting("Energy between empty and full.", key="energy")
    efficiency_charge: PositiveShare = setting("Share of the power taken that is stored.")
    efficiency_discharge: PositiveShare = setting("Share of what leaves storage that is given.")
    soc_min: Share = setting("Lowest state of charge in use.")
    soc_max: PositiveShare = setting("Highest state of charge in use.")
    wear_eur_per_mwh: CostEURPerMWh = setting("Wear cost per MWh discharged.", key="wear")


class Ppa(SourcedBlock):
    """A power purchase agreement, pay-as-produced."""

    name: Name = setting("Name of the contract.")
    site: Name = setting("Site whose use it covers.")
    technology: Literal["offshore_wind", "onshore_wind", "solar"] = setting("What produces it.")
    capacity_mw: PositivePowerMW = setting("Contracted capacity.", key="capacity")
    price_eur_per_mwh: PriceEURPerMWh = setting("Contract price per MWh produced.", key="price")
    from_: Day = setting("First local day of the contract.", key="from")
    until: Day = setting("First local day after the contract.")
    guarantees_of_origin: Flag = setting("The guarantees of origin come with the energy.", True)
    commissioned: Day = setting(
        "Day the plant goes into operation; nothing is delivered before it."
    )
    curtail_eur_per_mwh: CostEURPerMWh = setting(
        "Paid to the producer for each MWh the buyer asks not to be produced.", key="curtail"
    )


class Market(SourcedBlock):
    """What stands on top of the market price."""

    supply_margin_eur_per_mwh: CostEURPerMWh = setting(
        "Margin of the supplier.", key="supply_margin"
    )
    energy_tax_eur_per_mwh: CostEURPerMWh = setting("Energy tax on what is used.", key="energy_tax")
    export_margin_eur_per_mwh: CostEURPerMWh = setting(
        "Taken off the market price for what is exported.", key="export_margin"
    )
    imbalance_exposure: Share = setting(
        "Share of the imbalance price difference that falls on the site.",
        1.0,
        source="Our assumption, 2026, assumption: the site is its own balance responsible party",
    )


class Energy(SourcedBlock):
    """Batteries, contracts and the market."""

    batteries: tuple[Battery, ...] = setting("Batteries behind the connections.", ())
    ppas: tuple[Ppa, ...] = setting("Power purchase agreements.", ())
    market: Market = setting("What stands on top of the market price.")


__all__ = ["Battery", "Delivery", "Energy", "Market", "Pool", "Ppa"]
