"""The checks of own generators in a factory file."""

from __future__ import annotations

from collections.abc import Iterator

from gigafactory.factory.finding import Found, View
from gigafactory.factory.generators import OwnGenerator
from gigafactory.factory.reading import Path_, nearest
from gigafactory.plant.generation import kinds


def check_generators(view: View) -> Iterator[Found]:
    """What is wrong with the generators of a factory, in plain words."""
    sites, every = view.factory.sites, view.factory.energy.generators
    for at, one in enumerate(every):
        path: Path_ = ("energy", "generators", at)
        if one.name in [other.name for other in every[:at]]:
            yield Found((*path, "name"), one.name, "is the name of an earlier one; use another")
        if one.site not in sites:
            why = f"no such site; {nearest(one.site, sites)}"
            yield Found((*path, "site"), one.site, why, (("sites", one.site),))
        if one.kind not in kinds():
            why = f"is no kind of generator; {nearest(one.kind, kinds())}"
            yield Found((*path, "kind"), one.kind, why)
        else:
            yield from _check_one(one, path)


def _check_one(one: OwnGenerator, path: Path_) -> Iterator[Found]:
    of, rests = kinds()[one.kind], ((*path, "kind"),)
    if one.commissioned is None and one.ordered is None:
        why = "say when it was commissioned, or when it was ordered"
        yield Found((*path, "commissioned"), None, why)
    if one.commissioned and one.ordered and one.commissioned < one.ordered:
        why = f"lies before the day it was ordered ({one.ordered})"
        yield Found((*path, "commissioned"), one.commissioned, why)
    for key, value in (
        ("fuel_price", one.fuel_price_eur_per_mwh),
        ("heat_rate", one.heat_rate_mwh_per_mwh),
        ("fuel_stock", one.fuel_stock_mwh),
        ("fuel_delivery", one.fuel_delivery_mwh or None),
    ):
        if of.fuel is None and value is not None:
            why = f"{one.kind} burns no fuel; leave it out"
            yield Found((*path, key), f"{value:g}", why, rests)
    if of.driver == "weather":
        for key, given in (
            ("start_cost", one.start_cost_eur_per_mw),
            ("minimum_load", one.minimum_load_share),
            ("run_time_max", one.run_time_s_max),
        ):
            if given is not None:
                why = f"{one.kind} gives what the weather gives; leave it out"
                yield Found((*path, key), f"{given:g}", why, rests)
    if one.heat_rate_mwh_per_mwh is not None and not 1.0 <= one.heat_rate_mwh_per_mwh <= 20.0:
        why = "must be from 1 (nothing lost) to 20 MWh of fuel per MWh of power"
        yield Found((*path, "heat_rate"), f"{one.heat_rate_mwh_per_mwh:g}", why)
    if of.fuel is not None and of.fuel.stored and one.fuel_stock_mwh is None:
        why = f'{of.fuel.name} stands in a tank: say how much, such as "3 GWh" of fuel'
        yield Found((*path, "fuel_stock"), None, why, rests)
    if one.fuel_delivery_mwh > 0 and of.fuel is not None and one.fuel_stock_mwh is None:
        why = "a delivery needs a tank to go into: give fuel_stock as well"
        yield Found((*path, "fuel_delivery"), f"{one.fuel_delivery_mwh:g} MWh", why)


__all__ = ["check_generators"]
