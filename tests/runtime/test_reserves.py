"""Runs that sell balancing reserves: what is kept, what is proved, what is known when."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from gigafactory.adapters.twin import SENSES
from gigafactory.engine.errors import BadInput
from gigafactory.engine.journal import Journal, frames, record_of
from gigafactory.factory import load_factory
from gigafactory.ledger import METERS, Book
from gigafactory.plant import load_catalogue
from gigafactory.report import write_report
from gigafactory.runtime.desks import desks_of
from gigafactory.runtime.loop import Loop, Trace
from gigafactory.runtime.replay import rebuild, replay, verify
from gigafactory.runtime.reserves import Sale
from gigafactory.runtime.run import Quiet, RunOptions, read_inputs, resume_run, start_run
from gigafactory.runtime.wiring import build
from gigafactory.testing.factories import FIRST_DAY, SmallFactory, SmallPool, SmallSite, write_jobs

DAYS = 4
BLOCK = {"site": "site0", "fcr": "2 MW", "afrr_up": "3 MW", "afrr_down": "3 MW"}
SITES = (SmallSite((SmallPool("H100", 900),), 1.6, battery=1.0, battery_h=4.0, export=0.3),)
M = {name: i for i, name in enumerate(METERS)}


def factory(**block):
    changes = {"energy.reserves": [BLOCK | block]}
    market = block.pop("market", {})
    changes["energy.reserves"] = [BLOCK | block]
    return SmallFactory(
        SITES, changes=changes | {f"energy.market.{k}": v for k, v in market.items()}
    )


def options(place, made, jobs=300):
    return RunOptions(
        factory=str(made.write(place / "factory.yaml")),
        jobs=str(write_jobs(place / "jobs.csv", made.pools, jobs, DAYS * 0.9, 5)),
        start=FIRST_DAY.isoformat(),
        days=DAYS,
        seed=4,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("reserves")
    asked = options(place, factory())
    outcome = start_run(asked, out=place / "run", reporter=write_report)
    return asked, outcome


def test_reserves_are_sold_and_paid_and_proved(run):
    _, outcome = run
    told = outcome.summary["reserves"]
    assert told["synthetic"] is True
    assert told["prices"] == "synthetic reserve prices"
    assert told["auctions"] == 2 * (DAYS - 1)
    by = {row["product"]: row for row in told["products"]}
    assert all(row["sold_mw_h"] > 0 and row["capacity_eur"] > 0 for row in by.values())
    paid = outcome.summary["money"]["paid_eur"]
    parts = ("fcr_capacity", "afrr_capacity", "afrr_energy", "reserve_penalty")
    assert outcome.summary["money"]["reserves_eur"] == pytest.approx(-sum(paid[p] for p in parts))
    assert told["revenue_eur"] == pytest.approx(outcome.summary["money"]["reserves_eur"])
    # product by product it is the same money as in the accounts, to a few whole units
    gross = sum(
        row["capacity_eur"] + row["energy_eur"] - row["withheld_eur"] for row in by.values()
    )
    assert gross == pytest.approx(told["revenue_eur"], abs=1e-3)
    assert outcome.summary["conservation"]["holds"]
    folder, problems, _ = verify(outcome.folder)
    assert not problems
    assert not replay(folder)[1]


def test_the_contribution_to_the_grid_is_what_was_settled(run):
    """MW times hours held ready, and the share of it that was, from the journal and the money."""
    _, outcome = run
    book, _, _, _ = rebuild(outcome.folder)
    meter = book.meter[: book.periods, 0].astype(float)

    def metered(name):
        return meter[:, M[name]]

    accounts = pq.read_table(outcome.folder / "accounts.parquet")
    paid = {"fcr": 0.0, "afrr": 0.0}
    for row in outcome.summary["reserves"]["products"]:
        name = row["product"]
        frames_mwh = metered(f"{name}_sold_wh").sum() / 1e6
        assert row["sold_mw_h"] == pytest.approx(frames_mwh)
        lacking = metered(f"{name}_lacking_wh").sum() / 1e6
        assert row["available_share"] == pytest.approx(1 - lacking / frames_mwh)
        assert 0.0 < row["available_share"] <= 1.0
        price = metered(f"{name}_price_micro_eur") / 1e6
        paid[name[:4].rstrip("_")] += float((metered(f"{name}_sold_wh") / 1e6 * price).sum())
    # what the settlement paid for it is what these MW and hours come to
    for product, eur in paid.items():
        settled = -float(accounts[f"paid.{product}_capacity_micro_eur"].to_numpy().sum()) / 1e6
        assert settled == pytest.approx(eur, rel=1e-6, abs=1e-3)


def test_what_was_sold_is_kept_in_every_period(run):
    """Sold at most what was prequalified; the schedule leaves it alone, in power and in energy."""
    asked, outcome = run
    book, trace, _, _ = rebuild(outcome.folder)
    made = load_factory(asked.factory)
    battery, block = made.energy.batteries[0], made.energy.reserves[0]
    n = book.periods

    def metered(name):
        return book.meter[:n, 0, M[name]] * 4 / 1e6

    sold = {name: metered(f"{name}_sold_wh") for name in ("fcr", "afrr_up", "afrr_down")}
    most = dict(zip(sold, block.products_mw.values(), strict=True))
    for name, power in sold.items():
        assert power.max() <= most[name] + 1e-6
        assert not power[:96].any()  # nobody could bid for the first day
    power = metered("charge_wh") + metered("discharge_wh")
    assert (power <= battery.power_mw + 1e-6).all()
    soc = trace.senses[:n, 0, SENSES.index("soc_mwh")]
    assert (soc >= battery.energy_mwh * battery.soc_min - 1e-6).all()
    assert (soc <= battery.energy_mwh * battery.soc_max + 1e-6).all()
    intents = [
        f.arrays["battery"][0] for f in frames(outcome.folder / "journal.gfj") if f.kind == "intent"
    ]
    ordered = np.array(intents)
    up, down = sold["fcr"] + sold["afrr_up"], sold["fcr"] + sold["afrr_down"]
    assert (ordered[:, 0] + down <= battery.power_mw + 1e-5).all()
    assert (ordered[:, 1] + up <= battery.power_mw + 1e-5).all()
    # the site does not import above its limit for a reserve
    assert outcome.summary["energy"]["beyond_limit_mwh"] == 0.0


def test_the_auctions_stand_in_the_journal(run):
    _, outcome = run
    _, trace, _, _ = rebuild(outcome.folder)
    told = [f for f in frames(outcome.folder / "journal.gfj") if f.kind == "reserve"]
    assert [Sale.of(dict(f.fields)) for f in told] == trace.sales
    for frame in told:
        for name, won in frame.arrays.items():
            if name.startswith("won_mw."):
                bid = frame.arrays[name.replace("won_mw", "bid_mw")]
                assert ((won == bid) | (won == 0.0)).all()
    order = [f.fields["auction"] for f in told]
    assert order == ["fcr", "afrr"] * (DAYS - 1)


class Stopper(Quiet):
    """Presses Ctrl-C when a number of days is done."""

    def __init__(self, day):
        self.at = day

    def days(self, done, total):  # noqa: ARG002  (its port's)
        if done == self.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
@pytest.mark.parametrize("day", [1, 3])
def test_stopped_and_resumed_is_undisturbed(run, tmp_path, day):
    asked, whole = run
    stopped = start_run(asked, Stopper(day), out=tmp_path / "run")
    assert stopped.summary["days_done"] == day
    resumed = resume_run(tmp_path / "run")
    assert resumed.summary["digest"] == whole.summary["digest"]
    for name in ("journal.gfj", "accounts.parquet", "series.parquet"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert resumed.summary["reserves"] == whole.summary["reserves"]


def turned(inputs, path: Path, change=None):
    """Turn the loop; the journal's entries as canonical records."""
    world = build(inputs.factory, inputs.scenario, inputs.calendar, inputs.signals, inputs.table,
                  load_catalogue(), "test", 4)  # fmt: skip
    if change is not None:
        world = change(world)
    with Journal.create(path) as journal:
        trace = Trace.empty(inputs.calendar.periods, len(world.sites))
        book = Book(world.header)
        desks = desks_of(world, inputs.calendar, book, journal, inputs.factory, inputs.table)
        Loop(world, inputs.calendar, journal, book, trace, desks=desks).run(0, lambda _: False)
    return [
        (f.kind, f.tick_ns, record_of(f.kind, f.tick_ns, f.fields, f.arrays)) for f in frames(path)
    ]


