"""Readiness for the AI-gigafactory tender: bands from hourly data, lots, and what weighs what.

Two statements belong to it and are always made: how little of the award flexibility decides, and
whether the host country takes part at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gigafactory.assess.cited import cited, framed, framework_data, words
from gigafactory.assess.eed import eed_rows
from gigafactory.assess.metered import SiteMeters, site_meters
from gigafactory.assess.papers import Paper, evidence_of
from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory import fleet_h100_equivalents
from gigafactory.factory.blocks import Block, Country, setting
from gigafactory.factory.classes import tender_lots
from gigafactory.plant import load_catalogue

NAME: Final = "tender"
FILE: Final = "tender.yaml"
PERCENT: Final = 100.0
YEAR_DAYS: Final = 365
YEAR_H: Final = 8784.0
W_PER_MW: Final = 1e6


class TenderFile(Block):
    """What a dossier assumes of the tender, and the agreements it can show."""

    assume_participating: tuple[Country, ...] = setting(
        "Countries assumed to join the joint procurement: a scenario, not a fact.", ()
    )
    agreements: tuple[Paper, ...] = setting(
        "Interconnection agreements with firm capacity, voltage, apparent power and milestones.",
        (),
    )


@dataclass(frozen=True, slots=True)
class Band:
    """A figure of the tender and the band it falls in.

    Attributes:
        key: renewables, pue, flexibility, backup or it_share.
        band: its name; "" where nothing could be computed.
        met: whether it is at least the band that is acceptable.
        figures: what it was made of, by name.
        why: by language.
        proof: what it rests on.
    """

    key: str
    band: str
    met: bool
    figures: Mapping[str, float]
    why: Mapping[str, str]
    proof: Proof


@dataclass(frozen=True, slots=True)
class Backup:
    """How long a load can be carried without the grid.

    Attributes:
        hours: until it cannot be carried in full.
        battery_mwh: usable energy of full batteries, delivered.
        fuel_mwh: electricity from the fuel in the tanks.
    """

    hours: float
    battery_mwh: float
    fuel_mwh: float


def band_of(key: str, figures: Mapping[str, float]) -> tuple[str, bool]:
    """The band of a figure, the best that holds, and whether it is acceptable."""
    rule = framework_data(NAME)["bands"][key]
    names = [one["band"] for one in rule["bands"]]
    for one in rule["bands"]:
        value = figures[one["figure"]]
        if value >= one.get("at_least", -math.inf) and value <= one.get("at_most", math.inf):
            return one["band"], names.index(one["band"]) <= names.index(rule["least"])
    return names[-1], False


def backup_hours(
    load_mw: float,
    battery_mw: float,
    battery_mwh: float,
    generator_mw: float,
    fuel_mwh: float,
) -> float:
    """Hours a load is carried in full without the grid, batteries full and tanks full.

    Generators carry what they can; batteries carry the rest. Where both together are too weak the
    answer is nought, however much energy there is.

    Args:
        load_mw: mean load.
        battery_mw: largest discharge.
        battery_mwh: usable energy, delivered.
        generator_mw: output of generators that burn fuel.
        fuel_mwh: electricity from their fuel; infinite for fuel by pipe.
    """
    if load_mw <= 0.0:
        return YEAR_H
    running_mw = min(generator_mw, load_mw) if fuel_mwh > 0.0 else 0.0
    rest_mw = load_mw - running_mw
    if rest_mw > battery_mw + 1e-9:
        return 0.0
    if rest_mw <= 1e-9:
        return min((fuel_mwh + battery_mwh) / load_mw, YEAR_H)
    fuel_h = fuel_mwh / running_mw if running_mw > 0.0 else math.inf
    return min(fuel_h, battery_mwh / rest_mw, YEAR_H)


def award_shares() -> dict[str, float]:
    """Share of the award that each item decides at most: weight x share x points / 100."""
    award = framework_data(NAME)["award"]
    one = award["final"]["x1"] * award["technical_share"] / award["technical_points"]
    return {key: float(points) * one for key, points in award["points"].items()}


# --- figures of a run -----------------------------------------------------------------------------


def _meters(subject: Subject) -> list[SiteMeters]:
    if subject.run is None:
        return []
    found = [
        site_meters(subject.run, name, site.timezone)
        for name, site in subject.factory.sites.items()
    ]
    return [one for one in found if one is not None]


def _made(key: str, figures: Mapping[str, float], proof: Proof, why: dict[str, str]) -> Band:
    band, met = band_of(key, figures)
    texts, names = framework_data(NAME)["texts"], framework_data(NAME)["band_names"]
    return Band(key, band, met, figures, words(texts["band"], value=why, band=names[band]), proof)


def _unknown(key: str) -> Band:
    why = words(framework_data(NAME)["texts"]["no_run"])
    return Band(key, "", False, {}, why, Proof.MISSING)


def bands(subject: Subject) -> tuple[Band, ...]:
    """Every band of the tender, from the run and the factory file."""
    texts, meters = framework_data(NAME)["texts"], _meters(subject)
    hourly, annual = (
        subject.figure("carbon.cfe_share"),
        subject.figure("carbon.annual_matched_share"),
    )
    found = []
    if hourly is None or annual is None:
        found.append(_unknown("renewables"))
    else:
        why = words(texts["renewables"], hourly=hourly * PERCENT, annual=annual * PERCENT)
        figures = {"hourly": hourly, "annual": annual}
        found.append(_made("renewables", figures, Proof.LEDGER, why))
    pue = _pue(subject, meters)
    if pue is None:
        found.append(_unknown("pue"))
    else:
        found.append(_made("pue", {"pue": pue}, Proof.LEDGER, words(texts["pue"], pue=pue)))
    found += [_flexibility(subject), _backup(subject, meters), _it_share(subject, meters)]
    return tuple(found)


def _pue(subject: Subject, meters: list[SiteMeters]) -> float | None:
    """E_DC over E_IT of all sites, by the sums of the EU report: batteries' losses count."""
    if not meters:
        return None
    rows = eed_rows(subject)
    parts = {
        key: [row.number for row in rows if row.field == key] for key in ("energy", "it_energy")
    }
    if any(value is None for values in parts.values() for value in values):
        return None
    total, it = (sum(v for v in parts[key] if v is not None) for key in ("energy", "it_energy"))
    return total / it if it > 0.0 else None


