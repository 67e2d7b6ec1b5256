"""Golden cases of the planner: what a human calculated by hand is what the code says."""

import numpy as np
import pytest

from gigafactory.planner.gate import Gate
from gigafactory.planner.shape import SiteShape
from gigafactory.planner.yardstick import Course, measure
from tests.golden.folders import hold, of


def battery_day(given):
    site = SiteShape(
        groups=(),
        battery_mw=given["battery_mw"],
        battery_mwh=given["battery_mwh"],
        charge_efficiency=given["efficiency"],
        discharge_efficiency=given["efficiency"],
        wear_eur_per_mwh=given["wear_eur_per_mwh"],
        contracts=0,
        contract_price_eur_per_mwh=(),
        contract_curtail_eur_per_mwh=(),
        levy_eur_per_mwh=given["levy_eur_per_mwh"],
        export_margin_eur_per_mwh=0.0,
        site_per_it=1.0,
    )
    price = np.repeat(np.array(given["price_eur_per_mwh"], dtype=np.float64), 8)
    rest, load = np.zeros(24), np.full(24, float(given["load_mw"]))
    day = Course(
        price_eur_per_mwh=price,
        limit_mw=np.full(24, float(given["limit_mw"])),
        export_limit_mw=rest,
        import_mw=load,
        export_mw=rest,
        charge_mw=rest,
        discharge_mw=rest,
        contract_mw=np.zeros((0, 24)),
        taken_mw=np.zeros((0, 24)),
        running=np.zeros((0, 24)),
        capacity=rest,
        soc_start_mwh=0.0,
        soc_end_mwh=0.0,
    )
    held = measure(site, day, 1.0)
    offer = Gate(site, 24, 12, 1.0).offer(
        [np.concatenate([price, np.full(12, float(given["after_eur_per_mwh"]))])],
        load_mw=np.full(36, float(given["load_mw"])),
        limit_mw=np.full(36, float(given["limit_mw"])),
        export_mw=np.zeros(36),
        contract_mw=np.zeros((0, 36)),
        soc_mwh=0.0,
    )
    charge, discharge = offer.charge_mw[0], offer.discharge_mw[0]
    return {
        "naive_eur": held.naive_eur,
        "bound_eur": held.bound_eur,
        "offer": {
            "charged_mwh": charge.sum(),
            "charged_at_eur_per_mwh": float(charge @ price / charge.sum()),
            "discharged_mwh": discharge.sum(),
            "discharged_at_eur_per_mwh": float(discharge @ price / discharge.sum()),
            "position_mwh": offer.position_mw[0].sum(),
            "own_cost_eur": float(offer.own_cost_eur[0]),
        },
    }


CASES = {"battery-day": battery_day}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda path: path.name)
def test_the_code_says_what_was_calculated_by_hand(folder):
    hold(folder, CASES)
