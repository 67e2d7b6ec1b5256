"""What becomes of accelerators after their first life: refurbished, cascaded, recycled.

A unit that goes on working is one that need not be made: what that avoids is its embodied carbon
and mass, times the part of a new one it stands in for. Kilograms of gold, silver and palladium come
from published contents of server boards; masses that nobody published are assumptions and say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from gigafactory.assess.footprint import Span, factors
from gigafactory.assess.subject import Subject
from gigafactory.factory.blocks import Block, SourcedBlock, setting
from gigafactory.factory.quantities import Share
from gigafactory.plant import load_catalogue

FILE = "circular.yaml"


class AfterLife(SourcedBlock):
    """One way a unit goes on, or ends."""

    share: Share = setting("Share of the units that go this way.")
    stands_in: Share = setting(
        "Part of a new unit that one of these stands in for: its further years over a first life, "
        "times how much of the newer one's work it does."
    )
    residual: Share = setting("Price fetched, as a share of the price when new.", 0.0)


class Circular(Block):
    """What is planned for accelerators after their first life (`circular.yaml` of a dossier)."""

    refurbish: AfterLife = setting("Repaired and used for the same work.")
    cascade: AfterLife = setting("Given to lighter work: inference, teaching, the edge.")
    recycle_recovered: Share = setting("Share of gold, silver and palladium won back of the rest.")
    recycled_content: Share = setting("Share of recycled matter in what is bought.", 0.0)


@dataclass(frozen=True, slots=True)
class AfterFirstLife:
    """What a plan for the end of a first life avoids.

    Attributes:
        units: accelerators of the factory.
        kept: of these, how many go on working.
        recycled: how many are taken apart.
        avoided_co2_kg: embodied carbon of new units that need not be made.
        avoided_mass_kg: mass of new units that need not be made.
        recovered_kg: gold, silver and palladium won back, by metal.
        primary_kg: mass of what is bought that is not recycled matter.
        residual_eur: what the units that go on fetch.
    """

    units: int
    kept: float
    recycled: float
    avoided_co2_kg: Span
    avoided_mass_kg: float
    recovered_kg: dict[str, float]
    primary_kg: float
    residual_eur: Span


def circular_of(subject: Subject) -> Circular | None:
    """The plan in a factory's dossier; None where there is none.

    Raises:
        BadInput: with every problem of the file.
    """
    return subject.dossier.load(FILE, Circular)


def after_first_life(subject: Subject, plan: Circular) -> AfterFirstLife:
    """What a plan comes to for the fleet of a factory.

    Args:
        subject: the factory.
        plan: its shares may not add up to more than one; the rest is recycled.
    """
    known, catalogue = factors(), load_catalogue()
    mass = known["mass_kg"].value
    ways = (plan.refurbish, plan.cascade)
    kept_share = min(sum(way.share for way in ways), 1.0)
    stands_in = sum(way.share * way.stands_in for way in ways)
    residual = sum(way.share * way.residual for way in ways)
    units = 0
    co2, money = [0.0, 0.0], [0.0, 0.0]
    for pool in subject.factory.fleet:
        chip = catalogue[pool.chip]
        units += pool.accelerators
        for end in (0, 1):
            co2[end] += pool.accelerators * chip.embodied_kg[end] * stands_in
            money[end] += pool.accelerators * chip.price_eur[2 * end] * residual
    recycled = units * (1.0 - kept_share)
    boards_t = recycled * mass * known["board_share"].value / 1000.0
    metals = ("gold", "silver", "palladium")
    return AfterFirstLife(
        units=units,
        kept=units * kept_share,
        recycled=recycled,
        avoided_co2_kg=Span(co2[0], co2[1]),
        avoided_mass_kg=units * mass * stands_in,
        recovered_kg={
            metal: boards_t * known[f"{metal}_g_per_t"].value / 1000.0 * plan.recycle_recovered
            for metal in metals
        },
        primary_kg=units * mass * (1.0 - plan.recycled_content),
        residual_eur=Span(money[0], money[1]),
    )


__all__ = ["FILE", "AfterFirstLife", "AfterLife", "Circular", "after_first_life", "circular_of"]