def _flexibility(subject: Subject) -> Band:
    """Which of the three means a run has used."""
    if not subject.summary:
        return _unknown("flexibility")
    transport, reserves = (subject.summary.get(key) or {} for key in ("transport", "reserves"))
    calls = sum(int(row["accepted"]) for row in transport.get("calls") or [])
    sold = sum(float(row["sold_mw_h"]) for row in reserves.get("products") or [])
    used = {
        "demand_response": calls > 0 or sold > 0.0,
        "time_shifting": (subject.figure("flexibility.put_off_gpu_h2") or 0.0) > 0.0,
        "storage": (subject.figure("energy.discharge_mwh") or 0.0) > 0.0,
    }
    raw = framework_data(NAME)
    names = [key for key, does in used.items() if does] or ["none"]
    listed = {lang: ", ".join(raw["means"][key][lang] for key in names) for lang in ("en", "nl")}
    count = sum(used.values())
    why = words(raw["texts"]["flexibility"], means=count, names=listed)
    return _made("flexibility", {"means": float(count)}, Proof.LEDGER, why)


def _backup(subject: Subject, meters: list[SiteMeters]) -> Band:
    """Hours without the grid at the mean load of the run."""
    names = ("import_mw", "export_mw", "generation_mw")
    sums = [[one.mwh(name) for name in names] for one in meters]
    if not sums or any(value is None for row in sums for value in row):
        return _unknown("backup")
    drawn = sum((row[0] or 0.0) - (row[1] or 0.0) + (row[2] or 0.0) for row in sums)
    load_mw = drawn / float(meters[0].hours.sum())
    found = backup_of(subject, load_mw)
    why = words(
        framework_data(NAME)["texts"]["backup"],
        hours=found.hours,
        load=load_mw,
        battery=found.battery_mwh,
        fuel=min(found.fuel_mwh, load_mw * YEAR_H),
    )
    return _made("backup", {"hours": found.hours}, Proof.LEDGER, why)


def backup_of(subject: Subject, load_mw: float) -> Backup:
    """How long a factory's batteries and generators carry a load, full at the begin."""
    energy = subject.factory.energy
    usable = [
        (b.power_mw, b.energy_mwh * (b.soc_max - b.soc_min) * b.efficiency_discharge)
        for b in energy.batteries
    ]
    there = [g for g in energy.generators if g.units > 0 and g.exists_from <= subject.today]
    plants = [one.built() for one in there]
    burning = [plant for plant in plants if plant.heat_rate_mwh_per_mwh > 0.0]
    fuel_mwh = sum(p.fuel_stock_mwh / p.heat_rate_mwh_per_mwh for p in burning)
    battery_mwh = sum(mwh for _, mwh in usable)
    hours = backup_hours(
        load_mw,
        sum(mw for mw, _ in usable),
        battery_mwh,
        sum(plant.capacity_mw for plant in burning),
        fuel_mwh,
    )
    return Backup(hours, battery_mwh, fuel_mwh)


