"""A power cut on a real cluster, from the grid's message to the metered power.

::

    with LiveCut(folder, nodes=8) as live:
        live.hand_over(100)
        live.fill()
        cut = live.cut(0.25)            # a signed setpoint by MQTT, until the power is below
        live.release(cut)

Every part is the real one and a process of its own: a broker (mosquitto), the gateway and the
controller (``gigafactory serve --only NAME``), a Slurm cluster with jobs that save on a signal, and
a power meter that reads the processes of the jobs. What is measured is measured from outside: when
the order can be read in the store, when the intent is whole in the journal's file, and when the
meter's own file of readings says that power is below the limit. All of it runs on one machine, so
that all instants are of one clock.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gigafactory.adapters.channels.signing import KeySettings, read_key, seal
from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import ENDED, Asked, Work, WorkState
from gigafactory.engine.journal import frames, recover
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import day_path, days_in
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from gigafactory.testing.jobscript import JobEvent, job_events, job_script
from gigafactory.testing.mosquitto import LocalBroker
from gigafactory.testing.powermeter import RunningMeter, Sight, power_meter
from gigafactory.testing.slurm import LocalCluster
from gigafactory.units import NS_PER_S

POOL: Final = "pool00"
SITE: Final = "site0"
CHANNEL: Final = "afrr"
NODE_SIZE: Final = 8
#: An accelerator at work and at rest by the independent meter, W: the H100 of the catalogue
#: training a large model, and idle, the share of the network in both.
WORK_W: Final = 907.0
IDLE_W: Final = 307.0
#: Jobs of this class know the signal and save within their grace: they give their nodes back.
SAVES: Final = "fine_tuning"
#: Jobs of this class may take longer to save than a broken limit leaves: they are frozen.
FREEZES: Final = "frontier_training"
#: The grid operator says its setpoint again this often, s.
_CYCLE_S: Final = 4.0
_TOPIC: Final = "tso/afrr/site0"
_NAP_S: Final = 0.01
_START_LIMIT_S: Final = 240.0  # the kernel may be compiled first


def now_ns() -> int:
    """The machine's time, ns UTC."""
    return time.time_ns()  # clock-ok: real processes are measured


def wait_until(true: Callable[[], Any], limit_s: float, what: str, nap_s: float = 0.05) -> Any:
    """Wait for something; returns it.

    Raises:
        RuntimeError: it did not come in time.
    """
    end = now_ns() + int(limit_s * NS_PER_S)
    while not (found := true()):
        if now_ns() > end:
            raise RuntimeError(f"{what}: not within {limit_s:g} s")
        time.sleep(nap_s)  # clock-ok: as above
    return found


# --- the grid operator ---------------------------------------------------------------------------


