"""Where the factory stands: place, connection, halls, cooling, heat, water, assets."""

from __future__ import annotations

from typing import Literal

from gigafactory.factory.blocks import (
    Country,
    CountryOrUnknown,
    Day,
    Flag,
    Name,
    SourcedBlock,
    Text,
    setting,
)
from gigafactory.factory.quantities import (
    ApparentMVA,
    ApproachK,
    AreaM2,
    ChillerCop,
    CopQuality,
    CostEURPerM3,
    CostEURPerMWh,
    CostEURPerTB,
    Count,
    Cycles,
    DataPB,
    DriftShare,
    EnergyMWh,
    FlowM3PerS,
    Latitude,
    Longitude,
    LossShare,
    NetworkC,
    PinchK,
    PositiveCount,
    PositivePowerMW,
    PositiveRatio,
    PositiveShare,
    PowerFactor,
    PowerKW,
    PowerMW,
    PowerW,
    PriceEURPerMWh,
    RateGbitPerS,
    Ratio,
    SmallShare,
    SupplyC,
    SurfaceC,
    TemperatureC,
    TemperatureChangeK,
    TemperatureK,
    UpsEfficiency,
    VoltageKV,
    VolumeM3,
    WaterRangeK,
    YearDay,
)
from gigafactory.factory.transport import Congestion, HeldRight, TariffTerms

HallCooling = Literal["air", "liquid", "immersion"]
CoolingTechnology = Literal["dry", "adiabatic", "evaporative", "seawater"]
AssetLayer = Literal[
    "compute", "memory_and_storage", "network", "cloud_service", "building", "energy"
]


class Place(SourcedBlock):
    """Where the site lies, and what the Dutch hyperscale rule needs to know of it."""

    municipality: Text = setting("Municipality.")
    country: Country = setting("Country, ISO 3166 two-letter code.")
    lau: str | None = setting("LAU code of the municipality (Eurostat), for EU reporting.", None)
    latitude: Latitude = setting("Latitude, for sun and weather.")
    longitude: Longitude = setting("Longitude, for sun and weather.")
    built_area_m2: AreaM2 = setting(
        "Built floor area; above 10 ha with a connection of 70 MW or more the Dutch "
        "hyperscale rule applies (Staatsblad 2023, 492).",
        key="built_area",
    )
    hyperscale_exempt: Flag = setting(
        "The place is one of the parts of Het Hogeland or Hollands Kroon where a hyperscale data "
        "centre is allowed (Bkl art. 5.161ba).",
        False,
    )


class ConnectionPhase(SourcedBlock):
    """From a date on, another firm import limit (a temporary or a growing connection)."""

    from_: Day = setting("First local day of the phase.", key="from")
    firm_mw: PowerMW = setting("Firm import limit from that day on.", key="firm")


class GridConnection(SourcedBlock):
    """The grid connection at the point of interconnection."""

    voltage_kv: VoltageKV = setting("Voltage level at the point of connection.", key="voltage")
    capacity_mva: ApparentMVA = setting("Contracted apparent power.", key="capacity")
    power_factor: PowerFactor = setting(
        "Real over apparent power kept at the connection.",
        0.98,
        source="Our assumption, 2026, assumption: corrected load close to unity",
    )
    circuits: PositiveCount = setting("Number of circuits to the grid.")
    circuit_capacity_mva: ApparentMVA = setting(
        "Apparent power one circuit carries.", key="circuit_capacity"
    )
    n_minus_1: Flag = setting(
        "Import stays within what remains when one circuit fails (only with two or more).", True
    )
    firm_mw: PositivePowerMW = setting("Firm import right.", key="firm")
    export_mw: PowerMW = setting(
        "Export right.", 0.0, key="export", source="No export right, 2026, assumption: none"
    )
    energised: Day | None = setting(
        "First local day with power; empty when it is energised before any run.", None
    )
    phases: tuple[ConnectionPhase, ...] = setting(
        "Dated firm limits, ascending; before the first one `firm` applies.", ()
    )
    mv_lv_impact_mw: PowerMW = setting(
        "Load the site takes from, or adds to, medium and low voltage nets around it.",
        key="mv_lv_impact",
    )
    mv_lv_assumption: Text = setting("What the stated medium and low voltage impact assumes.")
    rights: tuple[HeldRight, ...] = setting(
        "Transport rights held beside the firm one; their powers add up.", ()
    )
    tariff: TariffTerms | None = setting("The transport tariff; empty for no bill.", None)
    congestion: Congestion | None = setting(
        "What the grid operator may ask of the site; empty for nothing.", None
    )
    ramp: PositiveShare | None = setting(
        "Largest change of scheduled power in a minute, as a share of the import limit; empty for "
        "any.",
        None,
    )


