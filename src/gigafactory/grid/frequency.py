"""The grid's frequency, second by second: made up and said to be so, or measured.

The made-up one is noise around 50 Hz plus the deviation that follows every full hour, when plants
change their schedules faster than load does. It has the spread of the measured file; it is no
forecast of any day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.engine.streams import stream
from gigafactory.grid.files import read_columns

Array = npt.NDArray[np.float64]

#: The file of measured frequency in a folder of Dutch public data.
FREQUENCY_NAME: Final = "ce_grid_frequency_1s_2016-06-14.csv.gz"
_COLUMNS: Final = ("unix_s", "freq_hz")
_LOWEST_HZ, _HIGHEST_HZ = 45.0, 55.0
_LONGEST_S: Final = 366 * 86_400
_S_PER_H: Final = 3600

#: Spread and memory of the noise. With the hourly deviation the whole has the spread of the
#: measured file, 23.6 mHz; its autocorrelation there is 0.80 at 1 min, 0.69 at 2, 0.39 at 5.
NOISE_HZ: Final = 0.0228
MEMORY_S: Final = 300.0
#: The hourly deviation: its size, and the times in which it comes after the full hour and fades
#: again (assumptions; chosen so that noise and deviation together spread as measured).
HOURLY_HZ: Final = 0.04
COMES_S: Final = 30.0
FADES_S: Final = 240.0


@dataclass(frozen=True, slots=True, eq=False)
class Frequency:
    """Frequency by the second, with its provenance. The array is read-only.

    Attributes:
        start_s: first second, Unix time.
        frequency_hz: shape [N]; nan where it was not measured.
        source: who says so.
        year: year the source speaks of.
        state: ``measured`` or ``synthetic``.
        note: what a reader must know besides.
    """

    start_s: int
    frequency_hz: Array
    source: str
    year: int
    state: str
    note: str = ""

    def __post_init__(self) -> None:
        values = np.array(self.frequency_hz, dtype=np.float64)
        values.setflags(write=False)
        object.__setattr__(self, "frequency_hz", values)

    def __len__(self) -> int:
        return len(self.frequency_hz)

    @property
    def covered_share(self) -> float:
        """Share of the seconds with a measurement."""
        return float(np.isfinite(self.frequency_hz).mean())

    @property
    def spread_hz(self) -> float:
        """Standard deviation of what was measured."""
        return float(np.nanstd(self.frequency_hz))

    @property
    def activation_share(self) -> float:
        """Mean of abs(deviation) / 200 mHz: how hard FCR works."""
        return float(np.nanmean(np.abs(self.frequency_hz - 50.0)) / 0.2)


def synthetic_frequency(seed: int, seconds: int = 86_400, start_s: int = 0) -> Frequency:
    """Make up a frequency: an Ornstein-Uhlenbeck process and an hourly deviation.

    Args:
        seed: the run's seed.
        seconds: length.
        start_s: first second, Unix time; full hours are counted from it.

    Returns:
        The series, its state ``synthetic``.

    Raises:
        BadInput: no or too many seconds.
    """
    if not 0 < seconds <= _LONGEST_S:
        why = f"must be from 1 to {_LONGEST_S}"
        raise refuse("synthetic frequency", "seconds", seconds, why)
    keep = math.exp(-1.0 / MEMORY_S)
    white = stream(seed, "frequency", "noise").standard_normal(seconds)
    white[1:] *= math.sqrt(1.0 - keep * keep)
    noise = NOISE_HZ * np.array(list(accumulate(white.tolist(), lambda x, w: keep * x + w)))
    at = start_s + np.arange(seconds)
    first_hour = int(at[0]) // _S_PER_H
    hours = at // _S_PER_H - first_hour
    sizes = stream(seed, "frequency", "hourly").standard_normal(int(hours[-1]) + 1)
    since = at % _S_PER_H
    shape = np.exp(-since / FADES_S) - np.exp(-since / COMES_S)
    hourly = HOURLY_HZ * sizes[hours] * shape
    source = (
        "our generator, calibrated on: netzfrequenz.info, Continental Europe, 14 June 2016, "
        "standard deviation 23.6 mHz, mean abs(deviation)/200 mHz 0.096"
    )
    note = f"synthetic: noise of {NOISE_HZ * 1e3:g} mHz and an hourly deviation, seed {seed}"
    return Frequency(start_s, 50.0 + noise + hourly, source, 2016, "synthetic", note)


def read_frequency(path: Path) -> Frequency:
    """Read measured frequency by the second.

    Seconds that are not there stay nan: not covered. Where a second stands there more than once,
    the first value is kept, and the note says how often.

    Args:
        path: ``unix_s, freq_hz``, CSV, CSV.GZ or Parquet, in any order.

    Raises:
        BadInput: all problems of the file.
    """
    table = read_columns(path)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise BadInput(Problem(str(path), name, "", "this column is missing") for name in missing)
    try:
        at = table.column("unix_s").cast(pa.int64()).to_numpy().astype(np.int64)
        hz = table.column("freq_hz").cast(pa.float64()).to_numpy().astype(np.float64)
    except (pa.ArrowException, ValueError):
        why = "holds something else than whole seconds and numbers"
        raise refuse(str(path), ", ".join(_COLUMNS), None, why) from None
    problems = []
    bad = ~((hz > _LOWEST_HZ) & (hz < _HIGHEST_HZ))
    if bad.any():
        first = f"{hz[bad][0]:g} at {at[bad][0]}"
        why = f"must lie between {_LOWEST_HZ:g} and {_HIGHEST_HZ:g} Hz; {bad.sum()} do not"
        problems.append(Problem(str(path), "freq_hz", first, why))
    if len(at) == 0:
        problems.append(Problem(str(path), "", "", "holds no rows"))
    elif int(at.max()) - int(at.min()) >= _LONGEST_S:
        why = f"spans more than {_LONGEST_S} s; is it in Unix seconds?"
        problems.append(Problem(str(path), "unix_s", f"{at.min()} to {at.max()}", why))
    if problems:
        raise BadInput(problems)
    return _laid(path, at, hz)


def read_frequency_from_folder(data_dir: Path) -> Frequency:
    """Read `FREQUENCY_NAME` from a folder, or from its sub-folder ``grid``.

    Raises:
        BadInput: not there, or any problem of the file.
    """
    folder = data_dir / "grid" if (data_dir / "grid").is_dir() else data_dir
    return read_frequency(folder / FREQUENCY_NAME)


def _laid(path: Path, at: npt.NDArray[np.int64], hz: Array) -> Frequency:
    seconds, first = np.unique(at, return_index=True)
    start_s = int(seconds[0])
    values = np.full(int(seconds[-1]) - start_s + 1, np.nan)
    values[seconds - start_s] = hz[first]
    year = int(np.datetime64(start_s, "s").astype("datetime64[Y]").astype(int)) + 1970
    note = (
        f"{len(seconds) / len(values):.1%} of the seconds covered, the others left out; "
        f"{len(at) - len(seconds)} doubled rows left out, the first of each kept"
    )
    source = f"measured frequency of Continental Europe, file {path.name}"
    return Frequency(start_s, values, source, year, "measured", note)
