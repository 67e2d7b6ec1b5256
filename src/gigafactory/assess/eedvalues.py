"""The values of a data centre's report, field by field: from its meters, its file, its operator."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gigafactory.assess.cited import framework_data, words
from gigafactory.assess.degreedays import cooling_degree_days
from gigafactory.assess.eedfile import FILE, EedSite
from gigafactory.assess.metered import SiteMeters, site_meters
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory.contracts import Pool
from gigafactory.plant import load_catalogue

NAME: Final = "eed"
KWH_PER_MWH: Final = 1000.0
KW_PER_MW: Final = 1000.0
W_PER_KW: Final = 1000.0
PERCENT: Final = 100.0
#: A year has at least so many days; a shorter run says its period.
YEAR_DAYS: Final = 365
_RENEWABLE: Final = ("solar", "wind")


@dataclass(frozen=True, slots=True)
class Told:
    """A field's value and how it was made.

    Attributes:
        value: in the field's unit (a number), a text, or None where nobody knows.
        state: metered, factory, stated or unknown.
        how: by language.
        evidence: what it rests on.
        text: the value in words, by language, where it is one.
    """

    value: float | str | None
    state: str
    how: Mapping[str, str]
    evidence: Evidence
    text: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Case:
    """One data centre as everything below sees it."""

    subject: Subject
    site: str
    stated: EedSite
    meters: SiteMeters | None

    def how(self, key: str, **fields: object) -> dict[str, str]:
        return words(framework_data(NAME)["how"][key], **fields)

    def unknown(self, who: str = "operator") -> Told:
        by = words(framework_data(NAME)["who"][who])
        return Told(None, "unknown", self.how("unknown", who=by), Evidence(Proof.MISSING, ""))

    def stated_as(self, value: float | str | None, text: Mapping[str, str] | None = None) -> Told:
        if value is None:
            return self.unknown()
        evidence = Evidence(Proof.CLAIMED, f"dossier:{FILE}")
        return Told(value, "stated", self.how("stated"), evidence, text or {})

    def metered(self, value: float | None, key: str, **fields: object) -> Told:
        if value is None:
            return self.unknown("run")
        evidence = Evidence(Proof.LEDGER, f"series:{self.site}")
        return Told(value, "metered", self.how(key, **fields), evidence)

    def filed(self, value: float | str, path: str, key: str = "factory", **fields: object) -> Told:
        evidence = Evidence(Proof.FACTORY, f"factory:{path}")
        return Told(value, "factory", self.how(key, **fields), evidence)

    def kwh(self, name: str) -> float | None:
        mwh = self.meters.mwh(name) if self.meters is not None else None
        return None if mwh is None else mwh * KWH_PER_MWH


def tell(subject: Subject, site: str, stated: EedSite) -> dict[str, Told]:
    """Every field of a data centre, by key.

    Args:
        subject: the factory with its dossier and, where there is one, its run.
        site: name of the site.
        stated: what the operator says of it.

    Raises:
        BadInput: the run's series cannot be read.
    """
    zone = subject.factory.sites[site].timezone
    meters = site_meters(subject.run, site, zone) if subject.run is not None else None
    case = _Case(subject, site, stated, meters)
    found = {**_described(case), **_sizes(case), **_energy(case), **_water_and_heat(case)}
    found |= _renewable(case, found["energy"].value)
    found |= _ict(case)
    return found | _indicators(case, found)


def _described(case: _Case) -> dict[str, Told]:
    """Annex I."""
    stated, place = case.stated, case.subject.factory.sites[case.site].place
    people = {
        key: case.stated_as(None if one is None else f"{one.name}, {one.contact}")
        for key, one in (("owner", stated.owner), ("operator", stated.operator))
    }
    began = stated.entered_operation
    plain = ("redundancy_hv", "redundancy_lv", "redundancy_rack", "cooling_room", "cooling_rack")
    named = case.filed(case.site, "sites") if stated.title is None else case.stated_as(stated.title)
    lau = place.lau
    return {
        "name": named,
        **people,
        "lau": case.unknown("factory") if lau is None else case.filed(lau, "sites.place.lau"),
        "kind": _kind(case),
        "entered_operation": case.stated_as(None if began is None else f"{began:%Y-%m}"),
        **{key: case.stated_as(getattr(stated, key)) for key in plain},
        "period": _period(case),
    }


def _kind(case: _Case) -> Told:
    stated = case.stated
    if stated.kind is None:
        return case.unknown()
    names = framework_data(NAME)["kinds"]
    parts = [names[stated.kind], names[stated.structure], *([names["mixed"]] * stated.mixed)]
    text = {lang: ", ".join(part[lang] for part in parts) for lang in ("en", "nl")}
    return case.stated_as(stated.kind, text)


def _period(case: _Case) -> Told:
    if not case.subject.summary:
        return case.unknown("run")
    start, days = str(case.subject.summary["start"]), int(case.subject.summary["days_done"])
    key = "whole_year" if days >= YEAR_DAYS else "period"
    evidence = Evidence(Proof.LEDGER, "summary:days_done")
    return Told(float(days), "metered", case.how(key, days=days, start=start), evidence)


def _sizes(case: _Case) -> dict[str, Told]:
    """Installed IT power by both definitions, and floor areas."""
    site, stated = case.subject.factory.sites[case.site], case.stated
    kw = installed_it_kw(case.subject, case.site) + (stated.storage_power_mw or 0.0) * KW_PER_MW
    storage = "storage_left_out" if stated.storage_power_mw is None else "storage_stated"
    it_power = case.filed(kw, "fleet", "it_power", storage=case.how(storage))
    area = sum(hall.area_m2 for hall in site.halls.values())
    built, room = stated.total_area_m2, stated.computer_room_area_m2
    whole = case.filed(site.place.built_area_m2, "sites.place.built_area", "area")
    halls = case.filed(area, "sites.halls", "halls")
    return {
        "it_power": it_power,
        "it_power_nl": _it_power_nl(case, kw),
        "total_area": whole if built is None else case.stated_as(built),
        "computer_room_area": halls if room is None else case.stated_as(room),
    }


def installed_it_kw(subject: Subject, site: str) -> float:
    """Rated power of the accelerators' nodes and network of a site, kW, storage apart.

    Weighed by time over the days of the run; of a factory without a run as of its day.
    """
    catalogue = load_catalogue()
    network_w = subject.factory.sites[site].network.watt_per_accelerator_w
    first, days = subject.today, 1
    if subject.summary:
        first = dt.date.fromisoformat(str(subject.summary["start"]))
        days = int(subject.summary["days_done"])
    return sum(
        _installed_mean(pool, first, days) * (catalogue[pool.chip].peak_w + network_w) / W_PER_KW
        for pool in subject.factory.fleet
        if pool.site == site
    )


def _installed_mean(pool: Pool, first: dt.date, days: int) -> float:
    """Accelerators of a pool delivered, mean over days."""
    if not pool.deliveries:
        return float(pool.accelerators)
    total = 0
    for delivery in pool.deliveries:
        missed = min(max((delivery.date - first).days, 0), days)
        total += delivery.accelerators * (days - missed)
    return total / days


def _it_power_nl(case: _Case, kw: float) -> Told:
    """The Dutch definition: supporting equipment as stated, or by the run's highest PUE."""
    extra = case.stated.supporting_power_mw
    if extra is not None:
        evidence = Evidence(Proof.CLAIMED, f"dossier:{FILE}")
        how = case.how("it_power_nl_stated")
        return Told(kw + extra * KW_PER_MW, "stated", how, evidence)
    rows = case.subject.summary.get("cooling") or []
    peak = next((row["pue_max"] for row in rows if row["site"] == case.site), None)
    if peak is None:
        return case.unknown()
    how = case.how("it_power_nl_run", pue=float(peak))
    evidence = Evidence(Proof.LEDGER, "summary:cooling")
    return Told(kw * float(peak), "metered", how, evidence)


