"""How long a job may be for waiting to pay: what a late start saves against what its delay costs.

The linear programme moves work as a fluid, hour by hour. A job that starts runs on, through dear
hours as through cheap ones, so putting off its start moves all of its energy at once: what counts
is the mean price over its run. A short job gains the whole difference between two hours, one of
days nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Run times looked at, h; a job no longer than one of these gains at least what that one gains.
RUNS_H: Final = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0)
#: Longest wait looked at, h.
WAIT_H: Final = 12


def longest_h(
    price_eur_per_mwh: Array, step_h: float, active_w: float, delay_eur_per_gpu_h: float, count: int
) -> Array:
    """The longest run time for which waiting pays, h, for each of the first steps.

    Waiting pays where some later start within `WAIT_H` saves more energy cost than the delay costs:
    power times the difference of the mean prices over the run, against the cost of an
    accelerator-hour's delay by a day times the part of a day waited. Longer run times count only
    where all shorter ones pay as well.

    Args:
        price_eur_per_mwh: expected price from the first step on, [n]; its mean stands beyond.
        step_h: length of a step, h.
        active_w: what an accelerator at work draws above rest, losses and cooling included, W.
        delay_eur_per_gpu_h: cost of an accelerator-hour put off by a day, EUR.
        count: steps asked for, at most n.

    Returns:
        float64[count]; 0 where waiting pays for no job.
    """
    n = len(price_eur_per_mwh)
    waits = round(WAIT_H / step_h)
    runs = [max(1, round(run / step_h)) for run in RUNS_H]
    beyond = np.full(waits + runs[-1], price_eur_per_mwh.mean())
    summed = np.concatenate([[0.0], np.cumsum(np.concatenate([price_eur_per_mwh, beyond]))])
    cost_eur = delay_eur_per_gpu_h / 24.0 * step_h * np.arange(1, waits + 1)
    at = np.arange(n + waits)
    longest, pays = np.zeros(count), np.ones(count, np.bool_)
    for run_h, run in zip(RUNS_H, runs, strict=True):
        mean = (summed[at + run] - summed[at]) / run
        later = np.lib.stride_tricks.sliding_window_view(mean, waits + 1)[:count]
        saved = active_w / 1e6 * (later[:, :1] - later[:, 1:]) - cost_eur
        pays &= saved.max(axis=1) > 0.0
        longest[pays] = run_h
    return longest
