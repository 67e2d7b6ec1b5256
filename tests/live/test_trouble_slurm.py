"""Slurm's controller hangs while a limit is in force: the plant's caps lower power meanwhile."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Asked
from gigafactory.engine.clock import SteadyClock
from gigafactory.factory import load_factory
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.jobs.ports import Phase
from gigafactory.planner.poolplan import CLASSES
from gigafactory.plant.ports import Reading
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import day_path, days_in, live_frames
from gigafactory.runtime.live.intake import Intake
from gigafactory.runtime.live.loop import Controller
from gigafactory.runtime.live.parts import LIMIT_BROKEN, MANAGER_AWAY, PLANT_CAP, TickReport
from gigafactory.runtime.live.pricing import CARBON_ASSUMED, PRICE_ASSUMED
from gigafactory.runtime.live.settings import load_settings
from gigafactory.runtime.live.wiring import assemble, open_controller
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from gigafactory.testing.jobscript import job_script
from gigafactory.testing.redfish import Controller as Board
from gigafactory.testing.redfish import simulated_controller
from gigafactory.testing.slurm import LocalCluster, available
from gigafactory.units import NS_PER_S
from tests.conftest import missing
from tests.runtime.live.bench import check_journal

NODES, SIZE = 4, 8
DEVICES = {f"gpu{i}": f"/redfish/v1/Chassis/gpu{i}/EnvironmentMetrics" for i in range(NODES * SIZE)}
FULL_W, LEAST_W = 700.0, 200.0
OVERHEAD = 1.1
#: What a node draws beside each of its accelerators, as the catalogue assumes: 1.9 kW of eight.
BESIDE_W = 240.0


@contextlib.contextmanager
def _agent(folder: Path, board: Board) -> Iterator[str]:
    """The agent that caps, as a process; its address."""
    (folder / "token").write_text("a token\n")
    (folder / "password").write_text("a password\n")
    settings = {
        "token": {"file": str(folder / "token")},
        "password": {"file": str(folder / "password")},
        "safe": dict.fromkeys(DEVICES, f"{FULL_W} W"),
        "redfish": {"url": board.url, "user": "operator", "resources": DEVICES},
    }
    path = folder / "agent.yaml"
    path.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "gigafactory.adapters.caps", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


class _Meter:
    """Reads which jobs' processes run, by /proc, and what caps their accelerators have."""

    def __init__(self, cluster: LocalCluster, board: Board, idle_w: float, work_w: float) -> None:
        self.cluster, self.board, self.idle_w, self.work_w = cluster, board, idle_w, work_w

    def it_w(self) -> float:
        busy = SIZE * len(self.cluster.drawing())
        caps = self.board.limit_w.values()
        at_work = min(sum(caps) / len(caps) + BESIDE_W, self.work_w)
        return busy * at_work + (NODES * SIZE - busy) * self.idle_w

    def read(self, points: tuple[str, ...], now_ns: int) -> tuple[Reading, ...]:
        it_mw = self.it_w() / 1e6
        value = {"pool00/it": it_mw, "site0/import": it_mw * OVERHEAD}
        return tuple(Reading(p, now_ns, value[p], "MW") for p in points if p in value)