def _energy(case: _Case) -> dict[str, Told]:
    """E_DC at the input, its part from back-up, E_IT, and what the site does for the grid."""
    parts = {name: case.kwh(f"{name}_mw") for name in ("import", "export", "generation")}
    total: float | None = None
    if all(value is not None for value in parts.values()):
        total = (parts["import"] or 0.0) - (parts["export"] or 0.0) + (parts["generation"] or 0.0)
    key = "energy_inside"
    if total is not None and not case.stated.battery_within:
        key = "energy_outside"
        total += (case.kwh("discharge_mw") or 0.0) - (case.kwh("charge_mw") or 0.0)
    offered = case.meters.offered_mw() if case.meters is not None else None
    battery_kw = None if offered is None else offered * KW_PER_MW
    return {
        "energy": case.metered(total, key),
        "backup_energy": case.metered(_backup_kwh(case), "backup"),
        "it_energy": _it_energy(case),
        "grid_functions": _grid_functions(case),
        "battery_to_grid": case.metered(battery_kw, "battery"),
    }


def _it_energy(case: _Case) -> Told:
    value = case.kwh("it_mw")
    if case.stated.it_measured_at == "it_input":
        return case.metered(value, "it_input")
    loss = case.subject.factory.sites[case.site].cooling.distribution_loss_fraction
    at_ups = None if value is None else value * (1.0 + loss)
    return case.metered(at_ups, "it_ups", loss=loss * PERCENT)


