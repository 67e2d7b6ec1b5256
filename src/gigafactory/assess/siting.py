"""The Dutch rule on hyperscale data centres: built area above 10 ha and 70 MW or more."""

from __future__ import annotations

from typing import Any, Final

from gigafactory.assess.cited import cited, framed, framework_data, words
from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory.sites import Site

NAME: Final = "siting"
M2_PER_HA: Final = 10_000.0


def is_hyperscale(area_ha: float, capacity_mw: float) -> bool:
    """Whether a data centre is a hyperscale: both bounds at once.

    Args:
        area_ha: built floor area, ha; above the bound.
        capacity_mw: connection capacity, MW; at or above the bound.
    """
    raw = framework_data(NAME)
    return area_ha > float(raw["area_ha_above"]) and capacity_mw >= float(raw["capacity_mw_from"])


def assess_siting(subject: Subject) -> Assessment:
    """Whether each site may be built where it is; a gate. Scores: `refused`, sites that may not."""
    raw = framework_data(NAME)
    findings = tuple(_finding(name, site) for name, site in subject.factory.sites.items())
    scores = {"refused": float(sum(f.grade is Grade.UNMET for f in findings))}
    return framed(NAME, findings, [words(raw["texts"]["note"])], scores=scores)


def _finding(name: str, site: Site) -> Finding:
    raw: Any = framework_data(NAME)
    texts, place = raw["texts"], site.place
    area_ha = place.built_area_m2 / M2_PER_HA
    mw = site.connection.capacity_mva * site.connection.power_factor
    fields = {
        "area": area_ha,
        "mw": mw,
        "area_limit": raw["area_ha_above"],
        "mw_limit": raw["capacity_mw_from"],
    }
    if place.country != raw["country"]:
        grade, why = Grade.NOT_APPLICABLE, words(texts["abroad"], country=place.country)
    elif not is_hyperscale(area_ha, mw):
        grade, why = Grade.MET, words(texts["clear"], **fields)
    elif place.hyperscale_exempt:
        grade, why = Grade.MET, words(texts["exempt"], **fields)
    else:
        grade, why = Grade.UNMET, words(texts["refused"], **fields)
    return Finding(
        criterion=name,
        group=NAME,
        title=words(raw["criterion"], site=name),
        grade=grade,
        value=area_ha,
        unit="ha",
        threshold=float(raw["area_ha_above"]),
        formula="built area > 10 ha and connection >= 70 MW, outside the designated areas",
        source=cited(raw["source"]),
        evidence=(Evidence(Proof.FACTORY, f"factory:sites.{name}.place.built_area"),),
        why=why,
        gate=True,
    )


__all__ = ["assess_siting", "is_hyperscale"]
