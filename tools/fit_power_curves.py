"""Fit the power curves and node powers of the plant room on published measurements.

Usage::

    GIGAFACTORY_DATA=/path/to/data python tools/fit_power_curves.py            # print only
    GIGAFACTORY_DATA=/path/to/data python tools/fit_power_curves.py --write    # write the files

Reads four files under ``$GIGAFACTORY_DATA/compute`` (their origins stand in the YAML it writes) and
writes ``src/gigafactory/plant/data/power_curves.yaml``, ``.../node_power.yaml`` and
``docs/explanation/power-curves.svg``. The same input gives the same bytes.

The fit: speed = 1 - a (1 - d) - sum_j b_j max(0, k_j - d) with d the dynamic share, fixed knots k_j
and a, b_j >= 0. That is every rising concave piecewise-linear function through (1, 1) with corners
at the knots. With at most four coefficients the least-squares optimum under the signs is found by
trying every subset of them, exactly.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

Array = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parent.parent
CURVES = ROOT / "src/gigafactory/plant/data/power_curves.yaml"
NODES = ROOT / "src/gigafactory/plant/data/node_power.yaml"
PICTURE = ROOT / "docs/explanation/power-curves.svg"

#: What an idle GPU draws in the power-limit measurements (assumption: low, so that the curve rather
#: understates what throttling saves), W.
GPU_IDLE_W = {"v100": 35.0, "a40": 30.0}
#: A configuration counts as busy when it draws at least this share of the highest limit; others
#: never reach the limit and say nothing about it.
BUSY = 0.8
#: A GPU held at its 700 W limit draws about this share of it on average (assumption), so an H200
#: node without a cap draws 8 * (0.97 * 700 - cap) more than it did under the cap.
HELD = 0.97
H200_LIMIT_W, H200_GPUS = 700.0, 8
#: Curves are not drawn below this mean speed: there throttling wastes more than pausing.
SPEED_FLOOR = 0.5

ASSUMED = "assumption"


def fit_concave(dynamic: Array, speed: Array, knots: tuple[float, ...]) -> tuple[Array, float]:
    """Fit speed at the knots (rising dynamic shares, the last one 1.0), with its RMSE in speed."""
    inner = knots[1:-1]
    columns = [1.0 - dynamic] + [np.maximum(0.0, knot - dynamic) for knot in inner]
    basis = np.stack(columns, axis=1)
    target = 1.0 - speed
    best: tuple[float, Array] = (float("inf"), np.zeros(len(columns)))
    for size in range(1, len(columns) + 1):
        for chosen in itertools.combinations(range(len(columns)), size):
            part, *_ = np.linalg.lstsq(basis[:, chosen], target, rcond=None)
            if np.any(part < 0.0):
                continue
            whole = np.zeros(len(columns))
            whole[list(chosen)] = part
            loss = float(np.sum((basis @ whole - target) ** 2))
            if loss < best[0] - 1e-15:
                best = (loss, whole)
    at = np.array(knots)
    shape = np.stack([1.0 - at] + [np.maximum(0.0, knot - at) for knot in inner], axis=1)
    return 1.0 - shape @ best[1], float(np.sqrt(best[0] / speed.size))


def zeus_points(folder: Path, gpu: str) -> tuple[Array, Array, Array, int]:
    """Power limit, dynamic share and speed of every busy configuration at every limit."""
    rows = pq.read_table(folder / "zeus_power_limit_training.parquet").to_pylist()
    runs: dict[tuple[object, ...], dict[int, tuple[float, float]]] = defaultdict(dict)
    for row in rows:
        if row["gpu"] == gpu:
            key = (row["dataset"], row["network"], row["batch_size"], row["optimizer"])
            runs[key][row["power_limit"]] = (row["time_per_epoch"], row["average_power"])
    top = max(limit for run in runs.values() for limit in run)
    busy = {k: v for k, v in runs.items() if top in v and v[top][1] >= BUSY * top}
    idle = GPU_IDLE_W[gpu]
    points = [
        (limit, (watts - idle) / (run[top][1] - idle), run[top][0] / seconds)
        for _, run in sorted(busy.items(), key=lambda item: str(item[0]))
        for limit, (seconds, watts) in sorted(run.items())
    ]
    table = np.array(points, dtype=np.float64)
    means = {limit: table[table[:, 0] == limit, 2].mean() for limit in np.unique(table[:, 0])}
    kept = np.array([means[limit] >= SPEED_FLOOR for limit in table[:, 0]])
    return table[kept, 0], table[kept, 1], table[kept, 2], len(busy)


def h200_points(folder: Path) -> tuple[list[str], Array, Array]:
    """Benchmark names, dynamic share and speed of 8 H200 serving under a power cap."""
    idle: dict[tuple[str, str], float] = {}
    with (folder / "mlperf_inference_power_summary.csv").open() as file:
        for row in csv.DictReader(file):
            if row["system"].startswith("H200"):
                idle[row["bench"].removesuffix(".9"), row["scen"]] = float(row["idle"])
    idle_w = float(np.median(list(idle.values())))
    names, dynamic, speed = [], [], []
    with (folder / "h200_power_cap_vs_throughput_MLPerf4.1.csv").open() as file:
        for row in csv.DictReader(file):
            capped_w, cap_w = float(row["capped_node_wall_w_mean"]), float(row["power_limit_w"])
            full_w = capped_w + H200_GPUS * (HELD * H200_LIMIT_W - cap_w)
            names.append(f"{row['benchmark']} {row['scenario']} {cap_w:.0f} W")
            dynamic.append((capped_w - idle_w) / (full_w - idle_w))
            speed.append(float(row["throughput_ratio"]))
    return names, np.array(dynamic), np.array(speed)


def _curve(knots: tuple[float, ...], speed: Array, **words: Any) -> dict[str, Any]:
    """Write a curve without the knots at which it does not bend (at least three points stay)."""
    points = list(zip(knots, (float(s) for s in speed), strict=True))
    for point in points[1:-1]:
        at = points.index(point)
        (d0, s0), (d1, s1), (d2, s2) = points[at - 1 : at + 2]
        straight = abs((s1 - s0) / (d1 - d0) - (s2 - s1) / (d2 - d1)) < 1e-9
        if straight and len(points) > 3:
            del points[at]
    return {
        "speed": [*(round(s, 6) for _, s in points[:-1]), 1.0],
        "dynamic": [*(round(d, 6) for d, _ in points[:-1]), 1.0],
        **words,
    }


def fit_measured(folder: Path) -> tuple[dict[str, Any], dict[str, tuple[Array, Array]]]:
    """Fit the three measured curves; also return their raw points for the picture."""
    curves: dict[str, Any] = {}
    raw: dict[str, tuple[Array, Array]] = {}
    for gpu, inner in (("v100", (0.5, 0.65, 0.8)), ("a40", (0.65, 0.8))):
        limit, dynamic, speed, count = zeus_points(folder, gpu)
        lowest = float(dynamic[limit == limit.min()].mean())
        knots = (round(lowest, 4), *inner, 1.0)
        fitted, rmse = fit_concave(dynamic, speed, knots)
        steps = [
            [int(w), *(round(float(x), 4) for x in (d.mean(), s.mean(), s.std()))]
            for w, d, s in ((w, dynamic[limit == w], speed[limit == w]) for w in np.unique(limit))
        ]
        name = f"{gpu}_training"
        raw[name] = (dynamic, speed)
        curves[name] = _curve(
            knots,
            fitted,
            rmse=round(rmse, 4),
            source="Zeus (NSDI 2023), power limit against time per epoch, released measurements",
            year=2023,
            state="measured",
            note=f"{count} busy training configurations on {gpu.upper()}, {speed.size} points; idle"
            f" GPU taken as {GPU_IDLE_W[gpu]:.0f} W (assumption)",
            data={"columns": ["limit_w", "dynamic", "speed", "speed_sd"], "rows": steps},
        )
    names, dynamic, speed = h200_points(folder)
    knots = (round(float(dynamic.min()), 4), 0.6, 0.75, 1.0)
    fitted, rmse = fit_concave(dynamic, speed, knots)
    raw["h200_serving"] = (dynamic, speed)
    curves["h200_serving"] = _curve(
        knots,
        fitted,
        rmse=round(rmse, 4),
        source="MLPerf Inference v4.1, NVIDIA 8xH200, throughput and wall power under a power cap"
        " against the uncapped submission",
        year=2024,
        state="measured",
        note="9 capped results; other settings of the capped runs may differ too. The uncapped node"
        " power was not metered: 0.97 of the 700 W limit per GPU is assumed",
        data={
            "columns": ["result", "dynamic", "speed"],
            "rows": [
                [n, round(float(d), 4), round(float(s), 4)]
                for n, d, s in zip(names, dynamic, speed, strict=True)
            ],
        },
    )
    return curves, raw


def assume(curves: dict[str, Any]) -> dict[str, Any]:
    """Build the assumed training curve and its range between what was measured elsewhere."""

    def at(name: str, where: Array) -> Array:
        curve = curves[name]
        return np.asarray(np.interp(where, curve["dynamic"], curve["speed"]), dtype=np.float64)

    first = max(curves[name]["dynamic"][0] for name in curves)
    knots = (first, 0.6, 0.75, 0.88, 1.0)
    where = np.array(knots)
    low = at("h200_serving", where)
    high = (at("v100_training", where) + at("a40_training", where)) / 2.0
    words = {"rmse": None, "year": 2024, "state": ASSUMED}
    return {
        "training_low": _curve(
            knots, low, **words,
            source="ours: as sensitive as measured H200 serving",
            note="no measured cap curve of H100 or newer training is public",
        ),
        "training_base": _curve(
            knots, (low + high) / 2.0, **words,
            source="ours: midway between measured H200 serving and measured V100 and A40 training",
            note="no measured cap curve of H100 or newer training is public; range low to high",
        ),
        "training_high": _curve(
            knots, high, **words,
            source="ours: as forgiving as measured V100 and A40 training",
            note="no measured cap curve of H100 or newer training is public",
        ),
        "serving_other": _curve(
            tuple(curves["h200_serving"]["dynamic"]),
            np.array(curves["h200_serving"]["speed"]), **words,
            source="ours: measured H200 serving, taken to hold for other chips",
            note="decoding at small batches loses less than this: high case",
        ),
    }  # fmt: skip


TRAINING = ["frontier_training", "research", "fine_tuning"]
SERVING = ["inference_batch", "inference_realtime"]


def uses() -> list[dict[str, Any]]:
    """Say which chip and class uses which curve."""
    train = {"low": "training_low", "base": "training_base", "high": "training_high"}
    serve = {"low": "serving_other", "base": "serving_other", "high": "training_base"}
    own = dict.fromkeys(("low", "base", "high"), "h200_serving")
    return [
        {"chip": "*", "classes": TRAINING, **train},
        {"chip": "*", "classes": SERVING, **serve},
        {"chip": "H200", "classes": SERVING, **own},
        {"chip": "V100", "classes": TRAINING, **dict.fromkeys(own, "v100_training")},
        {"chip": "A40", "classes": TRAINING, **dict.fromkeys(own, "a40_training")},
    ]


def node_power(folder: Path) -> dict[str, Any]:
    """Reduce 981,420 samples of node power to medians, spread and idle per run group."""
    table = pq.read_table(folder / "mlperf_training_node_power.parquet")
    for name in ("round", "submitter", "system", "benchmark", "run", "node"):
        table = table.set_column(
            table.column_names.index(name), name, pc.cast(table[name], "string")
        )
    groups = table.select(["round", "submitter", "system", "benchmark"]).group_by(
        ["round", "submitter", "system", "benchmark"]
    )
    found = []
    for key in sorted(tuple(row.values()) for row in groups.aggregate([]).to_pylist()):
        rnd, submitter, system, benchmark = key
        mask = pc.and_(pc.equal(table["submitter"], submitter), pc.equal(table["system"], system))
        mask = pc.and_(pc.and_(mask, pc.equal(table["round"], rnd)),
                       pc.equal(table["benchmark"], benchmark))  # fmt: skip
        mask = pc.and_(mask, pc.not_equal(table["node"], "sw_0"))
        part = table.filter(pc.and_(mask, pc.greater(table["power_w"], 100.0)))
        watts = part["power_w"].to_numpy()
        p1, p5, p50, p99 = (round(float(x)) for x in np.percentile(watts, [1, 5, 50, 99]))
        means = part.group_by(["run", "node"]).aggregate([("power_w", "mean")]).to_pydict()
        by_run: dict[str, list[float]] = defaultdict(list)
        for run, mean in zip(means["run"], means["power_w_mean"], strict=True):
            by_run[run].append(mean)
        wide = [np.std(v) / np.mean(v) for _, v in sorted(by_run.items()) if len(v) > 1]
        found.append({
            "round": rnd, "submitter": submitter, "system": system, "benchmark": benchmark,
            "samples": int(watts.size), "p1_w": p1, "p5_w": p5, "median_w": p50, "p99_w": p99,
            "max_w": round(float(watts.max())), "mean_w": round(float(watts.mean())),
            "node_spread": round(float(np.median(wide)), 4) if wide else None,
        })  # fmt: skip
    switch = table.filter(pc.equal(table["node"], "sw_0"))["power_w"].to_numpy()
    return {
        "source": "MLPerf Training v4.0 (SMC, 8xH100, immersion, AC and DC side), v4.1 (Dell,"
        " 8xH100, air), v5.0 (Lenovo, 8xB200, water): node power logs, 1 to 2 s samples",
        "state": "measured",
        "note": "watts per 8-accelerator node over whole runs, ramps and pauses included; samples"
        " below 100 W (dropped readings) left out; node_spread is the standard deviation of node"
        " means within a run over their mean",
        "switch_w": round(float(np.median(switch)), 1),
        "groups": found,
    }


HEAD = """# Written by tools/fit_power_curves.py from published measurements; do not edit by hand.
# {words}
"""


def _dump(path: Path, words: str, content: dict[str, Any]) -> None:
    body = yaml.safe_dump(content, sort_keys=False, width=100, default_flow_style=None)
    path.write_text(HEAD.format(words=words) + body, encoding="utf-8")


def draw(path: Path, curves: dict[str, Any], raw: dict[str, tuple[Array, Array]]) -> None:
    """Draw points, fits and errors, and the assumed range."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "gigafactory", "svg.fonttype": "none", "font.size": 9})
    figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, sharey=True)
    titles = {
        "v100_training": "V100, training (measured, Zeus 2023)",
        "a40_training": "A40, training (measured, Zeus 2023)",
        "h200_serving": "H200, serving (measured, MLPerf v4.1 2024)",
    }
    for axis, (name, title) in zip(axes.flat, titles.items(), strict=False):
        curve = curves[name]
        dynamic, speed = np.array(curve["dynamic"]), np.array(curve["speed"])
        axis.fill_between(
            dynamic, speed - curve["rmse"], speed + curve["rmse"], color="#0072b2", alpha=0.2, lw=0
        )
        axis.scatter(*raw[name], s=9, color="#555555", alpha=0.6, lw=0)
        axis.plot(dynamic, speed, "o-", color="#0072b2", lw=1.6, ms=4)
        axis.set_title(f"{title}\nerror of the fit {100 * curve['rmse']:.1f} % of full speed")
    axis = axes.flat[3]
    low, base, high = (curves[f"training_{case}"] for case in ("low", "base", "high"))
    at = np.linspace(low["dynamic"][0], 1.0, 60)
    lower, upper = (np.interp(at, c["dynamic"], c["speed"]) for c in (low, high))
    axis.fill_between(at, lower, upper, color="#d55e00", alpha=0.2, lw=0)
    axis.plot(base["dynamic"], base["speed"], "o-", color="#d55e00", lw=1.6, ms=4)
    axis.set_title("H100, B200 and others, training\nassumption with its range, nothing measured")
    for axis in axes.flat:
        axis.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, ls="--", zorder=0)
        axis.set_xlim(0.25, 1.02)
        axis.set_ylim(0.4, 1.03)
        axis.grid(color="#eeeeee")
    for axis in axes[1]:
        axis.set_xlabel("share of dynamic power (0 = idle, 1 = full speed)")
    for axis in axes[:, 0]:
        axis.set_ylabel("speed (1 = unthrottled)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": "tools/fit_power_curves.py"})
    plt.close(figure)