def test_nothing_decided_before_knows_what_comes_after(tmp_path):
    """Capacity prices from the third day of delivery on, and calls from the second day on."""
    asked = options(tmp_path, factory())
    inputs = read_inputs(asked, Quiet())
    calendar = inputs.calendar
    until, priced = calendar.day_slice(1).stop, calendar.day_slice(3).start
    now_ns = int(calendar.start_ns[until])

    def later(world):
        wire = world.sites[0]
        wires = wire.reserves
        far = np.arange(calendar.periods) >= priced

        def dearer(series):
            return replace(series, values=np.where(far, series.values * 3 + 7, series.values))

        signals = replace(
            wires.signals,
            fcr=dearer(wires.signals.fcr),
            up=dearer(wires.signals.up),
            down=dearer(wires.signals.down),
        )
        after = np.arange(calendar.periods) >= until
        called = {n: np.where(after, 1.0 - v, v) for n, v in wires.called_share.items()}
        up = np.where(after, 999.0, wires.activation.up_eur_per_mwh)
        activation = replace(wires.activation, up_eur_per_mwh=up)
        changed = replace(wires, signals=signals, called_share=called, activation=activation)
        return replace(world, sites=(replace(wire, reserves=changed),))

    plain, other = turned(inputs, tmp_path / "a.gfj"), turned(inputs, tmp_path / "b.gfj", later)
    before = [row for row in plain if row[1] < now_ns]
    assert [row for row in other if row[1] < now_ns] == before
    assert sum(kind == "reserve" for kind, _, _ in before) == 4
    assert [row for row in other if row[1] >= now_ns] != [row for row in plain if row[1] >= now_ns]
    # what is bid for the fourth day, though not what comes of it, knows nothing of its prices
    bids = [[r for r in rows if r[0] == "reserve"][4:6] for rows in (plain, other)]
    assert len(bids[0]) == len(bids[1]) == 2