def _it_share(subject: Subject, meters: list[SiteMeters]) -> Band:
    """Highest IT power over import rights, firm and not firm."""
    peaks = [one.highest("it_mw") for one in meters]
    if not peaks or any(peak is None for peak in peaks):
        return _unknown("it_share")
    it_mw = sum(peak for peak in peaks if peak is not None)
    lines = [site.connection for site in subject.factory.sites.values()]
    grid_mw = sum(line.firm_mw + sum(r.capacity_mw for r in line.rights) for line in lines)
    share = it_mw / grid_mw
    text = framework_data(NAME)["texts"]["it_share"]
    why = words(text, it=it_mw, grid=grid_mw, share=share * PERCENT)
    return _made("it_share", {"share": share}, Proof.LEDGER, why)


def it_load_mw(subject: Subject) -> float:
    """IT load of the complete fleet at its dearest work, network included, MW."""
    catalogue = load_catalogue()
    return sum(
        pool.accelerators
        * (
            max(catalogue[pool.chip].work_w.values())
            + subject.factory.sites[pool.site].network.watt_per_accelerator_w
        )
        / W_PER_MW
        for pool in subject.factory.fleet
    )


# --- as an assessment -----------------------------------------------------------------------------


def assess_tender(subject: Subject) -> Assessment:
    """Bands, lots, facts of the grid connection, participation, and what weighs how much.

    Scores: figures of the bands (`renewables.hourly`, `pue.pue`, ...), `award.ITEM` in percent,
    `h100_equivalents`, `it_load_mw`.

    Raises:
        BadInput: with every problem of the dossier's `tender.yaml`.
    """
    raw = framework_data(NAME)
    told = subject.dossier.load(FILE, TenderFile) or TenderFile()
    every = bands(subject)
    findings = [_band_finding(one) for one in every]
    findings += _lots(subject)
    findings += _grid(subject, told)
    findings.append(_participation(subject, told))
    scores = {f"{one.key}.{k}": value for one in every for k, value in one.figures.items()}
    shares = {key: share * PERCENT for key, share in award_shares().items()}
    scores |= {f"award.{key}": share for key, share in shares.items()}
    scores["h100_equivalents"] = fleet_h100_equivalents(subject.factory)
    scores["it_load_mw"] = it_load_mw(subject)
    flex, power = shares["flexibility"], shares["power_infrastructure"]
    texts = [words(raw["texts"]["flexibility_weight"], flex=flex, power=power, times=power / flex)]
    days = int(subject.summary.get("days_done", YEAR_DAYS)) if subject.summary else YEAR_DAYS
    texts += [_funding(lot) for lot in (1, 2)]
    if not tender_lots(1.0, 1.0, subject.today):
        texts.append(words(raw["texts"]["before"], day=subject.today))
    if days < YEAR_DAYS:
        texts.append(words(raw["texts"]["short_run"], days=days))
    held_back = _held_back(subject, told)
    return framed(NAME, findings, texts, scores=scores, held_back=held_back)


def _funding(lot: int) -> dict[str, str]:
    """What the EU pays by lot and phase."""
    raw = framework_data(NAME)
    one = raw["funding"][lot]
    low, high = one["it_mw_phase_1"]
    return words(
        raw["texts"]["funding"],
        lot=lot,
        first=one["phase_1_meur"],
        second=one["phase_2_meur_max"],
        low=low,
        high=high,
    )


def _band_finding(one: Band) -> Finding:
    raw = framework_data(NAME)
    rule = raw["bands"][one.key]
    grade = Grade.MET if one.met else Grade.UNMET if one.band else Grade.UNVERIFIED
    return Finding(
        criterion=one.key,
        group="bands",
        title=words(rule["title"]),
        grade=grade,
        value=next(iter(one.figures.values()), None),
        unit={"backup": "h", "flexibility": "means"}.get(one.key, ""),
        formula=rule["formula"],
        source=cited(raw["band_sources"][one.key]),
        evidence=(Evidence(one.proof, "series:" if one.band else ""),),
        why=one.why,
    )


