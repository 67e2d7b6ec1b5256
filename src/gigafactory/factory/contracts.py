"""What runs where and on which energy: accelerator pools, batteries, contracts, the market."""

from __future__ import annotations

from typing import Literal, get_args

from gigafactory.factory.blocks import Day, Flag, Name, SourcedBlock, setting
from gigafactory.factory.generators import OwnGenerator
from gigafactory.factory.quantities import (
    CostEURPerMWh,
    CostEURPerT,
    Count,
    PositiveCount,
    PositiveDurationS,
    PositiveEnergyMWh,
    PositivePowerMW,
    PositiveShare,
    PriceEURPerMWh,
    Share,
    WorkGPUh,
)
from gigafactory.factory.reserves import Reserves
from gigafactory.factory.response import SiteResponse


class Delivery(SourcedBlock):
    """A batch of accelerators that arrives on a date."""

    date: Day = setting("Local day from whose start they can work.")
    accelerators: PositiveCount = setting("How many arrive.")


class FailureRates(SourcedBlock):
    """How often the nodes of a pool fail, and for how long."""

    interval_gpu_h: WorkGPUh = setting(
        "Accelerator-hours from one failure to the next, over the whole pool.",
        50_700.0,
        source="Llama 3 405B pre-training, 419 unexpected interruptions of 16,384 H100 in 54 days, "
        "2024, published",
    )
    repair_s: PositiveDurationS = setting(
        "Half of the repairs take no longer.",
        14_400.0,
        key="repair",
        source="Our assumption, 2026, assumption: nobody published repair times of such a fleet",
    )
    burst_fraction: Share = setting(
        "Share of the failures that take several nodes of a rack at once.",
        0.03,
        key="burst",
        source="Meta RSC (Kokolis et al., HPCA 2025), 2025, published: 3 to 5 % of the failures "
        "co-occur with another, read second-hand",
    )
    gpu_fraction: Share = setting(
        "Share of the failures that are the accelerator's.",
        0.587,
        key="gpu",
        source="Llama 3 405B pre-training, 2024, published: 58.7 % in its text; the counts of its "
        "table give 64.0 %",
    )


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
    pod_accelerators: PositiveCount = setting(
        "Accelerators in one pod (the part of the network without a bottleneck), in whole racks.",
        1024,
        source="Our assumption, 2026, assumption: 128 nodes of eight below one tier of switches",
    )
    spare_nodes: Count = setting(
        "Nodes kept for when others fail; quotas count on the rest.",
        0,
        source="Our assumption, 2026, assumption: none",
    )
    isolation: Literal["shared", "classified"] = setting(
        "Who may use it: everybody, or classified work alone.", "shared"
    )
    failures: FailureRates | None = setting(
        "How often its nodes fail; empty for the bundled figures of its chip.", None
    )

    @property
    def pod_racks(self) -> int:
        """Racks in one pod, at least one."""
        return max(1, self.pod_accelerators // self.rack_accelerators)


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


class PpaParty(SourcedBlock):
    """Who finances, operates or profits from a contract."""

    name: Name = setting("Name of the party.")
    finance_share: Share = setting("Share of the cost it carries.", key="finance")
    benefit_share: Share = setting("Share of the benefit it gets.", key="benefit")
    operates: Flag = setting("It runs the plant, for the operating fee. One party does.", False)


class Ppa(SourcedBlock):
    """A power purchase agreement."""

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
        "Paid to the producer for each MWh the buyer asks not to be produced; with baseload "
        "nothing can be refused.",
        key="curtail",
    )
    form: Literal["pay_as_produced", "baseload"] = setting(
        "What the plant makes, or the contracted capacity in every hour: what the plant lacks is "
        "then the seller's to buy.",
        "pay_as_produced",
    )
    guarantees: Literal["kept", "sold"] = setting(
        "What becomes of guarantees of origin that come with the energy: kept and retired, so that "
        "they count for carbon, or sold on.",
        "kept",
    )
    guarantee_price_eur_per_mwh: CostEURPerMWh = setting(
        "Price of a guarantee of origin that is sold on, per MWh it stands for.",
        0.0,
        key="guarantee_price",
        source="Our assumption, 2026, assumption: nothing, as none is sold",
    )
    parties: tuple[PpaParty, ...] = setting(
        "Between whom cost and benefit are divided (finance and operate); empty for the factory "
        "alone. The factory's books show the whole, the division stands beside them.",
        (),
    )
    operating_fee_eur_per_mwh: CostEURPerMWh = setting(
        "What the operating party gets per MWh taken, from those who finance.",
        0.0,
        key="operating_fee",
        source="Our assumption, 2026, assumption: none",
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
    intraday_spread_eur_per_mwh: CostEURPerMWh = setting(
        "What trade after the day-ahead auction costs beyond its price, either way.",
        3.0,
        key="intraday_spread",
        source="Our assumption, 2026, assumption: no Dutch intraday price by the quarter was found",
    )
    imbalance_exposure: Share = setting(
        "Share of the imbalance price difference that falls on the site.",
        1.0,
        source="Our assumption, 2026, assumption: the site is its own balance responsible party",
    )
    co2_price_eur_per_t: CostEURPerT = setting(
        "Price of a tonne of CO2 from own stacks.",
        0.0,
        key="co2_price",
        source="Our assumption, 2026, assumption: none; say one where own plants pay it",
    )
    imbalance_pricing: Literal["single", "dual"] = setting(
        "One imbalance price for the short and the long, or two where both directions were "
        "activated in a period.",
        "single",
    )


class EnergyMix(SourcedBlock):
    """What the grid's electricity is made of; imports count as what made them."""

    wind: Share = setting("Share of wind.", 0.0, source="None, 2026, assumption")
    solar: Share = setting("Share of sun.", 0.0, source="None, 2026, assumption")
    gas: Share = setting("Share of gas.", 0.0, source="None, 2026, assumption")
    coal: Share = setting("Share of coal.", 0.0, source="None, 2026, assumption")
    oil: Share = setting("Share of oil.", 0.0, source="None, 2026, assumption")
    nuclear: Share = setting("Share of nuclear power.", 0.0, source="None, 2026, assumption")
    biomass: Share = setting("Share of biomass.", 0.0, source="None, 2026, assumption")
    waste: Share = setting("Share of waste.", 0.0, source="None, 2026, assumption")
    hydro: Share = setting("Share of water power.", 0.0, source="None, 2026, assumption")

    @property
    def shares(self) -> dict[str, float]:
        """Share of each source, by its name in the water factors."""
        names = ("wind", "solar", "gas", "coal", "oil", "nuclear", "biomass", "waste", "hydro")
        return {name: float(getattr(self, name)) for name in names}


Cadence = Literal["daily", "hourly", "15 min"]
#: How often an energy plan can be made.
CADENCES: tuple[str, ...] = get_args(Cadence)


class Energy(SourcedBlock):
    """Batteries, contracts and the market."""

    batteries: tuple[Battery, ...] = setting("Batteries behind the connections.", ())
    ppas: tuple[Ppa, ...] = setting("Power purchase agreements.", ())
    market: Market = setting("What stands on top of the market price.")
    mix: EnergyMix | None = setting(
        "What the grid's electricity is made of, for the water that making it takes; empty where "
        "it is not known.",
        None,
    )
    generators: tuple[OwnGenerator, ...] = setting("Own generators behind the connections.", ())
    outage_planned_s: PositiveDurationS = setting(
        "How long an outage of the grid is taken to last when nobody says: fuel is shared out over "
        "that time.",
        259_200.0,
        key="outage_planned",
        source="Our assumption, 2026, assumption: 72 hours, a common target",
    )
    reserves: tuple[Reserves, ...] = setting(
        "Balancing reserves sold, at most one entry per site; empty when none are.", ()
    )
    response: tuple[SiteResponse, ...] = setting(
        "What sites answer within seconds; read by the stress mode alone.", ()
    )
    cadence: Cadence = setting(
        "How often the energy plan is made: once a day with trade of what is off, or again within "
        "the day from what has become known. A stress run plans by day.",
        "daily",
        source="Our choice, 2026, assumption: a year is simulated in minutes so",
    )


__all__ = [
    "CADENCES",
    "Battery",
    "Delivery",
    "Energy",
    "EnergyMix",
    "FailureRates",
    "Market",
    "Pool",
    "Ppa",
    "PpaParty",
    "Reserves",
]