def _generators(case: _Case) -> list[Mapping[str, Any]] | None:
    """Rows of the summary for the site's own generators; None without a run."""
    own = case.subject.summary.get("own_generation")
    if not isinstance(own, Mapping) or case.meters is None:
        return None
    return [row for row in own.get("generators") or [] if row["site"] == case.site]


def _backup_kwh(case: _Case) -> float | None:
    rows = _generators(case)
    if rows is None:
        return None
    return sum(float(r["made_mwh"]) for r in rows if r["emergency"]) * KWH_PER_MWH


def _grid_functions(case: _Case) -> Told:
    """What the site did for the grid, by its series."""
    if case.meters is None:
        return case.unknown("run")
    signs = {
        "peak_shifting": ("charge_mw",),
        "fcr": ("fcr_sold_mw",),
        "afrr": ("afrr_up_sold_mw", "afrr_down_sold_mw"),
        "congestion": ("called_mw",),
    }
    did = [k for k, names in signs.items() if any((case.kwh(n) or 0.0) > 0.0 for n in names)]
    names = framework_data(NAME)["functions"]
    text = {lang: "; ".join(names[k][lang] for k in did or ["none"]) for lang in ("en", "nl")}
    evidence = Evidence(Proof.LEDGER, f"series:{case.site}")
    states = words(framework_data(NAME)["states"]["metered"])
    return Told(text["en"], "metered", states, evidence, text)


def _water_and_heat(case: _Case) -> dict[str, Told]:
    site, stated = case.subject.factory.sites[case.site], case.stated
    kind = site.water.source_kind
    drawn = case.meters.amount("water_m3") if case.meters is not None else None
    names = framework_data(NAME)["water_kinds"][kind]
    potable = case.stated_as(stated.potable_water_m3)
    if stated.potable_water_m3 is None and kind == "potable":
        potable = case.metered(drawn, "potable_all")
    gases = stated.refrigerants
    listed = None if gases is None else ", ".join(gases)
    if gases == ():
        none = framework_data(NAME)["functions"]["none"]
        refrigerants = case.stated_as(none["en"], words(none))
    else:
        refrigerants = case.stated_as(listed)
    return {
        "water": case.metered(drawn, "water", kind=words(names)),
        "potable_water": potable,
        "reused_heat": case.metered(case.kwh("heat_mw"), "heat"),
        "waste_heat_temperature": _coolant(case),
        "intake_temperature": case.stated_as(stated.intake_air_c),
        "refrigerants": refrigerants,
        "degree_days": _degree_days(case),
    }


def _coolant(case: _Case) -> Told:
    site = case.subject.factory.sites[case.site]
    if case.stated.coolant_c is not None:
        return case.stated_as(case.stated.coolant_c)
    if site.heat is not None:
        return case.filed(site.heat.source_c, "sites.heat.source", "coolant_heat")
    warm = site.cooling.supply_c + site.cooling.delta_t_k
    return case.filed(warm, "sites.cooling", "coolant_return")


