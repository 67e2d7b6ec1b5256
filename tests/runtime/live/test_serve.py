"""The service as processes: it starts, is killed at random, goes on, and stops cleanly."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.store.records import ENDED, Alarm, Asked, WorkState
from gigafactory.adapters.twinmanager import TwinManager
from gigafactory.cli import main
from gigafactory.engine.clock import SteadyClock
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK
from gigafactory.engine.journal import Journal, recover
from gigafactory.factory import load_factory
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.jobs.ports import WorkloadSnapshot
from gigafactory.runtime.live.daybook import day_path, days_in, live_frames
from gigafactory.runtime.live.parts import MANAGER_AWAY
from gigafactory.runtime.live.serve import Supervisor
from gigafactory.runtime.live.settings import Settings, load_settings
from gigafactory.runtime.live.wiring import _twin, run_controller
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from gigafactory.units import NS_PER_S
from tests.conftest import IN_CI
from tests.runtime.live.bench import check_journal

TICK_S = 0.25


def written(folder: Path, **changes: object) -> tuple[Path, Path]:
    """A factory of eight nodes and settings of its service on a simulated cluster."""
    small = SmallFactory((SmallSite(pools=(SmallPool("H100", 8),)),))
    factory = small.write(folder / "small.yaml")
    settings = {
        "environment": "live",
        "state": "state",
        "tick": f"{TICK_S} s",
        "store": {"url": "sqlite:///state/store.db"},
        "managers": {
            "main": {
                "kind": "twin",
                "pools": ["pool00"],
                "state": "cluster.json",
                "save": "0.5 s",
                "checkpoint": "5 s",
            }
        },
        "meters": {"cluster": {"kind": "twin"}},
        "sites": {"site0": {"safe": "0.01 MW", "overhead": 1.1}},
        "channels": {"gopacs": {"kind": "api", "points": ["site0"]}},
        "response": {"deadline": "8 s", "freeze_after": "3 s", "lead": "0 s", "retry": "2 s"},
        **changes,
    }
    path = folder / "serve.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return factory, path


def command(factory: Path, settings: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "gigafactory", "serve", str(factory), "--settings",
            str(settings), *more]  # fmt: skip


@contextmanager
def process(args: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        found = subprocess.Popen(args, stderr=file, stdout=file)
        try:
            yield found
        finally:
            found.kill()
            found.wait()


def turning(factory: Path, settings: Settings, folder: Path, ticks: int) -> threading.Thread:
    """A controller in a thread of its own."""
    args = (str(factory), settings, folder, threading.Event(), ticks)
    run = threading.Thread(target=run_controller, args=args)
    run.start()
    return run


def until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.1)


class Outside:
    """What a test sees from outside: the store, and the cluster by its file."""

    def __init__(self, factory: Path, settings: Path) -> None:
        self.folder = settings.parent
        read = load_factory(str(factory))
        self.settings = load_settings(settings, read)
        self.clock = SteadyClock()
        self.store = Store.open(self.settings.store.full_url(self.folder))
        manager = self.settings.managers["main"]
        assert manager.kind == "twin"
        self.twin: TwinManager = _twin(manager, read, self.clock, self.folder)

    def ask(self, key: str, need_s: float) -> str:
        body = {"job_class": "research", "accelerators": 8, "nodes": 1, "walltime_s": 9000,
                "priority": 3, "script": f"# need_s={need_s}\n", "name": key, "pool": "pool00",
                "accelerators_min": 0}  # fmt: skip
        return self.store.submit(Asked("lab", key, body, "test", self.clock.now_ns()))[0].id

    def limit(self, key: str, power_mw: float, lasts_s: float) -> None:
        now = self.clock.now_ns()
        end = now + int(lasts_s * NS_PER_S)
        self.store.put_order(
            GridOrder(key, "gopacs", OrderKind.LIMIT, "site0", power_mw, now, now, now, end)
        )

    def states(self) -> list[WorkState]:
        return [w.state for w in self.store.list_work()]

    def journals(self) -> None:
        folder = self.folder / "state" / "live"
        check_journal([(d, at, f) for d in days_in(folder)
                       for at, f in live_frames(day_path(folder, d))])  # fmt: skip


@pytest.mark.slow
def test_killed_at_random_under_load_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    factory, settings = written(tmp_path)
    outside = Outside(factory, settings)
    draw = random.Random(7)
    ids = [outside.ask(f"w{i}", draw.uniform(2.0, 8.0)) for i in range(16)]
    log = tmp_path / "log"
    only = command(factory, settings, "--only", "controller")
    for kill in range(2 if IN_CI else 4):
        with process(only, log) as child:

            def led(before: int = kill) -> bool:
                status = outside.store.published("status")
                pid = str(child.pid)
                return status is not None and status[1]["controller"].endswith(pid)

            until(led, 60.0, f"controller {kill} did not lead: {log.read_text()[-2000:]}")
            ids += [outside.ask(f"k{kill}-{i}", draw.uniform(1.0, 5.0)) for i in range(4)]
            time.sleep(draw.uniform(0.0, 2.0))
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        assert not list(outside.twin.look().faults())
    with process(only, log) as child:
        until(lambda: all(s in ENDED for s in outside.states()), 90.0, "work did not end")
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == EXIT_OK, log.read_text()[-2000:]
    assert set(outside.states()) == {WorkState.COMPLETED}
    seen = [e.key for e in outside.twin.observe().ended]
    assert sorted(seen) == sorted(ids), "each ran once"
    outside.journals()
    outside.store.close()


@pytest.mark.slow
def test_a_standby_takes_over_and_a_limit_holds_through_it(tmp_path: Path) -> None:
    factory, settings = written(tmp_path)
    outside = Outside(factory, settings)
    for i in range(8):
        outside.ask(f"w{i}", 600.0)
    only = command(factory, settings, "--only", "controller")
    with process(only, tmp_path / "one") as first, process(only, tmp_path / "two") as second:
        until(lambda: outside.states().count(WorkState.RUNNING) == 8, 90.0, "work did not start")
        status = outside.store.published("status")
        assert status is not None
        leads, other = (first, second)
        if status[1]["controller"].endswith(str(second.pid)):
            leads, other = second, first
        full_w = outside.twin.power_w("pool00")
        outside.limit("cut", 0.5 * full_w * 1.1 / 1e6, 600.0)
        time.sleep(0.5)
        leads.kill()
        leads.wait()
        begun = time.monotonic()
        until(lambda: outside.twin.power_w("pool00") <= 0.5 * full_w, 30.0, "the limit is broken")
        assert time.monotonic() - begun < 15.0, "standby: a second to notice, then the deadline"

        def told() -> bool:
            status = outside.store.published("status")
            return status is not None and status[1]["controller"].endswith(str(other.pid))

        until(told, 10.0, "the standby did not take over")
    outside.store.close()


@pytest.mark.slow
def test_who_leads_waits_until_the_one_before_has_let_go_of_the_journal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    factory, path = written(tmp_path)
    settings = load_settings(path, load_factory(str(factory)))
    run_controller(str(factory), settings, tmp_path, threading.Event(), ticks=2)
    folder = tmp_path / "state" / "live"
    journal = day_path(folder, days_in(folder)[-1])
    held, before = Journal.reopen(journal)
    store = Store.open(settings.store.full_url(tmp_path))
    told = store.published("status")
    run = turning(factory, settings, tmp_path, ticks=2)
    until(lambda: "the one before has not let go yet" in caplog.text, 60.0, "it does not wait")
    time.sleep(0.5)
    assert run.is_alive()
    assert recover(journal).frames == before.frames, "nobody else writes"
    assert store.published("status") == told, "nor decides"
    held.close()
    run.join(60.0)
    assert recover(journal).frames > before.frames
    store.close()


@pytest.mark.slow
def test_a_controller_waits_for_a_store_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory, path = written(tmp_path)
    settings = load_settings(path, load_factory(str(factory)))
    there = threading.Event()
    right = Store.open

    def opened(url: str, **given: float) -> Store:
        if not there.is_set():
            raise StoreTrouble("it does not answer")
        return right(url, **given)

    monkeypatch.setattr(Store, "open", opened)
    run = turning(factory, settings, tmp_path, ticks=2)
    until(lambda: "the store is away" in caplog.text, 60.0, "it does not say so")
    assert run.is_alive()
    there.set()
    run.join(60.0)
    assert days_in(tmp_path / "state" / "live"), "it led"


@pytest.mark.slow
def test_a_controller_waits_for_a_manager_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory, path = written(tmp_path)
    settings = load_settings(path, load_factory(str(factory)))
    there = threading.Event()
    right = TwinManager.observe

    def seen(manager: TwinManager) -> WorkloadSnapshot:
        found = right(manager)
        return found if there.is_set() else replace(found, trouble="squeue gave no answer")

    monkeypatch.setattr(TwinManager, "observe", seen)
    run = turning(factory, settings, tmp_path, ticks=3)
    url = settings.store.full_url(tmp_path)
    until(lambda: bool(_alarms(url)), 60.0, "nobody is told")
    assert _alarms(url)[0].kind == MANAGER_AWAY
    assert "squeue gave no answer" in _alarms(url)[0].text
    assert run.is_alive()
    there.set()
    run.join(60.0)
    assert not _alarms(url), "it is over"
    assert days_in(tmp_path / "state" / "live"), "it led"


def _alarms(url: str) -> list[Alarm]:
    store = Store.open(url)
    try:
        return store.alarms()
    finally:
        store.close()


@pytest.mark.slow
def test_the_supervisor_starts_again_what_dies_and_stops_cleanly(tmp_path: Path) -> None:
    factory, settings = written(tmp_path)
    outside = Outside(factory, settings)
    log = tmp_path / "log"
    with process(command(factory, settings), log) as child:
        until(lambda: outside.store.published("status") is not None, 60.0, "no status")
        status = outside.store.published("status")
        assert status is not None
        pid = int(status[1]["controller"].rpartition(":")[2])
        os.kill(pid, signal.SIGKILL)

        def again() -> bool:
            status = outside.store.published("status")
            return status is not None and not status[1]["controller"].endswith(f":{pid}")

        until(again, 60.0, "the controller was not started again")
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == EXIT_OK
    assert '"child": "controller"' in log.read_text(), "structured logs"
    outside.store.close()


@pytest.mark.slow
def test_the_api_is_ready_once_the_controller_speaks_and_ends_with_its_supervisor(
    tmp_path: Path,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    factory, settings = written(tmp_path, api={"host": "127.0.0.1", "port": port})

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                return answer.status == 200  # type: ignore[no-any-return]
        except OSError:
            return False

    def left() -> bool:
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        return str(settings) in shown.stdout

    with process(command(factory, settings), tmp_path / "log") as child:
        until(ready, 90.0, "the service is not ready")
        child.kill()
        child.wait()
    until(lambda: not left(), 20.0, "a child outlived its supervisor")


@pytest.mark.slow
def test_a_controller_that_hangs_is_killed_and_another_takes_over(tmp_path: Path) -> None:
    factory, settings = written(tmp_path, hung="5 s")
    outside = Outside(factory, settings)
    health = command(factory, settings, "--health")

    def told() -> tuple[int, str]:
        status = outside.store.published("status")
        return (status[0], str(status[1]["controller"])) if status is not None else (0, "")

    assert subprocess.run(health, capture_output=True, check=False).returncode == EXIT_FAILED
    with process(command(factory, settings), tmp_path / "log") as child:
        until(lambda: told()[0] > 0, 90.0, "no status")
        assert subprocess.run(health, capture_output=True, check=False).returncode == EXIT_OK
        first = told()[1]
        os.kill(int(first.rpartition(":")[2]), signal.SIGSTOP)
        until(lambda: told()[1] != first, 60.0, "nobody took over from a leader that hangs")
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) == EXIT_OK
    assert "a process hangs and is killed" in (tmp_path / "log").read_text()
    outside.store.close()


_HANGS = """
import threading
from gigafactory.runtime.live.pulse import Pulse
pulse = Pulse(0.3, 60.0)
pulse.watch()
pulse.beats()
threading.Event().wait(30.0)
"""


def test_without_a_supervisor_a_process_that_hangs_ends_itself() -> None:
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", _HANGS], check=False, timeout=60)
    assert done.returncode == EXIT_FAILED
    assert time.monotonic() - begun < 25.0


def test_once_its_loop_is_over_a_process_may_be_silent() -> None:
    over = _HANGS.replace("threading.Event().wait(30.0)", "pulse.ends(); threading.Event().wait(2)")
    assert subprocess.run([sys.executable, "-c", over], check=False, timeout=60).returncode == 0


def test_bad_input_is_not_retried_for_ever() -> None:
    fails = [sys.executable, "-c", "import sys; sys.exit(2)"]
    assert Supervisor(fails, ["one"]).run(threading.Event()) == EXIT_BAD_INPUT


def test_check_tells_all_problems_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factory, settings = written(tmp_path, tick="5 s", managers={}, sites={})
    assert main(["check", str(factory), "--settings", str(settings)]) == EXIT_BAD_INPUT
    told = capsys.readouterr().err
    for part in ("tick", "pool00", "site0", "channels.gopacs.points"):
        assert part in told, part
    assert main(["serve", str(factory), "--settings", str(settings)]) == EXIT_BAD_INPUT


def test_init_writes_settings_that_suit_its_factory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    assert main(["init", "mine", "--out", str(path), "--serve"]) == EXIT_OK
    assert main(["check", str(path), "--settings", str(tmp_path / "serve.yaml")]) == EXIT_OK
    capsys.readouterr()
