"""Golden cases of the grid: what a human calculated by hand is what the code says."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from gigafactory.grid import (
    Form,
    MarketCalendar,
    Party,
    Ppa,
    Restriction,
    TransportRight,
    TransportRights,
    activated_share,
    bid_mw,
    blocks,
    fcr_asked_mw,
    imbalance_prices,
    product_on,
    prove,
    rights_on,
    schedule_mw,
    settle_afrr,
    settle_fcr,
    settle_imbalance,
    settle_ppa,
    split_between,
    tariff_bill,
    tariff_on,
    undelivered_share,
)
from gigafactory.grid.calendar import instant_ns
from gigafactory.grid.carbon import carbon_account, indirect_water_m3
from gigafactory.grid.ports import Direction
from tests.golden.folders import hold, numbers, of


def tariff(given):
    calendar = MarketCalendar.of(given["start"], given["days"])
    power = np.full(calendar.periods, float(given["import_mw"]))
    for day, hour, peak in given["peaks"]:
        at = calendar.since(day) & ~calendar.since(day + dt.timedelta(days=1))
        power[at & (calendar.local_hour == hour)] = peak
    weight = np.ones(calendar.periods)
    for start, end, factor in given["weights"]:
        weight[(calendar.local_hour >= start) & (calendar.local_hour < end)] = factor
    rights = TransportRights(
        tuple(
            TransportRight(row["name"], Form(row["form"]), row["capacity_mw"])
            for row in given["rights"]
        ),
        rights_on(given["start"]),
    )
    rates = dataclasses.replace(tariff_on(given["voltage_kv"], given["start"]), **given["tariff"])
    bill = tariff_bill(calendar, power, rates, rights, weight=weight, low_use=given["low_use"])
    return {
        "lines_eur": {line.name: line.amount_eur for line in bill.lines},
        "total_eur": bill.total_eur,
        "exceeded_mw": bill.exceeded_mw,
    }


def fcr(given):
    rules = product_on("fcr", given["day"], reservoir_min=given["reservoir_min"])
    bid = bid_mw(
        given["offered_mw"],
        rules,
        prequalified_mw=given["prequalified_mw"],
        energy_mwh=given["energy_mwh"],
    )
    block, deviation, delivered = zip(*given["samples"], strict=True)
    asked = fcr_asked_mw(deviation, bid, rules)
    found = {"bid_mw": float(bid), "asked_mw": asked}
    for by in ("energy", "seconds"):
        share = undelivered_share(asked, delivered, np.array(block), by=by)
        pay = settle_fcr(
            awarded_mw=float(bid),
            price_eur_per_mw=given["price_eur_per_mw"],
            undelivered_share=share,
            penalty_factor=given["penalty_factor"],
        )
        found["capacity_eur"] = pay.capacity_eur
        found[by] = {
            "undelivered_share": share,
            "deduction_eur": pay.deduction_eur,
            "net_total_eur": pay.net_eur.sum(),
        }
    return found


def afrr(given):
    found = {}
    for side, row in given["sides"].items():
        marginal = numbers(row["marginal_eur_per_mwh"])
        direction = Direction(side)
        share = activated_share(row["bid_eur_per_mwh"], marginal, direction)
        asked_mw = share * row["contracted_mw"]
        baseline = schedule_mw(row["schedule_mw"], row["metered_mw"], np.ones(4, dtype=bool))
        proof = prove(
            direction,
            baseline_mw=baseline,
            metered_mw=row["metered_mw"],
            asked_mw=asked_mw,
            hours=given["hours"],
        )
        pay = settle_afrr(
            direction,
            hours=given["hours"],
            contracted_mw=row["contracted_mw"],
            capacity_eur_per_mw_h=row["capacity_eur_per_mw_h"],
            activated_mwh=proof.asked_mwh,
            delivered_mwh=proof.delivered_mwh,
            energy_eur_per_mwh=np.nan_to_num(marginal),
            short_eur_per_mwh=row["short_eur_per_mwh"],
            long_eur_per_mwh=row["long_eur_per_mwh"],
        )
        assert list(pay.undelivered_mwh) == list(proof.undelivered_mwh)
        found[side] = {
            "activated_mwh": proof.asked_mwh,
            "delivered_mwh": proof.delivered_mwh,
            "undelivered_mwh": pay.undelivered_mwh,
            "capacity_eur": pay.capacity_eur,
            "withheld_eur": pay.withheld_eur,
            "energy_eur": pay.energy_eur,
            "imbalance_net_eur": pay.imbalance.net_eur,
            "net_eur": pay.net_eur,
            "net_total_eur": pay.net_eur.sum(),
        }
    return found


def ppa(given):
    calendar = MarketCalendar.of(given["start"], given["days"])
    contract = Ppa(**given["ppa"])
    midday = (calendar.local_hour >= 12) & (calendar.local_hour < 14)
    price = np.where(midday, given["midday_eur_per_mwh"], given["day_ahead_eur_per_mwh"])
    day = given["curtailed_midday_of"]
    of_day = calendar.since(day) & ~calendar.since(day + dt.timedelta(days=1))
    offered = contract.available_mw(calendar, np.full(calendar.periods, given["capacity_factor"]))
    curtailed = np.where(midday & of_day, offered * calendar.hours(), 0.0)
    base = dataclasses.replace(contract, kind="baseload")

    def settle(of, curtailed_mwh, keep):
        return settle_ppa(
            of,
            calendar,
            capacity_factor=given["capacity_factor"],
            day_ahead_eur_per_mwh=price,
            curtailed_mwh=curtailed_mwh,
            keep_guarantees=keep,
            guarantee_eur_per_mwh=given["guarantee_eur_per_mwh"],
        )

    pays = {
        "kept": settle(contract, curtailed, True),
        "sold": settle(contract, curtailed, False),
        "baseload": settle(base, 0.0, True),
    }
    sums = ("taken_mwh", "curtailed_mwh", "energy_eur", "curtailment_eur", "cost_eur", "value_eur")
    found = {
        name: {
            "by_day_taken_mwh": np.add.reduceat(pay.taken_mwh, calendar.day_edges[:-1]),
            **{key: getattr(pay, key).sum() for key in (*sums, "guarantees_eur", "retired_mwh")},
        }
        for name, pay in pays.items()
    }
    split = split_between(
        [Party(**row) for row in given["parties"]],
        cost_eur=pays["kept"].cost_eur,
        benefit_eur=pays["kept"].benefit_eur,
        operated_mwh=pays["kept"].taken_mwh,
        fee_eur_per_mwh=given["fee_eur_per_mwh"],
    )
    return found | {"split_eur": {name: net.sum() for name, net in split.items()}}


def imbalance(given):
    found = {}
    for name, states in (("dual", given["state"]), ("single", given["single_state"])):
        short, long = imbalance_prices(
            states,
            up_eur_per_mwh=numbers(given["up_eur_per_mwh"]),
            down_eur_per_mwh=numbers(given["down_eur_per_mwh"]),
            mid_eur_per_mwh=numbers(given["mid_eur_per_mwh"]),
        )
        pay = settle_imbalance(
            contracted_mwh=given["contracted_mwh"],
            metered_mwh=given["metered_mwh"],
            short_eur_per_mwh=short,
            long_eur_per_mwh=long,
        )
        found[name] = {
            "short_eur_per_mwh": short,
            "long_eur_per_mwh": long,
            "short_mwh": pay.short_mwh,
            "long_mwh": pay.long_mwh,
            "cost_eur": pay.cost_eur,
            "revenue_eur": pay.revenue_eur,
            "net_total_eur": pay.net_eur.sum(),
        }
    return found


def clock_change(given):
    found = {}
    for day in given["days"]:
        calendar = MarketCalendar.of(day, 1)
        of_block = blocks(calendar, product_on("fcr", day))
        pay = settle_fcr(**given["fcr"] | {"awarded_mw": [given["fcr"]["awarded_mw"]] * 6})
        found[day] = {
            "quarters": calendar.periods,
            "quarters_of_block": np.bincount(of_block),
            "energy_mwh": (given["import_mw"] * calendar.hours()).sum(),
            "fcr_eur": pay.net_eur.sum(),
        }
    found["in_time"] = {}
    for day, moments in given["announced"].items():
        calendar = MarketCalendar.of(day, 1)
        rights = TransportRights((TransportRight("new", Form.DURATION_BOUND, 60),), rights_on(day))
        found["in_time"][day] = [
            bool(
                rights.limits(
                    calendar,
                    [
                        Restriction(
                            "new", instant_ns(moment), calendar.begin_ns, calendar.end_ns, 0.0
                        )
                    ],
                ).accepted
            )
            for moment in moments
        ]
    return found


def carbon(given):
    load = given["load_mwh"]
    account = carbon_account(
        load_mwh=load,
        cfe_mwh=given["cfe_mwh"],
        average_kg_per_mwh=given["average_kg_per_mwh"],
        residual_kg_per_mwh=given["residual_kg_per_mwh"],
        marginal_kg_per_mwh=given["marginal_kg_per_mwh"],
        grid_cfe_share=given["grid_cfe_share"],
        hour=range(len(load)),
    )
    totals = ("location", "market", "hourly", "marginal")
    shares = ("annual_matched", "cfe", "hours_matched", "cfe_with_grid")
    return {
        **{f"{name}_total_kg": getattr(account, f"{name}_total_kg") for name in totals},
        **{f"{name}_share": getattr(account, f"{name}_share") for name in shares},
        **{name: getattr(account, name) for name in ("matched_mwh", "excess_mwh", "hourly_kg")},
        "water_m3": indirect_water_m3(load, given["mix"], given["day"]).sum(),
    }


CASES = {
    "tariff_bill": tariff,
    "fcr": fcr,
    "afrr": afrr,
    "ppa": ppa,
    "imbalance": imbalance,
    "clock_change": clock_change,
    "carbon": carbon,
}


@pytest.mark.parametrize("folder", of(CASES), ids=lambda path: path.name)
def test_the_code_says_what_was_calculated_by_hand(folder):
    hold(folder, CASES)