class Hall(SourcedBlock):
    """A computer room with one kind of cooling."""

    cooling: HallCooling = setting("How racks give off their heat: air, liquid or immersion.")
    rack_power_kw_max: PowerKW = setting("Largest rack the hall can cool.", key="rack_power_max")
    it_power_mw_max: PositivePowerMW = setting("Largest IT load of the hall.", key="it_power_max")
    area_m2: AreaM2 = setting("Floor area of the computer room.", key="area")


class SurfaceWater(SourcedBlock):
    """The sea or river that once-through cooling takes from and gives back to."""

    mean_c: SurfaceC = setting("Mean temperature over the year.", key="mean")
    swing_k: TemperatureK = setting(
        "By how much the warmest day is above the mean, and the coldest below it.",
        0.0,
        key="swing",
        source="No swing, 2026, assumption",
    )
    warmest_day: YearDay = setting(
        "Number of the warmest day in the year.",
        227,
        source="Our assumption, 2026, assumption: mid August, after the warmest air",
    )
    flow_m3_per_s: FlowM3PerS = setting("Flow through the plant.", key="flow")
    discharge_c_max: SurfaceC | None = setting(
        "Highest temperature that may be given back; empty for no limit.",
        None,
        key="discharge_max",
    )
    rise_k_max: TemperatureK | None = setting(
        "Largest warming over the intake; empty for no limit.", None, key="rise_max"
    )


class Cooling(SourcedBlock):
    """The site's cooling plant and its power chain."""

    technology: CoolingTechnology = setting("How heat leaves the site.")
    supply_c: SupplyC = setting("Facility water temperature to the racks.", key="supply")
    approach_k: ApproachK = setting(
        "Smallest difference between supply water and the air (dry) or wet bulb (wet).",
        key="approach",
    )
    chiller_cop: ChillerCop = setting("Best heat moved per unit of chiller power.")
    fan_fraction: SmallShare = setting(
        "Outdoor fan power at full load as a share of the heat.", key="fan"
    )
    pump_fraction: SmallShare = setting(
        "Pump power at full load as a share of the heat.", key="pump"
    )
    indoor_fraction: SmallShare = setting(
        "Coolant distribution units and room fans as a share of IT power.",
        0.02,
        key="indoor",
        source="Our assumption, 2026, assumption: direct liquid cooling with some air",
    )
    ups_efficiency: UpsEfficiency = setting("Efficiency of the uninterruptible supply.")
    transformer_loss_fraction: LossShare = setting(
        "Transformer loss as a share of what passes.", key="transformer_loss"
    )
    distribution_loss_fraction: LossShare = setting(
        "Distribution loss as a share of what passes.", key="distribution_loss"
    )
    cycles_of_concentration: Cycles = setting(
        "Times the make-up water is concentrated before blow-down.",
        4.0,
        source="Lei and Masanet, 2022, published: range 3 to 15",
    )
    delta_t_k: WaterRangeK = setting(
        "Warming of the facility water over the IT load.",
        10.0,
        key="delta_t",
        source="Lei and Masanet, 2022, published: range 5 to 10 K",
    )
    drift_fraction: DriftShare = setting(
        "Droplets lost as a share of the tower's water flow.",
        0.0002,
        key="drift",
        source="Lei and Masanet, 2022, published: range 0.005 to 0.5 %",
    )
    surface_water: SurfaceWater | None = setting(
        "The water of once-through cooling; without it the sea is 15 °C all year.", None
    )


