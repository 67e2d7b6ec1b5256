"""What a factory of a size is called, and whether it can train a frontier model in one piece."""

from __future__ import annotations

from typing import Final

from gigafactory.assess.cited import cited, framework_data, words
from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory import fleet_h100_equivalents
from gigafactory.factory.classes import class_bounds, classify
from gigafactory.factory.models import Factory
from gigafactory.plant import load_catalogue
from gigafactory.policy import frontier_minimum_mw

NAME: Final = "classes"
W_PER_MW: Final = 1e6


def largest_pool_mw(factory: Factory) -> tuple[str, float]:
    """The pool that draws most at full work in one piece, and its power, MW, network included."""
    catalogue = load_catalogue()
    powers = {
        pool.name: pool.accelerators
        * (
            max(catalogue[pool.chip].work_w.values())
            + factory.sites[pool.site].network.watt_per_accelerator_w
        )
        / W_PER_MW
        for pool in factory.fleet
    }
    name = max(powers, key=lambda one: (powers[one], one))
    return name, powers[name]


def assess_classes(subject: Subject) -> Assessment:
    """Class by H100-equivalents and frontier feasibility on the day of the assessment.

    Scores: `h100_equivalents`, `accelerators`, `frontier_mw`, `frontier_minimum_mw`.
    """
    raw = framework_data(NAME)
    worth = fleet_h100_equivalents(subject.factory)
    count = sum(pool.accelerators for pool in subject.factory.fleet)
    name = raw["names"][classify(worth, subject.today)]
    why = words(raw["texts"]["size"], worth=worth, count=count, name=name)
    bounds = class_bounds(subject.today)
    evidence = (Evidence(Proof.FACTORY, "factory:fleet"),)

    def size(key: str, asked: float) -> Finding:
        return Finding(
            criterion=key,
            group="class",
            title=words(raw["criteria"][key]),
            grade=Grade.MET if worth >= asked else Grade.UNMET,
            value=worth,
            unit="H100-equivalents",
            threshold=asked,
            formula="sum of accelerators times their dense 8-bit peak over that of an H100",
            source=bounds.source,
            evidence=evidence,
            why=why,
        )

    pool, mw = largest_pool_mw(subject.factory)
    asked = frontier_minimum_mw(subject.today)
    told = words(raw["texts"]["frontier"], pool=pool, mw=mw, asked=asked, day=subject.today)
    frontier = Finding(
        criterion="frontier",
        group="frontier",
        title=words(raw["criteria"]["frontier"]),
        grade=Grade.MET if mw >= asked else Grade.UNMET,
        value=mw,
        unit="MW",
        threshold=asked,
        formula="accelerators of a pool times power at full work, network included",
        source=cited(raw["source"]),
        evidence=evidence,
        why=told,
    )
    return Assessment(
        framework=NAME,
        version=raw["version"],
        title=words(raw["title"]),
        source=cited(raw["source"]),
        interest=words(raw["interest"]),
        findings=(
            size("ai_factory", bounds.ai_factory_below_h100_equivalent),
            size("ai_gigafactory", bounds.ai_gigafactory_from_h100_equivalent),
            frontier,
        ),
        scores={
            "h100_equivalents": worth,
            "accelerators": float(count),
            "frontier_mw": mw,
            "frontier_minimum_mw": asked,
        },
    )


__all__ = ["assess_classes", "largest_pool_mw"]
