"""The methods of forecasting beside each other: what each may know, and how far each is off."""

import dataclasses
import datetime as dt
from functools import cache

import numpy as np
import pytest

from gigafactory.grid import MarketCalendar, Signals, real_signals_from_folder, synthetic_signals
from gigafactory.jobs.services import synthetic_rates
from gigafactory.planner import learned
from gigafactory.planner.forecast import (
    CHOICES,
    DEFAULTS,
    METHODS,
    Information,
    NotYetKnownError,
    backtest,
    forecast,
    gate_forecast,
    pinball_loss,
    published_until,
)
from gigafactory.planner.scenarios import scenarios
from gigafactory.plant.thermal import wet_bulb_c

YEAR = MarketCalendar.of(dt.date(2026, 1, 1), 365)
NAMES = [name for name in METHODS if name != "load"]
#: Days from which on the learned method answers, and which the tests ask about.
LATER = (87, 90, 200, 298, 363)  # the clocks change on days 87 and 297


@cache
def world() -> Signals:
    return synthetic_signals(YEAR, 1)


@cache
def rates() -> np.ndarray:
    made = synthetic_rates(YEAR.begin_ns, YEAR.periods, 900.0, seed=1, name="chat")
    return 40.0 * made.rate_rps


def actual_of(signals: Signals, name: str) -> np.ndarray:
    if name == "wet_bulb":
        return np.asarray(wet_bulb_c(signals.temperature.values, signals.humidity.values))
    return rates() if name == "chat" else getattr(signals, name).values


def known_at(now_ns: int, signals: Signals | None = None) -> Information:
    return Information(signals or world(), YEAR, now_ns, {"chat": rates()})


def garbage_after(now_ns: int, rng: np.random.Generator) -> Information:
    """The same past, and after it numbers that would show wherever they got in."""
    ended = int(np.searchsorted(YEAR.start_ns[1:], now_ns, side="right"))
    changed = {}
    for series in world():
        first = published_until(YEAR, now_ns) if series.name == "price" else ended
        values = series.values.copy()
        values[first:] = rng.uniform(-1e9, 1e9, len(values) - first)
        changed[series.name] = dataclasses.replace(series, values=values)
    load = rates().copy()
    load[ended:] = rng.uniform(0, 1e9, len(load) - ended)
    return Information(Signals(**changed), YEAR, now_ns, {"chat": load})


@pytest.mark.parametrize("method", CHOICES)
@pytest.mark.parametrize(
    ("day", "hour", "minute"),
    [(1, 9, 0), (20, 0, 0), (87, 0, 0), (88, 11, 45), (200, 13, 7), (298, 0, 0), (363, 23, 59)],
)
def test_garbage_in_the_future_changes_no_forecast(method, day, hour, minute):
    now_ns = YEAR.local_ns(day, hour, minute)
    rng = np.random.default_rng([day, hour])
    for name in (*NAMES, "chat"):
        one = forecast(known_at(now_ns), name, 192, method)
        learned._FITS.clear()  # so that the second world is learned from anew
        other = forecast(garbage_after(now_ns, rng), name, 192, method)
        assert one.values.tobytes() == other.values.tobytes(), name
        assert one.method == other.method
        assert np.isfinite(one.values).all()
        assert (np.diff(one.values, axis=0) >= -1e-9).all()


@pytest.mark.parametrize("method", CHOICES)
def test_garbage_in_the_future_changes_no_scenario(method):
    now_ns = YEAR.local_ns(120, 11, 45)
    other = garbage_after(now_ns, np.random.default_rng(3))
    for name in ("price", "solar", "chat"):
        one = scenarios(known_at(now_ns), name, 194, 7, method)
        learned._FITS.clear()
        assert one.tobytes() == scenarios(other, name, 194, 7, method).tobytes()


