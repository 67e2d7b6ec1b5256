"""The factory file as frozen models: one root, `Factory`, and the blocks it is made of."""

from __future__ import annotations

from gigafactory.factory.access import (
    Dataset,
    Evidence,
    Owner,
    Programme,
    QuotaGroup,
    Review,
    TenantQuota,
)
from gigafactory.factory.blocks import (
    Block,
    JobClassLabel,
    MissionLabel,
    Name,
    SourcedBlock,
    Words,
    setting,
)
from gigafactory.factory.contracts import (
    CADENCES,
    Battery,
    Delivery,
    Energy,
    EnergyMix,
    FailureRates,
    Market,
    Pool,
    Ppa,
    PpaParty,
    Reserves,
)
from gigafactory.factory.demand import (
    Capex,
    Checkpoint,
    Finance,
    Governance,
    LifeRange,
    Lives,
    MoneyRange,
    Policy,
    PowerCostRange,
    Range,
    RateRange,
    Service,
    Tenant,
    Work,
)
from gigafactory.factory.response import FlexContract, SiteResponse
from gigafactory.factory.sites import (
    Asset,
    ConnectionPhase,
    Cooling,
    Fabric,
    GridConnection,
    Hall,
    Heat,
    HeatPump,
    Monitoring,
    Outside,
    Place,
    Sensor,
    Site,
    SurfaceWater,
    Transfer,
    Water,
)


class Factory(Block):
    """An AI factory: at most eight keys, each a block of its own."""

    name: Name = setting("Short name of the factory; runs are named after it.")
    sites: dict[Name, Site] = setting("Sites by name.")
    fleet: tuple[Pool, ...] = setting("Pools of accelerators.")
    energy: Energy = setting("Batteries, power contracts and the market.")
    tenants: tuple[Tenant, ...] = setting("Who uses it.")
    policy: Policy = setting("Rules of the scheduler and of a shortage.")
    governance: Governance = setting("Who owns and runs it.")
    finance: Finance = setting("Prices, lives and rates.")

    @property
    def title(self) -> Words:
        """The name as shown, in English and Dutch (it stands under `governance`)."""
        return self.governance.title

    def with_cadence(self, cadence: str) -> Factory:
        """The same factory, whose energy plan is made at another cadence.

        Args:
            cadence: one of `contracts.CADENCES`.
        """
        assert cadence in CADENCES, f"{cadence!r} is no cadence"
        return self.model_copy(
            update={"energy": self.energy.model_copy(update={"cadence": cadence})}
        )


__all__ = [
    "Asset",
    "Battery",
    "Block",
    "Capex",
    "Checkpoint",
    "ConnectionPhase",
    "Cooling",
    "Dataset",
    "Delivery",
    "Energy",
    "EnergyMix",
    "Evidence",
    "Fabric",
    "Factory",
    "FailureRates",
    "Finance",
    "FlexContract",
    "Governance",
    "GridConnection",
    "Hall",
    "Heat",
    "HeatPump",
    "JobClassLabel",
    "LifeRange",
    "Lives",
    "Market",
    "MissionLabel",
    "MoneyRange",
    "Monitoring",
    "Outside",
    "Owner",
    "Place",
    "Policy",
    "Pool",
    "PowerCostRange",
    "Ppa",
    "PpaParty",
    "Programme",
    "QuotaGroup",
    "Range",
    "RateRange",
    "Reserves",
    "Review",
    "Sensor",
    "Service",
    "Site",
    "SiteResponse",
    "SourcedBlock",
    "SurfaceWater",
    "Tenant",
    "TenantQuota",
    "Transfer",
    "Water",
    "Words",
    "Work",
]
