"""What the market for balancing reserves does: capacity prices, and when reserves are called on.

No Dutch series of these is at hand, so prices are made up and say so. When aFRR is called follows
from the imbalance price: in the Netherlands it is the price of the last bid activated, so a price
above the day-ahead price means that energy was activated upwards, one below it downwards. How hard
FCR works follows from a frequency, day by day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.streams import stream
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.frequency import COMES_S, FADES_S, HOURLY_HZ, MEMORY_S, NOISE_HZ
from gigafactory.grid.products import ProductRules, blocks
from gigafactory.grid.series import Series, SourceRow
from gigafactory.grid.settlement import imbalance_prices
from gigafactory.grid.synthetic import smooth_noise
from gigafactory.units import S_PER_H

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Six blocks of a day against their mean: Dutch FCR prices of 24 October 2023 and 6 and 14 February
#: 2024 (Regelleistung.net, 18 blocks, mean 40.8, standard deviation 13.0 EUR/MW and block).
_FCR_BLOCKS: Final = (1.134, 1.153, 0.918, 0.995, 1.001, 0.799)
#: Spread of the logarithm: 13.0 / 40.8 of the same blocks, and 42.6 / 53.3 of aFRR up in a Danish
#: series (DK1, October 2024 to May 2025) as a proxy. What spreads from day to day and from block to
#: block is split as in the 18 blocks (11.1 and 6.8).
_FCR_SPREAD, _AFRR_SPREAD = 0.31, 0.70
_DAYS, _BLOCKS = 0.87, 0.49
#: Hours over which a price level and a block's own deviation are remembered; assumptions.
_LEVEL_H, _OWN_H = 72.0, 4.0
#: Share of the settlement periods of 2024 in which both directions were activated: TenneT, those of
#: 35,132 in which the short paid another price than the long received.
BOTH_SHARE: Final = 0.165
#: Seconds between two samples of the frequency. The noise forgets in 300 s, so little is lost.
SAMPLE_S: Final = 20
_LONGEST_H: Final = 25
_CHUNK_DAYS: Final = 61


@dataclass(frozen=True, slots=True, eq=False)
class FcrWork:
    """How FCR works in every market period, of the MW sold; shape [P] each.

    Attributes:
        up_time_share: share of the period in which the frequency is low and power is given.
        up_depth: mean share of the MW that is given while it is.
        down_time_share: share in which the frequency is high and power is taken.
        down_depth: mean share taken while it is.
    """

    up_time_share: Array
    up_depth: Array
    down_time_share: Array
    down_depth: Array


@dataclass(frozen=True, slots=True, eq=False)
class ReserveSignals:
    """The reserve market over a calendar, each series with its provenance.

    Attributes:
        fcr: price of FCR per MW and hour, EUR/MWh; one value in a capacity block.
        up: of aFRR up, likewise.
        down: of aFRR down.
        work: how hard FCR works.
        origin: where the frequency comes from.
    """

    fcr: Series
    up: Series
    down: Series
    work: FcrWork
    origin: SourceRow

    def price(self, product: str) -> Series:
        """The capacity price of "fcr", "up" or "down"."""
        return {"fcr": self.fcr, "up": self.up, "down": self.down}[product]

    @property
    def synthetic(self) -> bool:
        """Whether any price was made by our generator."""
        return any(s.state == "synthetic" for s in (self.fcr, self.up, self.down))

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of every series, one row each."""
        return (self.fcr.row(), self.up.row(), self.down.row(), self.origin)


