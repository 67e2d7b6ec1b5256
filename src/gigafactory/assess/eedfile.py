"""What only the operator of a data centre can say for its yearly report: `eed.yaml`."""

from __future__ import annotations

from typing import Literal

from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Day, Flag, Name, SourcedBlock, Text, setting
from gigafactory.factory.quantities import (
    AreaM2,
    EnergyMWh,
    PowerMW,
    Ratio,
    Share,
    TemperatureC,
    VolumeM3,
)

FILE = "eed.yaml"


class Contact(Block):
    """Somebody to write to."""

    name: Text = setting("Name.")
    contact: Text = setting("Address at which it can be reached.")


class EedSite(SourcedBlock):
    """One data centre. What is left out is reported as not known."""

    title: Text | None = setting("Name as reported; empty for the name of the site.", None)
    owner: Contact | None = setting("Owner.", None)
    operator: Contact | None = setting("Operator.", None)
    kind: Literal["enterprise", "colocation", "co_hosting"] | None = setting("Type.", None)
    structure: Literal["structure", "group"] = setting("One structure or a group.", "structure")
    mixed: Flag = setting("Offers several types of service.", False)
    defence_only: Flag = setting("Used only for defence or civil protection.", False)
    entered_operation: Day | None = setting("Day of entry into operation; month counts.", None)
    redundancy_hv: Text | None = setting("Redundancy at high or medium voltage, as N+1.", None)
    redundancy_lv: Text | None = setting("Redundancy at low voltage (line-up).", None)
    redundancy_rack: Text | None = setting("Redundancy at the rack.", None)
    cooling_room: Text | None = setting("Redundancy of the room's cooling.", None)
    cooling_rack: Text | None = setting("Redundancy of cooling at the rack.", None)
    total_area_m2: AreaM2 | None = setting(
        "Total floor area, pro rata in a building of other use; empty for the built area.",
        None,
        key="total_area",
    )
    computer_room_area_m2: AreaM2 | None = setting(
        "Floor area of computer rooms; empty for the halls.", None, key="computer_room_area"
    )
    storage_power_mw: PowerMW | None = setting(
        "Rated power of storage in the computer rooms.", None, key="storage_power"
    )
    supporting_power_mw: PowerMW | None = setting(
        "Rated power of supporting equipment, for the Dutch definition.",
        None,
        key="supporting_power",
    )
    it_measured_at: Literal["ups_output", "it_input"] = setting(
        "Where the energy of IT is measured: PUE category 1 or 3.", "ups_output"
    )
    battery_within: Flag = setting("The battery lies within the boundary of E_DC.", True)
    potable_water_m3: VolumeM3 | None = setting(
        "Potable water drawn in the period.", None, key="potable_water"
    )
    intake_air_c: TemperatureC | None = setting(
        "Set-point of IT intake air, mean.", None, key="intake_air"
    )
    coolant_c: TemperatureC | None = setting(
        "Measured mean of the IT cooling fluid at the heat exchanger; empty for the design's.",
        None,
        key="coolant",
    )
    refrigerants: tuple[Text, ...] | None = setting(
        "Refrigerants in use; an empty list for none.", None
    )
    guarantees_bought_mwh: EnergyMWh | None = setting(
        "Energy of guarantees of origin bought apart from contracts, and retired.",
        None,
        key="guarantees_bought",
    )
    on_site_retired: Flag = setting("Guarantees of on-site energy are retired.", True)
    server_rating: Ratio | None = setting(
        "Sum of SERT active-state performance of the servers on 31 December.", None
    )
    server_covered: Share | None = setting("Share of room area the rating covers.", None)
    storage_covered: Share | None = setting("Share of room area the storage covers.", None)
    bandwidth_in_gb_per_s: Ratio | None = setting("Provisioned bandwidth in, yearly mean.", None)
    bandwidth_out_gb_per_s: Ratio | None = setting("The same out.", None)
    traffic_in_eb: Ratio | None = setting("Data traffic in, EB over the period.", None)
    traffic_out_eb: Ratio | None = setting("The same out.", None)


class EedFile(Block):
    """The data centres of a factory."""

    sites: dict[Name, EedSite] = setting("Data centres by the name of their site.", {})


def read_eed(subject: Subject) -> dict[str, EedSite]:
    """What a dossier says, by site; a site it leaves out says nothing.

    Raises:
        BadInput: with every problem of the file, sites the factory does not have among them.
    """
    found = subject.dossier.load(FILE, EedFile) or EedFile()
    where = f"{subject.dossier.name}/{FILE}"
    known = ", ".join(subject.factory.sites)
    wrong = [
        Problem(where, f"sites.{name}", name, f"the factory has no such site; it has {known}")
        for name in found.sites
        if name not in subject.factory.sites
    ]
    if wrong:
        raise BadInput(wrong)
    return {name: found.sites.get(name, EedSite()) for name in subject.factory.sites}


__all__ = ["FILE", "Contact", "EedFile", "EedSite", "read_eed"]