def test_information_can_be_cut_back_and_not_forward():
    now_ns = YEAR.local_ns(100, 14)
    now = known_at(now_ns)
    for at_ns in (now_ns, YEAR.local_ns(100, 12, 59), YEAR.local_ns(40, 3, 20)):
        cut, fresh = now.earlier(at_ns), known_at(at_ns)
        assert (cut.period, cut.now_ns) == (fresh.period, fresh.now_ns)
        for name in (*NAMES, "chat"):
            assert cut.history(name).tobytes() == fresh.history(name).tobytes()
            assert forecast(cut, name, 50).values.tobytes() == (
                forecast(fresh, name, 50).values.tobytes()
            )
    with pytest.raises(NotYetKnownError, match="only less can be known"):
        now.earlier(now_ns + 1)


def test_hours_are_whole_and_their_means():
    known = known_at(YEAR.local_ns(3, 10, 37))
    hours = known.hourly("temperature")
    assert len(hours) == known.period // 4
    assert hours == pytest.approx(
        known.history("temperature")[: len(hours) * 4].reshape(-1, 4).mean(axis=1)
    )
    assert len(known.hourly("price")) == 4 * 24
    assert not hours.flags.writeable


def test_a_forecast_depends_on_what_is_known_and_not_on_what_was_forecast_before():
    asked = [(day, name) for day in LATER for name in ("price", "wind_onshore", "chat")]

    def values(order):
        learned._FITS.clear()
        return {
            key: forecast(known_at(YEAR.local_ns(key[0], 0)), key[1], 148).values.tobytes()
            for key in order
        }

    assert values(asked) == values(asked[::-1])


def test_fits_are_kept_for_a_week_and_few_at_once(monkeypatch):
    made = []
    fitted = learned._fitted
    monkeypatch.setattr(learned, "_fitted", lambda *a: made.append(a[1]) or fitted(*a))
    learned._FITS.clear()
    for day in range(84, 98):
        forecast(known_at(YEAR.local_ns(day, 0)), "carbon", 148)
    assert made == ["carbon", "carbon"]
    monkeypatch.setattr(learned, "KEPT", 2)
    for name in ("price", "solar", "temperature"):
        forecast(known_at(YEAR.local_ns(97, 0)), name, 148)
    assert len(learned._FITS) <= 3


@pytest.mark.parametrize("method", CHOICES)
def test_from_the_first_instant_on_there_is_a_forecast_that_names_its_method(method):
    begins = {"persistence": 2, "mean_course": 0, "learned": 77}[method]
    for name in (*NAMES, "chat"):
        for day, hour in ((-1, 20), (-1, 1), (0, 0), (0, 7), (begins, 0)):
            made = forecast(known_at(YEAR.local_ns(day, hour)), name, 148, method)
            assert len(made) == 148
            assert np.isfinite(made.values).all()
            assert made.method == (method if day == begins else "mean_course")
    known = known_at(YEAR.local_ns(100, 0))
    assert forecast(known, "price", 96, method).method == "published"


def test_persistence_is_the_same_time_of_day_before():
    midnight = YEAR.local_ns(150, 0)
    made = forecast(known_at(midnight), "temperature", 192, "persistence")
    before = world().temperature.values[YEAR.day_slice(149)]
    assert np.array_equal(made.median(), np.tile(before, 2))
    prices = forecast(known_at(midnight), "price", 192, "persistence")
    today = world().price.values[YEAR.day_slice(150)]
    assert np.array_equal(prices.median(), np.tile(today, 2))  # the last day that is known
    spread = made.at(0.9) - made.at(0.1)
    assert spread[100:].mean() > spread[:90].mean()


def test_persistence_keeps_the_time_of_day_across_a_change_of_the_clocks():
    by_hour = np.floor(YEAR.local_hour)
    for day in (87, 88, 297, 298):
        known = Information(world(), YEAR, YEAR.local_ns(day, 0), {"hours": by_hour})
        made = forecast(known, "hours", 96, "persistence")
        assert np.array_equal(made.median()[16:92], by_hour[known.period :][16:92])


def test_nothing_shines_at_night():
    known = known_at(YEAR.local_ns(170, 0))
    made = forecast(known, "solar", 148)
    assert made.method == "learned"
    assert made.values[:, :8].max() == 0.0
    assert made.median()[40:56].mean() > 0.1