def synthetic_reserves(
    calendar: MarketCalendar,
    seed: int,
    fcr_rules: ProductRules,
    afrr_rules: ProductRules,
    *,
    fcr_eur_per_mw: float,
    up_eur_per_mwh: float,
    down_eur_per_mwh: float,
) -> ReserveSignals:
    """Make up capacity prices and how hard FCR works.

    Prices are lognormal around the levels given, remembered over days. A block has the same price
    in every calendar that contains it, whatever the other blocks are.

    Args:
        calendar: the market periods.
        seed: the run's seed.
        fcr_rules: of FCR, for its blocks.
        afrr_rules: of aFRR.
        fcr_eur_per_mw: mean price of FCR per MW and block.
        up_eur_per_mwh: mean price of aFRR up per MW and hour.
        down_eur_per_mwh: mean price of aFRR down per MW and hour.
    """
    a_day = round(24 * 60 / fcr_rules.block_min)
    own = np.interp(np.arange(a_day) * 6 / a_day, np.arange(6), _FCR_BLOCKS)
    block = blocks(calendar, fcr_rules)
    # a block is paid by the MW whatever its length: by the hour it is dearer where it is shorter
    hours = np.bincount(block)[block] * (calendar.period_s / S_PER_H)
    fcr = _around(calendar, seed, "fcr price", block, _FCR_SPREAD) * own[block % a_day]
    day = blocks(calendar, afrr_rules)
    note = f"synthetic, seed {seed}; no Dutch series was at hand"

    def series(name: str, values: Array, words: str, year: int) -> Series:
        return Series(name, "EUR/MWh", values, words, year, "synthetic", note)

    sample = "our generator, calibrated on: Regelleistung.net, 18 blocks of three days, NL"
    proxy = "our generator; level an assumption, spread of a Danish series (DK1, 2024/25)"
    up = _around(calendar, seed, "afrr up price", day, _AFRR_SPREAD) * up_eur_per_mwh
    down = _around(calendar, seed, "afrr down price", day, _AFRR_SPREAD) * down_eur_per_mwh
    work = fcr_work(calendar, seed, fcr_rules)
    return ReserveSignals(
        fcr=series("fcr_price", fcr * fcr_eur_per_mw / hours, sample, 2024),
        up=series("afrr_up_price", up, proxy, 2025),
        down=series("afrr_down_price", down, proxy, 2025),
        work=work,
        origin=SourceRow(
            "signals.frequency_work",
            float(
                (work.up_time_share * work.up_depth + work.down_time_share * work.down_depth).mean()
            ),
            "mean share of the FCR sold",
            "our generator, calibrated on: netzfrequenz.info, 14 June 2016, 0.096",
            2016,
            "synthetic",
            f"noise and an hourly deviation every {SAMPLE_S} s, seed {seed}",
        ),
    )


def _around(
    calendar: MarketCalendar, seed: int, name: str, block: npt.NDArray[np.int64], spread: float
) -> Array:
    """A lognormal factor of mean 1 per period, one value in a block."""
    level = smooth_noise(calendar, seed, name, _LEVEL_H)
    own = smooth_noise(calendar, seed, f"{name} own", _OWN_H)
    _, first, of = np.unique(block, return_index=True, return_inverse=True)
    latent = spread * (_DAYS * level + _BLOCKS * own)[first]
    return np.asarray(np.exp(latent - 0.5 * spread**2)[of])


def fcr_work(calendar: MarketCalendar, seed: int, rules: ProductRules) -> FcrWork:
    """Reduce a made-up frequency to how FCR works in every market period.

    Every local day has a stream of its own: an Ornstein-Uhlenbeck process and the deviation after
    each full hour, as in `gigafactory.grid.frequency`, sampled every `SAMPLE_S`.

    Args:
        calendar: the market periods.
        seed: the run's seed.
        rules: of FCR, for its insensitivity and full deviation.
    """
    per_period = calendar.period_s // SAMPLE_S
    out = np.zeros((4, calendar.periods))
    for first in range(0, calendar.days, _CHUNK_DAYS):
        days = range(first, min(first + _CHUNK_DAYS, calendar.days))
        deviation = _deviation_hz(seed, [calendar.local_dates[d].isoformat() for d in days])
        share = np.clip(-deviation / rules.full_deviation_hz, -1.0, 1.0)
        share[np.abs(deviation) <= rules.insensitivity_hz] = 0.0
        share = share.reshape(len(days), -1, per_period)
        for row, sign in ((0, 1.0), (2, -1.0)):
            given = np.maximum(sign * share, 0.0)
            active = (given > 0.0).mean(axis=2)
            depth = given.mean(axis=2) / np.maximum(active, 1e-12)
            for k, day in enumerate(days):
                span = calendar.day_slice(day)
                n = span.stop - span.start
                out[row, span], out[row + 1, span] = active[k, :n], depth[k, :n]
    return FcrWork(*out)