class _Bench:
    """A live loop on a real cluster, turned by hand."""

    def __init__(self, folder: Path, cluster: LocalCluster, board: Board, agent: str) -> None:
        small = SmallFactory((SmallSite(pools=(SmallPool("H100", NODES),)),))
        factory = load_factory(str(small.write(folder / "small.yaml")))
        self.clock = SteadyClock()
        path = folder / "serve.yaml"
        told = self._settings(folder, cluster, agent)
        path.write_text(yaml.safe_dump(told))
        self.settings = load_settings(path, factory)
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        lease = self.store.lead("controller", self.clock.now_ns(), "bench")
        intake = Intake(self.store, lease)
        self.parts = assemble(factory, self.settings, self.clock, intake, folder)
        plan = self.parts.plans["pool00"]
        work_w = int(plan.power_mw[CLASSES.index("research"), plan.full_speed]) / 1000.0
        self.meter = _Meter(cluster, board, plan.idle_power_mw / 1000.0, work_w)
        self.parts.meters = (self.meter,)
        self.controller: Controller = open_controller(self.parts)

    @staticmethod
    def _settings(folder: Path, cluster: LocalCluster, agent: str) -> dict[str, object]:
        slurm = {
            "kind": "slurm",
            "conf": str(cluster.conf),
            "user": "root",
            "partitions": {"pool00": cluster.partition},
            "checkpoint_folder": str(cluster.checkpoints),
            "read_limit_s": 1.0,
            "write_limit_s": 3.0,
            "call_limit_s": 4.0,
            "grace_s": {"research": 4.0},
        }
        agents = {
            "pool": "pool00",
            "url": agent,
            "token": {"file": str(folder / "token")},
            "devices": list(DEVICES),
            "least": f"{LEAST_W} W",
            "full": f"{FULL_W} W",
            "beside": f"{BESIDE_W} W",
            "hold": "20 s",
        }
        return {
            "environment": "live",
            "state": str(folder / "state"),
            "tick": "0.5 s",
            "store": {"url": "sqlite:///store.db"},
            "managers": {"main": slurm},
            "sites": {"site0": {"safe": "0.01 MW", "overhead": OVERHEAD}},
            "channels": {"gopacs": {"kind": "api", "points": ["site0"]}},
            "caps": {"board": agents},
            "response": {"patience": "3 s", "lead": "0 s", "retry": "3 s"},
        }

    def turn(self, until: Callable[[TickReport], bool], seconds: float, what: str) -> float:
        """Tick until something is so; how long it took, s."""
        begun = time.monotonic()
        while True:
            report = self.controller.tick()
            took = time.monotonic() - begun
            if until(report):
                return took
            assert took < seconds, f"{what}: {report}"
            time.sleep(0.3)

    def kinds(self, report: TickReport) -> set[str]:
        return {kind for kind, _ in report.troubles} - {PRICE_ASSUMED, CARBON_ASSUMED}

    def limit(self, key: str, power_w: float, lasts_s: float) -> None:
        now = self.clock.now_ns()
        end = now + int(lasts_s * NS_PER_S)
        self.store.put_order(
            GridOrder(key, "gopacs", OrderKind.LIMIT, "site0", power_w / 1e6, now, now, now, end)
        )

    def running(self) -> int:
        seen = self.parts.clusters["main"].manager.observe()
        return sum(v.phase is Phase.RUNNING for v in seen.jobs)

    def frames(self) -> list[tuple[str, int, live.LiveFrame]]:
        folder = self.parts.book.folder
        return [(d, at, f) for d in days_in(folder) for at, f in live_frames(day_path(folder, d))]


@pytest.mark.slow
def test_while_slurm_hangs_caps_hold_the_limit_and_are_raised_again(tmp_path: Path) -> None:
    missing(available())
    folder = tmp_path / "cluster"
    folder.mkdir()
    with (
        simulated_controller(tuple(DEVICES.values()), FULL_W) as board,
        _agent(tmp_path, board) as agent,
        LocalCluster(folder, NODES, SIZE) as cluster,
    ):
        bench = _Bench(tmp_path, cluster, board, agent)
        for i in range(NODES):
            body = {"job_class": "research", "accelerators": SIZE, "nodes": 1, "walltime_s": 9000,
                    "priority": 3, "script": job_script(cluster.checkpoints, 900.0),
                    "name": f"w{i}", "pool": "pool00", "accelerators_min": 0}  # fmt: skip
            bench.store.submit(Asked("lab", f"w{i}", body, "test", bench.clock.now_ns()))
        bench.turn(lambda _: bench.running() == NODES, 30.0, "work did not start")
        allowed_w = NODES * SIZE * (BESIDE_W + 400.0)
        cluster.hang_controller()
        try:
            _hung(bench, board, allowed_w)
        finally:
            cluster.wake_controller()
        _back(bench, board, allowed_w)
        bench.parts.book.close()
        check_journal(bench.frames())
        bench.store.close()


def _hung(bench: _Bench, board: Board, allowed_w: float) -> None:
    """The limit comes while Slurm hangs: caps, within the deadline."""
    bench.limit("cut", allowed_w * OVERHEAD, 600.0)
    deadline_s = bench.settings.response.deadline_s
    took = bench.turn(lambda _: bench.meter.it_w() <= allowed_w, deadline_s, "the limit is broken")
    assert took < deadline_s
    assert {LEAST_W < w < FULL_W for w in board.limit_w.values()} == {True}
    report = bench.controller.tick()
    assert bench.kinds(report) == {MANAGER_AWAY, PLANT_CAP}
    assert {row.kind for row in bench.store.alarms()} == {MANAGER_AWAY, PLANT_CAP}


def _back(bench: _Bench, board: Board, allowed_w: float) -> None:
    """Slurm answers again: jobs are paused, then caps are let go, and the limit holds."""
    bench.turn(
        lambda report: not bench.kinds(report) and set(board.limit_w.values()) == {FULL_W},
        40.0,
        "the caps stay",
    )
    bench.turn(lambda _: bench.meter.it_w() <= allowed_w, 20.0, "broken when caps are let go")
    assert 0 < bench.running() < NODES
    assert not bench.store.alarms()
    rows = [f for _, _, f in bench.frames()]
    told = [n for f in rows if isinstance(f, live.IntentTold) for n in f.nodes if n.action == "cap"]
    assert len(told) >= 2, "caps are written down before they are told"
    answers = {a.key: a.outcome for f in rows if isinstance(f, live.Receipts) for a in f.answers}
    assert {answers[one.key] for one in told} == {"accepted"}
    assert LIMIT_BROKEN not in {f.fallback for f in rows if isinstance(f, live.TroubleTold)}