def build(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, tuple[Array, Array]]]:
    """Fit everything: the content of the two YAML files, and the raw points."""
    curves, raw = fit_measured(folder)
    curves.update(assume(curves))
    return {"curves": curves, "uses": uses()}, node_power(folder), raw


def main(arguments: list[str] | None = None) -> int:
    """Fit, print, and with ``--write`` write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the YAML files and the picture")
    chosen = parser.parse_args(arguments)
    named = os.environ.get("GIGAFACTORY_DATA", "")
    folder = Path(named) / "compute"
    if not named or not folder.is_dir():
        print("GIGAFACTORY_DATA names no folder with measurements in compute/", file=sys.stderr)
        return 2
    curves, nodes, raw = build(folder)
    for name, curve in curves["curves"].items():
        error = "" if curve["rmse"] is None else f"  rmse {curve['rmse']:.4f}"
        print(f"{name:16s} speed {curve['speed']} dynamic {curve['dynamic']}{error}")
    for group in nodes["groups"]:
        print({k: group[k] for k in ("submitter", "system", "benchmark", "p1_w", "median_w")})
    if chosen.write:
        _dump(CURVES, "Share of dynamic power against speed; see docs/explanation.", curves)
        _dump(NODES, "Measured power of whole 8-accelerator nodes, W.", nodes)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        draw(PICTURE, curves["curves"], raw)
    return 0


if __name__ == "__main__":
    sys.exit(main())