@pytest.mark.slow
def test_bids_do_not_know_the_prices_they_meet(tmp_path):
    asked = options(tmp_path, factory())
    inputs = read_inputs(asked, Quiet())
    first = inputs.calendar.day_slice(1).start

    def dearer(world):
        wire = world.sites[0]
        far = np.arange(inputs.calendar.periods) >= first
        was = wire.reserves.signals
        fcr = replace(was.fcr, values=np.where(far, 0.0, was.fcr.values))
        changed = replace(wire.reserves, signals=replace(was, fcr=fcr))
        return replace(world, sites=(replace(wire, reserves=changed),))

    turned(inputs, tmp_path / "a.gfj")
    turned(inputs, tmp_path / "b.gfj", dearer)
    one, two = (
        next(f for f in frames(tmp_path / name) if f.kind == "reserve")
        for name in ("a.gfj", "b.gfj")
    )
    assert np.array_equal(one.arrays["bid_mw.fcr"], two.arrays["bid_mw.fcr"])
    assert np.array_equal(one.arrays["ask_eur_per_mw.fcr"], two.arrays["ask_eur_per_mw.fcr"])
    assert one.arrays["won_mw.fcr"].any()
    assert not two.arrays["won_mw.fcr"].any()


def test_without_the_block_nothing_is_sold(tmp_path):
    asked = options(tmp_path, SmallFactory(SITES))
    outcome = start_run(replace(asked, days=2), out=tmp_path / "run")
    assert outcome.summary["reserves"] is None
    assert outcome.summary["money"]["reserves_eur"] == 0.0
    book, _, _, _ = rebuild(outcome.folder)
    assert not book.meter[:, :, M["fcr_sold_wh"] : M["afrr_down_energy_micro_eur"] + 1].any()