def _degree_days(case: _Case) -> Told:
    days = case.meters.daily_mean("temperature_c") if case.meters is not None else None
    rule = framework_data(NAME)["degree_days"]
    bounds = {"threshold": rule["threshold_c"], "base": rule["base_c"]}
    value = None if days is None else cooling_degree_days(days)
    return case.metered(value, "degree_days", **bounds)


def _renewable(case: _Case, total: object) -> dict[str, Told]:
    """E_RES and its three parts, kWh."""
    bought = case.stated.guarantees_bought_mwh
    guarantees = case.stated_as(None if bought is None else bought * KWH_PER_MWH)
    contracts = case.metered(_contracts_kwh(case), "contracts")
    on_site = _on_site(case)
    parts = {"E_RES-GOO": guarantees, "E_RES-PPA": contracts, "E_RES-OS": on_site}
    known = [one.value for one in parts.values() if isinstance(one.value, float)]
    missing = [name for name, one in parts.items() if one.value is None]
    value = sum(known) if known and isinstance(total, float) else None
    key, fields = ("total_part", {"missing": ", ".join(missing)}) if missing else ("total", {})
    return {
        "renewable_total": case.metered(value, key, **fields),
        "renewable_guarantees": guarantees,
        "renewable_contracts": contracts,
        "renewable_on_site": on_site,
    }


def _contracts_kwh(case: _Case) -> float | None:
    """Energy of contracts within own use whose guarantees are kept; sold ones do not count."""
    rows = case.subject.summary.get("contracts")
    if rows is None or case.meters is None:
        return None
    mine = [row for row in rows if row["site"] == case.site and row["guarantees_kept_mwh"] > 0.0]
    return sum(float(r["taken_mwh"]) - float(r["beyond_use_mwh"]) for r in mine) * KWH_PER_MWH


def _on_site(case: _Case) -> Told:
    rows = _generators(case)
    if rows is None:
        return case.unknown("run")
    made = sum(float(r["made_mwh"]) for r in rows if r["kind"] in _RENEWABLE) * KWH_PER_MWH
    if not case.stated.on_site_retired:
        return case.metered(0.0, "on_site_sold")
    return case.metered(made, "on_site")


def _ict(case: _Case) -> dict[str, Told]:
    """Capacity and traffic: hardly anything of it is known to a plant model."""
    site, stated = case.subject.factory.sites[case.site], case.stated

    def share(value: float | None) -> Told:
        return case.stated_as(None if value is None else value * PERCENT)

    return {
        "server_capacity": case.stated_as(stated.server_rating),
        "server_covered": share(stated.server_covered),
        "storage_capacity": case.filed(site.storage_pb, "sites.storage"),
        "storage_covered": share(stated.storage_covered),
        "bandwidth_in": case.stated_as(stated.bandwidth_in_gb_per_s),
        "bandwidth_out": case.stated_as(stated.bandwidth_out_gb_per_s),
        "traffic_in": case.stated_as(stated.traffic_in_eb),
        "traffic_out": case.stated_as(stated.traffic_out_eb),
    }


def _indicators(case: _Case, found: Mapping[str, Told]) -> dict[str, Told]:
    """Annex III: ratios of sums over the period."""

    def ratio(above: str, below: str, scale: float = 1.0) -> float | None:
        up, down = found[above].value, found[below].value
        if not isinstance(up, float) or not isinstance(down, float) or down <= 0.0:
            return None
        return up / down * scale

    ref = ratio("renewable_total", "energy")
    capped = ref is not None and ref > 1.0
    return {
        "pue": case.metered(ratio("energy", "it_energy"), "ratio"),
        "wue": case.metered(ratio("water", "it_energy", KWH_PER_MWH), "ratio"),
        "erf": case.metered(ratio("reused_heat", "energy"), "ratio"),
        "ref": case.metered(1.0 if capped else ref, "ratio_capped" if capped else "ratio"),
    }


__all__ = ["Told", "installed_it_kw", "tell"]