def _deviation_hz(seed: int, dates: list[str]) -> Array:
    """Deviation from 50 Hz over days of 25 hours, [days, samples]; shorter days are cut."""
    samples = _LONGEST_H * S_PER_H // SAMPLE_S
    per_hour = S_PER_H // SAMPLE_S
    noise = np.empty((samples, len(dates)))
    sizes = np.empty((_LONGEST_H, len(dates)))
    for k, date in enumerate(dates):
        draw = stream(seed, "reserves", "frequency", date)
        noise[:, k] = draw.standard_normal(samples)
        sizes[:, k] = draw.standard_normal(_LONGEST_H)
    keep = math.exp(-SAMPLE_S / MEMORY_S)
    noise[1:] *= math.sqrt(1.0 - keep * keep)
    for t in range(1, samples):
        noise[t] += keep * noise[t - 1]
    since = np.arange(per_hour) * SAMPLE_S
    shape = np.exp(-since / FADES_S) - np.exp(-since / COMES_S)
    hourly = HOURLY_HZ * sizes[:, None, :] * shape[None, :, None]
    return np.ascontiguousarray((NOISE_HZ * noise + hourly.reshape(samples, -1)).T)


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """What the grid operator activates of aFRR in every market period, shape [P].

    Attributes:
        state: regulation state, one of `settlement.REGULATION_STATES`.
        up_eur_per_mwh: price of the last bid activated upwards, EUR/MWh; nan where there was none.
        down_eur_per_mwh: likewise downwards.
        short_eur_per_mwh: imbalance price the short pay under dual pricing, EUR/MWh.
        long_eur_per_mwh: what the long receive, EUR/MWh.
    """

    state: npt.NDArray[np.int64]
    up_eur_per_mwh: Array
    down_eur_per_mwh: Array
    short_eur_per_mwh: Array
    long_eur_per_mwh: Array


def activation_of(
    calendar: MarketCalendar, seed: int, price_eur_per_mwh: Array, imbalance_eur_per_mwh: Array
) -> Activation:
    """Read out of day-ahead and imbalance prices what was activated.

    The imbalance price is that of the last bid activated (read in secondary sources, see
    `settlement.imbalance_prices`). In `BOTH_SHARE` of the periods, drawn at random, the other
    direction was activated as well, as far on the other side of the day-ahead price, which stands
    for the mid price: so the short pay 168 EUR/MWh more than the long receive there on average,
    where it was 182 in 2024.

    Args:
        calendar: the market periods.
        seed: the run's seed.
        price_eur_per_mwh: day-ahead price, [P].
        imbalance_eur_per_mwh: imbalance price, [P].
    """
    draws = np.empty(calendar.periods)
    for day, date in enumerate(calendar.local_dates):
        span = calendar.day_slice(day)
        draw = stream(seed, "reserves", "both", date.isoformat())
        draws[span] = draw.random(span.stop - span.start)
    stray = imbalance_eur_per_mwh - price_eur_per_mwh
    both = (draws < BOTH_SHARE) & (stray != 0.0)
    up = np.where(
        stray > 0, imbalance_eur_per_mwh, np.where(both, price_eur_per_mwh - stray, np.nan)
    )
    down = np.where(
        stray < 0, imbalance_eur_per_mwh, np.where(both, price_eur_per_mwh - stray, np.nan)
    )
    state = np.where(both, 2, np.sign(stray).astype(np.int64))
    short, long = imbalance_prices(
        state, up_eur_per_mwh=up, down_eur_per_mwh=down, mid_eur_per_mwh=price_eur_per_mwh
    )
    return Activation(state, up, down, short, long)


__all__ = [
    "BOTH_SHARE",
    "Activation",
    "FcrWork",
    "ReserveSignals",
    "activation_of",
    "fcr_work",
    "synthetic_reserves",
]