def _lots(subject: Subject) -> list[Finding]:
    """Both lots, each phase and the IT load, apart."""
    raw = framework_data(NAME)
    worth, load = fleet_h100_equivalents(subject.factory), it_load_mw(subject)
    found = []
    # a run of a year before the tender is held against the newest one
    for lot in tender_lots(worth, load, subject.today) or tender_lots(worth, load):
        parts = {
            "phase_1": (worth, lot.asked_phase_1_h100_equivalents, lot.phase_1),
            "phase_2": (worth, lot.asked_phase_2_h100_equivalents, lot.phase_2),
            "it_load": (load, lot.asked_it_load_mw, bool(lot.it_load)),
        }
        for key, (value, asked, met) in parts.items():
            fields = {"value": value, "asked": asked}
            found.append(
                Finding(
                    criterion=f"lot_{lot.lot}.{key}",
                    group=f"lot_{lot.lot}",
                    title=words(raw["lots"][key], lot=lot.lot),
                    grade=Grade.MET if met else Grade.UNMET,
                    value=value,
                    unit="MW" if key == "it_load" else "H100-equivalents",
                    threshold=asked,
                    formula="complete fleet; IT load at its dearest work with the network",
                    source=f"{lot.source}, {lot.year}, {lot.state}",
                    evidence=(Evidence(Proof.FACTORY, "factory:fleet"),),
                    why=words(raw["texts"]["load" if key == "it_load" else "size"], **fields),
                )
            )
    return found


def _grid(subject: Subject, told: TenderFile) -> list[Finding]:
    """What an interconnection agreement has to say: met only with one that somebody checked."""
    raw = framework_data(NAME)
    lines = [site.connection for site in subject.factory.sites.values()]
    days = sorted(
        [line.energised for line in lines if line.energised is not None]
        + [phase.from_ for line in lines for phase in line.phases]
    )
    evidence = evidence_of(told.agreements, subject.today, f"dossier:{FILE}")
    shown = any(one.proof.counts for one in evidence)
    values = {
        "firm": sum(line.firm_mw for line in lines),
        "voltage": max(line.voltage_kv for line in lines),
        "mva": sum(line.capacity_mva for line in lines),
    }
    whys = {key: words(raw["texts"][key], value=value) for key, value in values.items()}
    whys["milestones"] = words(raw["texts"]["energised"])
    if days:
        whys["milestones"] = words(raw["texts"]["milestones"], count=len(days), first=days[0])
    return [
        Finding(
            criterion=f"grid.{key}",
            group="grid",
            title=words(title),
            grade=Grade.MET if shown else Grade.UNVERIFIED,
            value=values.get(key),
            unit={"firm": "MW", "voltage": "kV", "mva": "MVA"}.get(key, ""),
            formula="stated in an interconnection agreement",
            source=cited(raw["source"]),
            evidence=(*evidence, Evidence(Proof.FACTORY, "factory:sites.connection")),
            why=whys[key],
        )
        for key, title in raw["grid_facts"].items()
    ]


def _hosts(subject: Subject) -> list[str]:
    return sorted({site.place.country for site in subject.factory.sites.values()})


def _participation(subject: Subject, told: TenderFile) -> Finding:
    """Whether the host countries take part: a gate, and a scenario where the dossier assumes it."""
    raw: Any = framework_data(NAME)
    members, hosts = raw["participants"]["countries"], _hosts(subject)
    assumed = [c for c in hosts if c not in members and c in told.assume_participating]
    outside = [c for c in hosts if c not in members and c not in assumed]
    why = words(raw["texts"]["participation"], countries=", ".join(hosts))
    if assumed:
        more = words(raw["texts"]["assumed"], joined=", ".join(assumed))
        why = {lang: why[lang] + more[lang] for lang in why}
    grade = Grade.UNMET if outside else Grade.UNVERIFIED if assumed else Grade.MET
    return Finding(
        criterion="participation",
        group="participation",
        title=words(raw["texts"]["participation_title"]),
        grade=grade,
        formula="host country among the Member States of the procurement",
        source=cited(raw["participants"]["source"]),
        evidence=(Evidence(Proof.FACTORY, "factory:sites.place.country"),),
        why=why,
        gate=True,
    )


def _held_back(subject: Subject, told: TenderFile) -> dict[str, Mapping[str, str]]:
    raw = framework_data(NAME)
    members = raw["participants"]["countries"]
    away = [country for country in _hosts(subject) if country not in members]
    assumed = [country for country in away if country in told.assume_participating]
    outside = [country for country in away if country not in assumed]
    held: dict[str, Mapping[str, str]] = {}
    if outside:
        held["award"] = words(raw["texts"]["not_in"], countries=", ".join(outside))
    elif assumed:
        held["award"] = words(raw["texts"]["joined_only"], countries=", ".join(assumed))
    return held


__all__ = [
    "FILE",
    "Backup",
    "Band",
    "TenderFile",
    "assess_tender",
    "award_shares",
    "backup_hours",
    "backup_of",
    "band_of",
    "bands",
    "it_load_mw",
]