class GridOperator:
    """A grid operator's own client: it says its setpoint, signed, every four seconds.

    Args:
        broker: where.
        secret: file of the shared secret.
    """

    def __init__(self, broker: LocalBroker, secret: Path) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        told = {"algorithm": "hmac-sha256", "secret": {"file": str(secret)}}
        self._key = read_key(KeySettings.model_validate(told), "grid operator", signs=True)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="tso")
        self._client.username_pw_set(broker.user, broker.password)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._less_mw = 0.0
        self._sequence = 0
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()

    def ask(self, less_mw: float) -> int:
        """Ask for so much less import from now on; when it was sent, ns UTC."""
        with self._lock:
            self._less_mw = less_mw
            return self._say()

    def forge(self, less_mw: float) -> None:
        """The same by someone who does not have the key."""
        with self._lock:
            body = self._body(less_mw)
        wrong = read_key(_secret_of("forged"), "forger", signs=True)
        self._client.publish(_TOPIC, seal(_TOPIC, body, "tso", wrong), qos=1)

    def close(self) -> None:
        """Say no more."""
        self._over.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _repeat(self) -> None:
        while not self._over.wait(_CYCLE_S):
            with self._lock:
                self._say()

    def _say(self) -> int:
        body = seal(_TOPIC, self._body(self._less_mw), "tso", self._key)
        at = now_ns()
        self._client.publish(_TOPIC, body, qos=1)
        return at

    def _body(self, less_mw: float) -> str:
        self._sequence = max(self._sequence + 1, now_ns() // 1_000_000)
        told = {
            "v": 1,
            "stream": CHANNEL,
            "point": SITE,
            "sequence": self._sequence,
            "issued_ms": now_ns() // 1_000_000,
            "value": less_mw,
            "unit": "MW",
        }
        return json.dumps(told)


def _secret_of(word: str) -> KeySettings:
    os.environ["GF_CUT_FORGED"] = base64.b64encode(word.encode().ljust(32, b"x")).decode()
    return KeySettings.model_validate(
        {"algorithm": "hmac-sha256", "secret": {"env": "GF_CUT_FORGED"}}
    )


# --- what is measured ----------------------------------------------------------------------------


@dataclass(slots=True)
class Cut:
    """A cut, as seen from outside.

    Attributes:
        sent_ns: when the grid operator sent its message.
        before_w: power by the meter before it, W.
        limit_w: power allowed, W.
        stored_s: from the message until the order could be read in the store.
        intent_s: until the intent to pause was whole in the journal's file.
        below_s: until the meter said that power was below the limit, and stayed there.
        victims: jobs paused.
        frozen: of these, frozen where they stood.
        released_ns: when the release was sent; 0 while the cut holds.
        restored_s: from the release until as many jobs work as before.
    """

    sent_ns: int
    before_w: float
    limit_w: float
    stored_s: float = math.nan
    intent_s: float = math.nan
    below_s: float = math.nan
    victims: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    released_ns: int = 0
    restored_s: float = math.nan


@dataclass(slots=True)
class JournalWatch:
    """How long the journal's file was at which instant, seen from outside."""

    folder: Path
    seen: list[tuple[int, int]] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """The journal of the latest day."""
        return day_path(self.folder, days_in(self.folder)[-1])

    def look(self) -> None:
        """Note its length where it changed."""
        size = self.path.stat().st_size
        if not self.seen or self.seen[-1][1] != size:
            self.seen.append((now_ns(), size))

    def intent_ns(self, after_ns: int) -> int | None:
        """When the first intent to pause after an instant was whole in the file; None for none."""
        ends = pausing_ends(self.path, after_ns)
        if not ends:
            return None
        return next((at for at, size in self.seen if size >= ends[0]), None)


def pausing_ends(path: Path, after_ns: int) -> list[int]:
    """Where in a journal the frames end that intend to pause jobs, from an instant on."""
    whole = recover(path)
    found, begun = [], False
    for frame in frames(path):
        if begun:
            found.append(frame.offset)
            begun = False
        if frame.index >= whole.frames:
            return found
        if frame.kind == live.IntentTold.kind and frame.tick_ns >= after_ns:
            told = live.read(frame)
            assert isinstance(told, live.IntentTold), "a frame is of its kind"
            begun = any(c.action == "pause" for c in told.commands)
        if frame.index == whole.frames - 1:
            break
    return [*found, whole.position] if begun else found


def below_s(sights: Sequence[Sight], sent_ns: int, until_ns: int, limit_w: float) -> float:
    """From a message until metered power is at most the limit and stays so; NaN for never."""
    mine = [s for s in sights if sent_ns <= s.at_ns <= until_ns]
    late = [i for i, s in enumerate(mine) if s.it_w > limit_w]
    first = late[-1] + 1 if late else 0
    return (mine[first].at_ns - sent_ns) / NS_PER_S if first < len(mine) else math.nan


def nearest_rank(values: Sequence[float], share: float) -> float:
    """The percentile of a few values by nearest rank: one of them, never between two."""
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Series:
    """Repeated cuts of a quarter at one size.

    Attributes:
        running: jobs at work when each began.
        asked: jobs handed over, those that wait among them.
        fill_s: from handing over the first until so many work.
        cuts: each of them.
        lost: what is wrong with any job, in words.
        lost_s: work lost by jobs that were told to save, all together, s.
    """

    running: int
    nodes: int
    asked: int
    fill_s: float
    cuts: tuple[Cut, ...]
    lost: tuple[str, ...]
    lost_s: float

    def figures(self) -> dict[str, dict[str, float]]:
        """Percentiles of each response time over the cuts, s."""
        return {
            name: {
                f"p{round(100 * share)}": nearest_rank([getattr(c, name) for c in self.cuts], share)
                for share in (0.50, 0.95, 0.99)
            }
            for name in ("stored_s", "intent_s", "below_s", "restored_s")
        }


def measure_cuts(folder: Path, running: int, cuts: int, width: int = 1) -> Series:
    """Repeated cuts of a quarter with so many jobs running and half as many waiting.

    A fifth of the jobs can save in time, and go first; the others that a cut takes are frozen.

    Args:
        folder: an existing folder for everything.
        running: jobs at work; rounded up to whole nodes of eight accelerators.
        cuts: how many.
        width: accelerators of a job.

    Raises:
        RuntimeError: a part does not start, or the cluster does not fill.
    """
    with LiveCut(folder, nodes=-(-running * width // NODE_SIZE), width=width) as live_cut:
        return repeat(live_cut, cuts)


def repeat(live_cut: LiveCut, cuts: int) -> Series:
    """Fill a cluster that has just started, and cut a quarter again and again."""
    running = live_cut.accelerators // live_cut.width
    begun = now_ns()
    live_cut.hand_over(running * 3 // 2, saving=running // 5, tick_s=5.0)
    live_cut.fill()
    fill_s = (now_ns() - begun) / NS_PER_S
    made = []
    for _ in range(cuts):
        time.sleep(3.0)  # clock-ok: one that has just started is not told to save
        cut = live_cut.cut(0.25, hold_s=2.0)
        live_cut.release(cut)
        made.append(cut)
    lost_s = sum(live_cut.lost_s().values())
    asked = len(live_cut.ids)
    return Series(
        running, live_cut.nodes, asked, fill_s, tuple(made), tuple(live_cut.lost()), lost_s
    )


# --- the whole -----------------------------------------------------------------------------------


def slurm_settings(cluster: LocalCluster) -> dict[str, Any]:
    """The manager of the service's settings that steers a cluster."""
    return {
        "kind": "slurm",
        "conf": str(cluster.conf),
        "user": "root",
        "partitions": {POOL: cluster.partition},
        "kw_per_accelerator": {POOL: cluster.kw_per_accelerator},
        "checkpoint_folder": str(cluster.checkpoints),
    }


def page_settings(meter: RunningMeter, full_mw: float) -> dict[str, Any]:
    """The meter of the service's settings that reads a meter of processes."""
    metered = {"metric": "gf_meter_it_watts", "labels": {"point": "it"}, "factor": 1e-6}
    metered |= {"unit": "MW", "most": 2.0 * full_mw, "stuck_after": 0}
    points = {f"{POOL}/it": metered, f"{SITE}/import": metered}
    return {"kind": "page", "url": meter.url, "points": points}


def serve_command(factory: Path, settings: Path, name: str) -> list[str]:
    """What starts one process of the service."""
    command = [sys.executable, "-m", "gigafactory", "serve", str(factory)]
    return [*command, "--settings", str(settings), "--only", name]


class LiveCut:
    """Everything from the grid operator to the meter, at work.

    Args:
        folder: an existing folder for all of it.
        nodes: of eight accelerators.
        width: accelerators of a job.
        response: settings of the service's response that differ from the defaults.
        every_s: between readings of the meter, s.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 8,
        *,
        width: int = 1,
        response: dict[str, str] | None = None,
        every_s: float = 0.25,
    ) -> None:
        self.folder, self.nodes, self.width = folder, nodes, width
        self.accelerators = nodes * NODE_SIZE
        self.ids: dict[str, str] = {}
        self._response = response or {}
        self._every_s = every_s
        self._seen = 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> LiveCut:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        enter, folder = self._stack.enter_context, self.folder
        for name in ("broker", "slurm"):
            (folder / name).mkdir()
        self.cluster: LocalCluster = enter(
            LocalCluster(folder / "slurm", self.nodes, NODE_SIZE, start_limit_s=_START_LIMIT_S)
        )
        self.broker: LocalBroker = enter(LocalBroker(folder / "broker"))
        self.meter: RunningMeter = enter(
            power_meter(
                folder / "readings",
                accelerators=self.accelerators,
                cluster=str(self.cluster.conf),
                work_w=WORK_W,
                idle_w=IDLE_W,
                every_s=self._every_s,
            )
        )
        self.factory, self.settings = self._written()
        self.store = Store.open(f"sqlite:///{folder / 'store.db'}")
        self._stack.callback(self.store.close)
        self._processes = [enter(self._process(name)) for name in ("controller", CHANNEL)]
        self.operator = GridOperator(self.broker, folder / "tso.secret")
        self._stack.callback(self.operator.close)
        wait_until(self._speaks, _START_LIMIT_S, "the controller did not lead")
        self.watch = JournalWatch(folder / "state" / "live")

    def _speaks(self) -> bool:
        if any(process.poll() is not None for process in self._processes):
            logs = (self.folder / f"{name}.log" for name in ("controller", CHANNEL))
            said = "\n".join(log.read_text()[-1000:] for log in logs)
            raise RuntimeError(f"the service has ended: {said}")
        channel = self.store.published(f"channel:{CHANNEL}")
        well = channel is not None and "out of reach" not in channel[1]["trouble"]
        return well and self.store.published("status") is not None

    @contextlib.contextmanager
    def _process(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        command = serve_command(self.factory, self.settings, name)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603  (this interpreter, our own module)
                command, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _written(self) -> tuple[Path, Path]:
        full_mw = self.accelerators * WORK_W / 1e6
        reserves = {
            "site": SITE,
            "afrr_up": f"{max(1.0, full_mw)} MW",
            "sheds": {SAVES: "40 %", FREEZES: "20 %"},
            "tenants_agree": ["lab", "shop"],
            "sources": {"*": "Made up for a test, 2026, assumption"},
        }
        site = SmallSite(pools=(SmallPool("H100", self.nodes),))
        small = SmallFactory((site,), changes={"energy.reserves": [reserves]})
        factory = small.write(self.folder / "small.yaml")
        settings = self.folder / "serve.yaml"
        settings.write_text(json.dumps(self._service(full_mw)), "utf-8")  # JSON is YAML
        return factory, settings

    def _service(self, full_mw: float) -> dict[str, Any]:
        secret, password = self.folder / "tso.secret", self.folder / "broker.secret"
        secret.write_text(base64.b64encode(os.urandom(32)).decode())  # random-ok: a key of its own
        password.write_text(self.broker.password)
        return {
            "environment": "live",
            "state": "state",
            "store": {"url": f"sqlite:///{self.folder / 'store.db'}"},
            "managers": {
                "main": {**slurm_settings(self.cluster), "writes_burst": 4000},
            },
            "meters": {"processes": page_settings(self.meter, full_mw)},
            "sites": {SITE: {"safe": f"{0.5 * full_mw} MW", "overhead": 1.0}},
            "channels": {
                CHANNEL: {
                    "kind": "mqtt",
                    "points": [SITE],
                    "gives": ["setpoint"],
                    "sequence": True,
                    "options": {
                        "power_max": f"{max(1.0, 2.0 * full_mw)} MW",
                        "host": "127.0.0.1",
                        "port": self.broker.port,
                        "user": self.broker.user,
                        "password": {"file": str(password)},
                        "client_id": "plant",
                        "setpoint_topic": _TOPIC,
                        "keys": {
                            "tso": {"algorithm": "hmac-sha256", "secret": {"file": str(secret)}}
                        },
                    },
                }
            },
            "response": {"lead": "0 s", **self._response},
        }

    # --- work ------------------------------------------------------------------------------

    def hand_over(
        self,
        jobs: int,
        *,
        saving: int,
        deaf: int = 0,
        work_s: float = 36_000.0,
        tick_s: float = 1.0,
        name: str = "job",
        save_every_s: float = 0.0,
    ) -> list[str]:
        """Ask for jobs, through the store; their keys.

        Args:
            jobs: how many.
            saving: the first so many save within their grace; the others are frozen in a cut.
            deaf: the first so many of these heed no signal: they save every `save_every_s` alone.
            work_s: work of each.
            tick_s: how often a job writes its progress.
            name: begins their names.
            save_every_s: how often the deaf ones save by themselves.
        """
        made = []
        for i in range(jobs):
            heeds = i >= deaf
            script = job_script(
                self.cluster.checkpoints,
                work_s,
                tick_s=tick_s,
                save_every_s=0.0 if heeds else save_every_s,
                heeds=heeds,
            )
            body = {
                "job_class": SAVES if i < saving else FREEZES,
                "accelerators": self.width,
                "nodes": 0,
                "walltime_s": 86_400,
                "priority": 3,
                "script": script,
                "name": f"{name}-{i}",
                "pool": POOL,
                "accelerators_min": 0,
            }
            asked = Asked(("lab", "shop")[i % 2], f"{name}-{i}", body, "test", now_ns())
            work, _ = self.store.submit(asked)
            self.ids[f"{name}-{i}"] = work.id
            made.append(work.id)
        return made

    def fill(self, jobs: int | None = None, limit_s: float = 300.0) -> None:
        """Wait until so many jobs work by the meter; as many as there is room for."""
        room = self.accelerators // self.width
        wanted = min(room, len(self.ids)) if jobs is None else jobs
        wait_until(
            lambda: self.sight().working >= wanted * self.width,
            limit_s,
            f"{wanted} jobs did not start",
            0.2,
        )

    def sight(self) -> Sight:
        """The meter's latest reading."""
        found: Sight = wait_until(self.meter.latest, 10.0, "no reading")
        return found

    def works(self) -> list[Work]:
        """Every piece of work by the store."""
        found: list[Work] = []
        after: str | None = None
        while page := self.store.list_work(after=after, limit=500):
            found += page
            after = page[-1].id
        return found

    def events(self, key: str) -> tuple[JobEvent, ...]:
        """What a job wrote about itself."""
        return job_events(self.cluster.checkpoints, key)

    # --- cuts ------------------------------------------------------------------------------

    def cut(self, share: float, *, hold_s: float = 0.0, limit_s: float = 60.0) -> Cut:
        """Ask for less by a signed message and wait until power is below, by the meter.

        Args:
            share: of the power metered now.
            hold_s: how long the cut is watched after power has fallen.
            limit_s: how long is waited for it.
        """
        before = self.sight()
        self._new_order()
        drawn = self._drawing()
        self.watch.look()
        sent = self.operator.ask(share * before.it_w / 1e6)
        made = Cut(sent, before.it_w, (1.0 - share) * before.it_w)
        until = sent + int(limit_s * NS_PER_S)
        fallen = 0
        while now_ns() < until:
            self.watch.look()
            if math.isnan(made.stored_s) and self._new_order():
                made.stored_s = (now_ns() - sent) / NS_PER_S
            if self.sight().it_w > made.limit_w:
                fallen = 0
            elif not fallen:
                fallen = now_ns()
            if fallen and now_ns() - fallen >= hold_s * NS_PER_S:
                break
            time.sleep(_NAP_S)  # clock-ok: real processes are watched
        over = now_ns()
        made.below_s = below_s(self.meter.sights(), sent, over, made.limit_w)
        intent = self.watch.intent_ns(sent)
        made.intent_s = math.nan if intent is None else (intent - sent) / NS_PER_S
        made.victims = drawn - self._drawing()
        made.frozen = made.victims & self._stopped()
        return made

    def release(self, cut: Cut, limit_s: float = 180.0) -> None:
        """Ask for nothing any more and wait until as many jobs work as before."""
        each_w = (WORK_W - IDLE_W) * self.width
        jobs = round((cut.before_w - self.accelerators * IDLE_W) / each_w)
        cut.released_ns = self.operator.ask(0.0)
        self.fill(jobs, limit_s)
        cut.restored_s = (self.sight().at_ns - cut.released_ns) / NS_PER_S

    def _new_order(self) -> bool:
        """Whether an order came into the store since the last look."""
        found = self.store.orders(source=CHANNEL, after=self._seen)
        if found:
            self._seen = found[-1].seq
        return bool(found)

    def _drawing(self) -> frozenset[str]:
        return self.cluster.drawing()

    def _stopped(self) -> frozenset[str]:
        return frozenset(self.cluster.job_states()) - self.cluster.drawing()

    # --- what must hold --------------------------------------------------------------------

    def lost(self) -> list[str]:
        """What is wrong with any job: lost, doubled, failed; empty when all is well."""
        wrong = [
            f"{work.idempotency_key}: {work.state} ({work.why})"
            for work in self.works()
            if work.state in ENDED and work.state is not WorkState.COMPLETED
        ]
        for name, key in self.ids.items():
            first = [e for e in self.events(key) if e.what == "start" and e.restart == 0]
            if len(first) > 1:
                wrong.append(f"{name}: started {len(first)} times for the first time")
        return wrong

    def day(self) -> Path:
        """The folder of the day, once nothing is written to it any more."""
        return self.watch.path.parent

    def stop(self) -> int:
        """End the service as an operator would; exit code of its controller."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30.0) for process in self._processes]
        return codes[0]

    def lost_s(self) -> dict[str, float]:
        """Work done and not saved when a job started again, s, by name, where there was any."""
        found = {}
        for name, key in self.ids.items():
            lost = sum(e.lost_s for e in self.events(key) if e.what == "start")
            if lost:
                found[name] = lost
        return found