class HeatPump(SourcedBlock):
    """The heat pump between the waste heat and the network."""

    owner: Literal["site", "network"] = setting(
        "Who owns it: the site, which then pays for its electricity and sells what comes out, or "
        "the network, outside the site's boundary."
    )
    pinch_k: PinchK = setting(
        "A source this much warmer than the network needs no pump; it lifts the heat by this "
        "much more than the network asks.",
        3.0,
        key="pinch",
        source="Our assumption, 2026, assumption: usual plate heat exchangers",
    )


class Heat(SourcedBlock):
    """Delivery of waste heat to a network."""

    power_mw_max: PositivePowerMW = setting(
        "Largest heat delivered to the network.", key="power_max"
    )
    source_c: TemperatureC = setting("Temperature of the waste heat.", key="source")
    network_c: NetworkC = setting("Flow temperature the network asks for.", key="network")
    cop_quality: CopQuality = setting("Heat-pump quality: share of the ideal (Carnot) COP.")
    price_eur_per_mwh: CostEURPerMWh = setting("Price paid for the heat.", key="price")
    peak_demand_mw: PositivePowerMW = setting(
        "Yearly peak of the network's demand that this site may serve.", key="peak_demand"
    )
    homes: Count = setting("Homes on the network, for the reader.")
    home_demand_mwh: EnergyMWh = setting(
        "Heat one home uses in a year.",
        9.0,
        key="home_demand",
        source="Our assumption, 2026, assumption: a new or insulated Dutch home",
    )
    pump: HeatPump | None = setting(
        "The heat pump, whose work then counts as part of what is delivered. Without it the whole "
        "of what is delivered is taken from the waste heat, and no pump is counted.",
        None,
    )


class Fabric(SourcedBlock):
    """The network between accelerators."""

    watt_per_accelerator_w: PowerW = setting(
        "Switch and optics power outside the nodes, per accelerator.", key="watt_per_accelerator"
    )
    fabric_supplier: str | None = setting("Who makes it.", None)


class Water(SourcedBlock):
    """Water supply."""

    price_eur_per_m3: CostEURPerM3 = setting("Price of water.", key="price")
    cap_m3_per_y: VolumeM3 | None = setting(
        "Largest volume in one calendar year; empty for none.", None, key="cap"
    )
    cap_month_m3: VolumeM3 | None = setting(
        "Largest volume in each calendar month; empty for none.", None, key="cap_month"
    )
    cap_day_m3: VolumeM3 | None = setting(
        "Largest volume in each local day; empty for none.", None, key="cap_day"
    )
    stress: Literal["low", "medium", "high"] = setting("Water stress of the area.", "low")
    stress_factor: PositiveRatio | None = setting(
        "Scarcity of a cubic metre here, in cubic metres of world average (AWARE: 0.1 to 100); "
        "empty where it is not known.",
        None,
    )
    source_kind: Literal["potable", "industrial", "surface", "recycled"] = setting(
        "Kind of water used.", "industrial"
    )


class Asset(SourcedBlock):
    """A thing the site is made of: who made it, and where."""

    name: Name = setting("Name of the asset.")
    layer: AssetLayer = setting("Layer of the factory it belongs to.")
    amount: Ratio = setting("How much of it there is.")
    unit: Text = setting("What the amount counts.", "pieces")
    supplier: Text = setting("Who supplies it, or unknown.")
    country: CountryOrUnknown = setting("Country of the supplier, ISO code, or unknown.")


