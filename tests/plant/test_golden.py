"""Golden cases of the plant: what a human calculated by hand is what the code says."""

import numpy as np
import pytest

from gigafactory.plant.cooling import WaterCap, cooling_year
from gigafactory.plant.generation import Generator
from gigafactory.plant.heat import heat_balance, homes_by_hour, homes_by_rule
from gigafactory.plant.island import Island, Load, outlast, plan_shedding
from gigafactory.plant.restoration import restart
from gigafactory.plant.thermal import CoolingDesign, Electrical, overhead
from tests.golden.folders import hold, of


def homes(given):
    year = (given["homes"], given["heat_mw"], given["demand"], given["season_h"])
    found = {"homes_by_rule": homes_by_rule(given["heat_mw"])}
    for need in given["need_mwh"]:
        check = homes_by_hour(*year, need)
        balance = heat_balance(*year, [1, 2, 3, 4], need)
        fields = ("need_mwh", "covered_mwh", "covered_share", "surplus_mwh", "short_hours")
        found[str(need)] = {
            **{name: getattr(check, name) for name in (*fields, "homes_always")},
            "by_season": {
                name: getattr(balance, name) for name in ("need_mwh", "surplus_mwh", "short_mwh")
            },
        }
    return found


def tower(given):
    design = CoolingDesign(**given["design"])
    chain = Electrical(1.0, 0.0, 0.0)
    weather = (given["temperature_c"], given["wet_bulb_c"])
    hour = overhead(design, chain, given["it_mw"], *weather)
    cap = WaterCap("permit", given["cap_m3"], np.zeros(given["hours"], dtype=np.int64))
    it = [given["it_mw"]] * given["hours"]
    year = cooling_year(design, chain, it, *weather, 1.0, caps=[cap])
    fields = ("evaporation_m3_per_h", "drift_m3_per_h", "blowdown_m3_per_h", "water_m3_per_h")
    return {
        "free": hour.free_fraction,
        **{name: getattr(hour, name) for name in fields},
        "wue_l_per_kwh": year.wue_l_per_kwh[0],
        "capped": {
            "fell_back": year.fell_back,
            "water_m3": year.water_m3.sum(),
            "wue_total_l_per_kwh": year.wue_total_l_per_kwh,
        },
    }


def island(given):
    loads = tuple(Load(**row) for row in given["loads"])
    site = Island(
        loads, (Generator(**given["generator"]),), ups_mw=given["ups_mw"], ups_s=given["ups_s"]
    )

    def told(of):
        return {
            "lasted_h": of.lasted_h,
            "not_served_mwh": of.not_served_mwh,
            "ups_mwh": (of.ups_mw * of.hours).sum(),
            "fuel_left_mwh": of.fuel_left_mwh["diesel"],
            "work_lost_h": [b.at_h for b in of.broken if b.kind == "work_lost"],
        }

    bare = outlast(site, given["day"], given["outage_h"])
    plan = plan_shedding(site, given["day"], given["outage_h"])
    kept = sum(x.whole_mw for x in loads if x.protected)
    back = restart([loads[-1]], limit_mw=given["limit_mw"], running_mw=kept)
    return {
        "unplanned": told(bare) | {"first_loss_h": bare.protected_lost[0].at_h},
        "planned": told(plan.outage)
        | {"shed_h": [plan.shed_h[x.name] for x in site.ranked], "holds": plan.holds},
        "restart": {
            "done_min": back.done_min,
            "power_mw": back.stages[-1].power_mw,
            "begin_min": [stage.begin_min for stage in back.stages],
        },
    }


CASES = {"homes": homes, "tower": tower, "island": island}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda path: path.name)
def test_the_code_says_what_was_calculated_by_hand(folder):
    hold(folder, CASES)