def test_the_gate_sees_the_end_of_tomorrow_without_its_prices():
    known = known_at(YEAR.local_ns(200, 11, 45))
    made = gate_forecast(known)
    ends = YEAR.day_edges[202]
    assert made.valid_ns[-1] == YEAR.start_ns[ends + 4 * 12 - 1]
    assert known.known("price") == YEAR.day_edges[201]
    tomorrow = YEAR.day_edges[201] - known.period
    assert (made.at(0.9) - made.at(0.1))[tomorrow:].min() > 0.0
    assert made.method == DEFAULTS["price"] == "learned"
    assert len(gate_forecast(known_at(YEAR.local_ns(364, 11, 45)))) == 49  # the calendar ends
    assert len(gate_forecast(known_at(YEAR.local_ns(-1, 11, 45)))) == 96 + 48
    with pytest.raises(ValueError, match="no tomorrow"):
        gate_forecast(known_at(YEAR.end_ns))


def test_scenarios_are_as_spread_as_the_errors_were_and_keep_what_is_known():
    known = known_at(YEAR.local_ns(200, 0))
    paths = scenarios(known, "price", 148, 20)
    made = forecast(known, "price", 148)
    assert paths.shape == (20, 148)
    assert np.array_equal(paths[:, :96], np.tile(made.median()[:96], (20, 1)))
    assert len({path.tobytes() for path in paths}) > 10
    inside = (made.at(0.1)[96:] <= paths[:, 96:]) & (paths[:, 96:] <= made.at(0.9)[96:])
    assert 0.5 < inside.mean() < 0.95
    sun = scenarios(known, "solar", 148, 20)
    assert sun.min() >= 0.0
    assert sun.max() <= 1.0
    # an hour is like its neighbour: the paths are courses, not noise
    wind = scenarios(known, "wind_onshore", 148, 30)
    off = wind - wind.mean(axis=0)
    assert np.corrcoef(off[:, 50], off[:, 54])[0, 1] > 0.6


def test_scenarios_of_the_first_days_are_quantiles():
    for day in (0, 1, 6):
        known = known_at(YEAR.local_ns(day, 0))
        paths = scenarios(known, "wind_onshore", 96, 5)
        assert np.array_equal(paths, np.sort(paths, axis=0))
        assert paths[2] == pytest.approx(forecast(known, "wind_onshore", 96).median())
    assert scenarios(known_at(YEAR.end_ns), "price", 96, 3).shape == (3, 0)


@pytest.mark.parametrize("method", CHOICES)
def test_a_meter_that_stopped_is_forecast_from_what_it_said(method):
    known = Information(world(), YEAR, YEAR.local_ns(200, 0), {"meter": rates()[: 150 * 96]})
    made = forecast(known, "meter", 148, method)
    assert made.method != "learned"
    assert made.median().mean() == pytest.approx(rates()[: 150 * 96].mean(), rel=0.3)


def test_bad_input_is_refused():
    known = known_at(YEAR.local_ns(30, 0))
    with pytest.raises(ValueError, match="'oracle' is no forecasting method; choose one of"):
        forecast(known, "price", 96, "oracle")
    with pytest.raises(ValueError, match="horizon of -1"):
        forecast(known, "price", -1)
    with pytest.raises(KeyError, match="no_such"):
        forecast(known, "no_such", 96)
    with pytest.raises(ValueError, match="0 scenarios"):
        scenarios(known, "price", 96, 0)


@pytest.mark.slow
def test_a_request_rate_is_forecast_like_any_load():
    pinball, mae = {}, {}
    for method in CHOICES:
        report = backtest(
            world(), YEAR, "chat", horizon=148, skip=77 * 96, every=3 * 96, method=method,
            metered={"chat": rates()},
        )  # fmt: skip
        assert report.name == "chat"
        assert report.count[:6].min() > 0
        pinball[method], mae[method] = report.pinball[:6].mean(), report.mae[:6].mean()
    assert pinball["learned"] < 0.97 * pinball["mean_course"] < pinball["persistence"]
    assert mae["learned"] < 1.03 * mae["mean_course"] < mae["persistence"]