class Outside(SourcedBlock):
    """How prices, carbon and weather differ from those of the factory's first site.

    An approximation: another bidding zone or coast moves in its own way, not in step.
    """

    price_times: Ratio = setting(
        "Factor on the first site's day-ahead price.", 1.0, source="No difference, 2026, assumption"
    )
    price_add_eur_per_mwh: PriceEURPerMWh = setting(
        "Added to it after that.", 0.0, key="price_add", source="No difference, 2026, assumption"
    )
    carbon_times: Ratio = setting(
        "Factor on the first site's carbon intensity.",
        1.0,
        source="No difference, 2026, assumption",
    )
    temperature_add_k: TemperatureChangeK = setting(
        "Added to the first site's outdoor temperature.",
        0.0,
        key="temperature_add",
        source="No difference, 2026, assumption",
    )


class Transfer(SourcedBlock):
    """What it takes to move a job's data away from a site."""

    price_eur_per_tb: CostEURPerTB = setting(
        "Price of a TB that leaves with a job.",
        0.0,
        key="price",
        source="Our assumption, 2026, assumption: a line of one's own between the sites",
    )
    rate_gbit_per_s: RateGbitPerS = setting(
        "How fast it leaves, all of a job's data at once.",
        100.0,
        key="rate",
        source="Our assumption, 2026, assumption: one 100 Gbit/s wavelength",
    )


class Sensor(SourcedBlock):
    """A sensor at the fence, and the limit its readings are held against."""

    name: Name = setting("Name of the sensor.")
    kind: Literal["noise", "air", "plume"] = setting(
        "What it measures: sound level, dB(A); fine dust (PM10), µg/m3; water that a visible plume "
        "condenses, g per kg of air."
    )
    full: Ratio = setting(
        "What the plant alone would give at full fans (noise), or per gram a second of salts "
        "drifting from towers (air); no meaning for a plume.",
        0.0,
        source="Nothing, 2026, assumption",
    )
    background: Ratio = setting(
        "What is there without the plant, in the unit of the kind.",
        0.0,
        source="Nothing, 2026, assumption",
    )
    limit: Ratio = setting("Value that may not be passed, in the unit of the kind.")
    allowed_h: Ratio = setting(
        "Hours of a year in which it may be passed all the same; of a shorter run its part.",
        0.0,
        source="None, 2026, assumption",
    )
    coverage: PositiveShare = setting(
        "Share of the time in which the sensor gives a value.",
        0.97,
        source="Our assumption, 2026, assumption: common for unattended sensors",
    )
    gap_h: PositiveRatio = setting(
        "Mean length of a gap, hours.",
        8.0,
        source="Our assumption, 2026, assumption: until somebody comes by",
    )


class Monitoring(SourcedBlock):
    """What is monitored around the site. Readings are made by a model; a run has no sensors."""

    sensors: tuple[Sensor, ...] = setting("Sensors at the fence.")
    dissolved_kg_per_m3: Ratio = setting(
        "Salts dissolved in the make-up water, kg per m3, for what towers let drift.",
        0.5,
        key="dissolved",
        source="Our assumption, 2026, assumption: fresh surface water has 0.2 to 0.8",
    )


class Site(SourcedBlock):
    """One site: everything behind one connection."""

    place: Place = setting("Where it lies.")
    timezone: Text = setting("Local time, an IANA name.", "Europe/Amsterdam")
    connection: GridConnection = setting("The grid connection.")
    halls: dict[Name, Hall] = setting("Computer rooms by name.")
    cooling: Cooling = setting("Cooling plant and power chain.")
    heat: Heat | None = setting("Delivery of waste heat; empty for none.", None)
    network: Fabric = setting("The network between accelerators.")
    storage_pb: DataPB = setting("Raw storage capacity.", key="storage")
    auxiliary_mw: PowerMW = setting(
        "Everything that is neither IT nor cooling: offices, light, safety.", key="auxiliary"
    )
    water: Water = setting("Water supply.")
    outside: Outside | None = setting(
        "How prices and weather differ from those of the first site; empty for not at all.", None
    )
    transfer: Transfer = setting("What moving data away takes.", Transfer())
    assets: tuple[Asset, ...] = setting("What the site is made of, with its suppliers.", ())
    monitoring: Monitoring | None = setting("Sensors around the site; empty for none.", None)