@pytest.mark.slow
def test_two_prices_cost_more_than_one_and_exposure_shares_the_difference(tmp_path):
    paid = {}
    for name, market in (
        ("single", {}),
        ("dual", {"imbalance_pricing": "dual"}),
        ("half", {"imbalance_exposure": "50 %"}),
        ("none", {"imbalance_exposure": "0 %"}),
    ):
        place = tmp_path / name
        place.mkdir()
        made = SmallFactory(SITES, changes={f"energy.market.{k}": v for k, v in market.items()})
        outcome = start_run(replace(options(place, made), days=2), out=place / "run")
        assert outcome.summary["conservation"]["holds"]
        paid[name] = outcome.summary["yardstick"]["imbalance_eur"]
    assert paid["dual"] > paid["single"]
    assert paid["none"] == pytest.approx(0.0, abs=1e-3)
    assert paid["half"] == pytest.approx(paid["single"] / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("block", "key", "why"),
    [
        ({"fcr": "0.5 MW"}, "fcr", "smallest bid is 1 MW"),
        ({"fcr": "9 MW", "afrr_up": "9 MW"}, "afrr_up", "comes to 18 MW"),
        ({"fcr_reservoir": "10 min"}, "fcr_reservoir", "the rules ask for 30 min"),
        ({"fcr_reservoir": "9 h"}, "fcr_reservoir", "full reservoirs both ways"),
        ({"battery_afrr": False}, "afrr_down", "only a battery can carry it"),
        ({"sheds": {"research": "20 %"}}, "sheds.research", "did not agree"),
        ({"site": "elsewhere"}, "site", "no such site"),
        ({"tenants_agree": ["nobody"]}, "tenants_agree", "no such tenant"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_plain_words(tmp_path, block, key, why):
    path = factory(**block).write(tmp_path / "factory.yaml")
    with pytest.raises(BadInput) as told:
        load_factory(str(path))
    assert any(key in p.field and why in p.why for p in told.value.problems), told.value.problems


@pytest.mark.slow
def test_work_that_agreed_is_slowed_and_metered(tmp_path):
    made = factory(
        battery_afrr=False, afrr_down="0 MW", fcr="0 MW", shed_bid="-500 EUR/MWh", called="100 %",
        sheds={"research": "60 %", "fine_tuning": "60 %", "frontier_training": "60 %",
               "inference_batch": "60 %"},
        afrr_up="1 MW",
    )  # fmt: skip
    large = (SmallSite((SmallPool("H100", 4000),), 1.6, battery=0.1),)
    settings = replace(made, sites=large).settings()
    settings["energy"]["reserves"][0]["tenants_agree"] = [t["name"] for t in settings["tenants"]]
    for tenant in settings["tenants"]:
        for work in tenant["work"]:
            work["share"] = "80 %" if work["job_class"] == "research" else "0 %"
    path = tmp_path / "factory.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), "utf-8")
    asked = RunOptions(str(path), start=FIRST_DAY.isoformat(), days=6, seed=4)
    outcome = start_run(asked, out=tmp_path / "run")
    (up,) = [r for r in outcome.summary["reserves"]["products"] if r["product"] == "afrr_up"]
    assert up["sold_mw_h"] > 0
    assert up["asked_mwh"] > 0
    assert up["delivered_share"] > 0.5
    book, trace, _, _ = rebuild(outcome.folder)
    assert trace.speed[: book.periods, 0].min() < trace.speed.max()
    assert not verify(outcome.folder)[1]