def judged(signals, calendar, name, method, every):
    """Mean absolute error, pinball loss and share within 10..90 % of what was not known."""
    actual, off, loss, inside = actual_of(signals, name), [], [], []
    gate = name == "price"
    for day in range(77, calendar.days - 3, every):
        now_ns = calendar.local_ns(day, 11, 45) if gate else calendar.local_ns(day, 0)
        known = Information(signals, calendar, now_ns, {"chat": rates()})
        made = forecast(known, name, 194 if gate else 148, method)
        came = actual[known.period :][: len(made)]
        first = max(0, known.known(name) - known.period)
        off.append(np.abs(made.median() - came)[first:].mean())
        loss.append(pinball_loss(made, came)[:, first:].mean())
        low, high = made.at(0.1) - 1e-9, made.at(0.9) + 1e-9
        inside.append(((low <= came) & (came <= high))[first:].mean())
    return np.array([np.mean(off), np.mean(loss), np.mean(inside)])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "chat"])
def test_quantiles_hold_what_they_say_on_a_synthetic_year(name):
    assert 0.70 < judged(world(), YEAR, name, None, 4)[2] < 0.90


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, "chat"])
def test_learned_is_nowhere_much_worse_than_the_mean_course(name):
    """By more than a tenth only on the imbalance price, which has another default."""
    mine, plain = (judged(world(), YEAR, name, m, 4) for m in (None, "mean_course"))
    assert mine[0] < 1.10 * plain[0]
    assert mine[1] < 1.05 * plain[1]


@pytest.fixture(scope="module")
def real_2024(data_dir):
    calendar = MarketCalendar.of(dt.date(2024, 1, 1), 366)
    return real_signals_from_folder(calendar, data_dir), calendar


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "less"),
    [
        ("price", 0.98),
        ("temperature", 0.97),
        ("wet_bulb", 1.0),
        ("humidity", 1.03),
        ("wind_offshore", 0.98),
        ("wind_onshore", 0.87),
        ("solar", 0.98),
        ("carbon", 0.87),
        ("heat_demand", 0.92),
    ],
)
def test_learned_beats_the_mean_course_on_real_2024(real_2024, name, less):
    """Mean absolute error at most so many times that of the mean course, and the spread holds."""
    signals, calendar = real_2024
    mine, plain = (judged(signals, calendar, name, m, 2) for m in ("learned", "mean_course"))
    assert mine[0] < less * plain[0]
    assert mine[1] < min(less, 1.0) * plain[1]
    assert (0.64 if name == "price" else 0.70) < mine[2] < 0.90


@pytest.mark.slow
@pytest.mark.data
def test_an_imbalance_price_is_left_to_the_simple_method(real_2024):
    signals, calendar = real_2024
    mine, plain = (judged(signals, calendar, "imbalance", m, 4) for m in ("learned", "mean_course"))
    assert plain[0] < 0.9 * mine[0]
    assert DEFAULTS["imbalance"] == "mean_course"


@pytest.mark.parametrize("rows", [34, 120, 365])
def test_ridge_is_that_of_scikit_learn_to_the_last_bit(rows):
    # fewer rows than features, and more; columns laid out as those of a block held out
    from sklearn.linear_model import Ridge

    random = np.random.default_rng(rows)
    x, y = random.normal(size=(rows, 58)), random.normal(size=(rows, 48)).cumsum(axis=1)
    weight = 0.5 ** (np.arange(rows)[::-1] / 180.0)
    with learned._one_thread().limit(limits=1):
        weights, constant = learned._ridge(x, y, weight)
        made = Ridge(alpha=learned.RIDGE, solver="cholesky").fit(x, y, sample_weight=weight)
    np.testing.assert_array_equal(weights, made.coef_.T)
    np.testing.assert_array_equal(constant, made.intercept_)
