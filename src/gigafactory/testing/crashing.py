"""The live service on real parts, killed at random instants, and what must hold afterwards.

::

    with CrashRig(folder, seed=7) as rig:
        rig.crash(20)                   # kill -9 at random, start again, check; twenty times
        rig.finish()                    # let all work end and stop the service as an operator would
        assert rig.problems() == []

Every part is the real one: Slurm with a daemon per virtual node, PostgreSQL, the controller as a
process of its own (with a standby where asked), and a meter that reads the processes of the jobs.
Work and limits come through the store all the while. Killed are the controller, the database and
Slurm's controller, alone or two at once. What is drawn is drawn from the seed: kinds, pauses, work
and limits are the same again with the same seed; how long a process takes is not.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gigafactory.adapters.slurm.metadata import read_tag
from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.adapters.store.records import ENDED, Asked, Verdict, Work, WorkState
from gigafactory.engine.journal import Damaged, recover
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.runtime.live import days
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import day_path, days_in, live_frames
from gigafactory.testing.factories import SmallFactory, SmallPool, SmallSite
from gigafactory.testing.jobscript import JobEvent, job_events, job_script
from gigafactory.testing.livecut import (
    IDLE_W,
    NODE_SIZE,
    POOL,
    SITE,
    WORK_W,
    now_ns,
    page_settings,
    serve_command,
    slurm_settings,
    wait_until,
)
from gigafactory.testing.postgres import LocalPostgres
from gigafactory.testing.powermeter import RunningMeter, Sight, power_meter
from gigafactory.testing.slurm import LocalCluster
from gigafactory.units import NS_PER_S

CHANNEL: Final = "gopacs"
CONTROLLER, DATABASE, SLURM = "controller", "database", "slurm controller"
#: What is killed at once, in turn of a shuffled pack; the first often, as the part that matters.
KINDS: Final[Sequence[tuple[str, ...]]] = (
    *(((CONTROLLER,),) * 4),
    *(((DATABASE,),) * 2),
    *(((SLURM,),) * 2),
    (CONTROLLER, DATABASE),
    (CONTROLLER, SLURM),
)
_START_LIMIT_S: Final = 240.0  # the kernel may be compiled first
_RECOVERY_LIMIT_S: Final = 90.0
_FOLDER: Final = "state/live"
_HELD: Final = re.compile(r"Nodes=(\S+) CPU_IDs=\S+ Mem=\S* GRES=(\S*)")
#: A job that runs while another process runs the same work says so, and ends.
_LOCK: Final = """\
exec 9>>'{folder}'/$GIGAFACTORY_KEY.lock
flock -n 9 || {{ echo "$GIGAFACTORY_KEY $SLURM_JOB_ID" >>'{folder}'/doubled; exit 1; }}
"""


@dataclass(frozen=True, slots=True)
class Kill:
    """A crash and the recovery from it.

    Attributes:
        kind: what was killed, and whether a standby was there.
        at_ns: when, ns UTC.
        decided_ns: when a controller had next decided with every part in reach, ns UTC.
    """

    kind: str
    at_ns: int
    decided_ns: int

    @property
    def recovery_s(self) -> float:
        """From the kill to the next decision, the restart of the part included, s."""
        return (self.decided_ns - self.at_ns) / NS_PER_S


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that was told: from when it may hold, and from when it is known to the store."""

    key: str
    power_w: float
    sent_ns: int
    told_ns: int


@dataclass(slots=True)
class Outside:
    """Who asks for work and sets limits, whatever is killed meanwhile: they ask until answered.

    Attributes:
        works: id by the tenant's key, of what was acknowledged.
        limits: orders that were acknowledged, in order.
        failed: why a thread ended before its time.
    """

    works: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class CrashRig:
    """Everything at work, and a hand that kills.

    Args:
        folder: an existing folder for all of it; kept as it is.
        seed: of everything that is drawn.
        jobs: asked for in all, a third of them at the beginning.
        every_s: from one piece of work to the next, s, on average.
        work_s: shortest and longest work of a job, s.
        bound_s: a lower limit is met within, s of time in which every part was up.
        era_s: times of low and of high limits take turns of so long, s.
        nodes: of eight accelerators each.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        jobs: int = 100,
        every_s: float = 0.5,
        work_s: tuple[float, float] = (2.0, 6.0),
        bound_s: float = 8.0,
        era_s: float = 14.0,
        nodes: int = 8,
    ) -> None:
        self.folder, self.seed, self.bound_s = folder, seed, bound_s
        self.accelerators = nodes * NODE_SIZE
        self.full_w = self.accelerators * WORK_W
        self.kills: list[Kill] = []
        self.found: list[str] = []
        self.outside = Outside()
        self._nodes, self._jobs, self._every_s, self._work_s = nodes, jobs, every_s, work_s
        self._era_s = era_s
        self._draw = random.Random(seed)  # random-ok: by seed, a test  # noqa: S311
        self._stack = contextlib.ExitStack()
        self._over = threading.Event()
        self._limits_over = threading.Event()
        self._controllers: list[subprocess.Popen[bytes]] = []
        self._count = 0
        self._frames: dict[str, int] = {}
        self._standby = False

    # --- starting and stopping -------------------------------------------------------------

    def __enter__(self) -> CrashRig:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        enter = self._stack.enter_context
        (self.folder / "slurm").mkdir()
        self.cluster: LocalCluster = enter(
            LocalCluster(self.folder / "slurm", self._nodes, NODE_SIZE, start_limit_s=120.0)
        )
        self.database: LocalPostgres = enter(LocalPostgres())
        self.url = self.database.make_database("crash")
        self.meter: RunningMeter = enter(
            power_meter(
                self.folder / "readings",
                accelerators=self.accelerators,
                cluster=str(self.cluster.conf),
                work_w=WORK_W,
                idle_w=IDLE_W,
                every_s=0.25,
            )
        )
        self.factory, self.settings = self._written()
        self.store = Store.open(self.url)
        self._stack.callback(self.store.close)
        self._stack.callback(self._end_controllers)
        self._run_controller()
        self._settled(0, "", _START_LIMIT_S)
        for work in (self._ask_for_work, self._set_limits):
            thread = threading.Thread(target=self._watched, args=(work,), daemon=True)
            thread.start()
            self._stack.callback(thread.join)
        self._stack.callback(self._over.set)
        self._stack.callback(self._limits_over.set)

    def _written(self) -> tuple[Path, Path]:
        site = SmallSite(pools=(SmallPool("H100", self._nodes),))
        factory = SmallFactory((site,)).write(self.folder / "small.yaml")
        settings = self.folder / "serve.yaml"
        settings.write_text(json.dumps(self._service()), "utf-8")  # JSON is YAML
        return factory, settings

    def _service(self) -> dict[str, Any]:
        full_mw = self.full_w / 1e6
        return {
            "environment": "live",
            "state": "state",
            "tick": "0.5 s",
            "store": {"url": self.url},
            "managers": {"main": slurm_settings(self.cluster)},
            "meters": {"processes": page_settings(self.meter, full_mw)},
            "sites": {SITE: {"safe": f"{0.5 * full_mw} MW", "overhead": 1.0}},
            "channels": {CHANNEL: {"kind": "api", "points": [SITE]}},
            "response": {
                "deadline": f"{self.bound_s} s",
                "freeze_after": f"{self.bound_s / 2.0} s",
                "lead": "0 s",
                "retry": "4 s",
            },
        }

    def _run_controller(self) -> None:
        command = serve_command(self.factory, self.settings, "controller")
        self._count += 1
        with (self.folder / f"controller-{self._count}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  (our own)
        self._controllers.append(process)

    def _end_controllers(self) -> None:
        for process in self._controllers:
            process.kill()
            process.wait()

    # --- the world outside -----------------------------------------------------------------

    def _watched(self, work: Any) -> None:
        store = Store.open(self.url)
        try:
            work(store)
        except Exception as error:  # broad-ok: said with the problems, where it fails the test
            self.outside.failed.append(f"{work.__name__}: {error!r}")
        finally:
            store.close()

    def _until_told(self, tell: Any) -> Any:
        """Ask until answered, as a client with an idempotency key does."""
        while True:
            try:
                return tell()
            except StoreTrouble:
                time.sleep(0.1)  # clock-ok: a client waits

    def _ask_for_work(self, store: Store) -> None:
        draw = random.Random(f"{self.seed} work")  # random-ok: by seed, a test  # noqa: S311
        for i in range(self._jobs):
            name = f"job-{i}"
            asked = Asked(("lab", "shop")[i % 2], name, self._body(name, draw), "test", now_ns())
            work, _ = self._until_told(lambda one=asked: store.submit(one))
            self.outside.works[name] = work.id
            first = i < self._jobs // 3
            if not first and self._over.wait(draw.uniform(0.0, 2.0) * self._every_s):
                return

    def _body(self, name: str, draw: random.Random) -> dict[str, Any]:
        folder = self.cluster.checkpoints
        script = job_script(folder, draw.uniform(*self._work_s), tick_s=0.5, save_every_s=1.0)
        first, _, rest = script.partition("\n")
        return {
            "job_class": draw.choice(("fine_tuning", "fine_tuning", "frontier_training")),
            "accelerators": draw.choice((1, 2, 4, 8)),
            "nodes": 1,
            "walltime_s": 86_400,
            "priority": 3,
            "script": f"{first}\n{_LOCK.format(folder=folder)}{rest}",
            "name": name,
            "pool": POOL,
            "accelerators_min": 0,
        }

    def _set_limits(self, store: Store) -> None:
        draw = random.Random(f"{self.seed} limits")  # random-ok: by seed, a test  # noqa: S311
        begun, before = now_ns(), ""
        for i in itertools.count():
            low = int((now_ns() - begun) / NS_PER_S / self._era_s) % 2 == 1
            share = draw.uniform(0.5, 0.65) if low else draw.uniform(0.8, 1.0)
            before = self._limit(store, f"limit-{i}", share, before)
            if self._limits_over.wait(draw.uniform(1.0, 5.0)):
                break
        self._limit(store, "limit-last", 1.0, before)

    def _limit(self, store: Store, key: str, share: float, before: str) -> str:
        now, power_w = now_ns(), share * self.full_w
        end = now + 7200 * NS_PER_S
        order = GridOrder(
            key, CHANNEL, OrderKind.LIMIT, SITE, power_w / 1e6, now, now, now, end, replaces=before
        )
        self._until_told(lambda: store.put_order(order))
        self.outside.limits.append(Limit(key, power_w, now, now_ns()))
        return key

    # --- killing ---------------------------------------------------------------------------

    def crash(self, kills: int, *, pause_s: float = 1.0) -> None:
        """Kill, start again and check, so many times; the second half with a standby.

        Args:
            kills: how often.
            pause_s: longest time between a recovery and the next kill, s.
        """
        pack: list[tuple[str, ...]] = []
        for i in range(kills):
            if not self._standby and i >= kills // 2:
                self._standby = True
                self._run_controller()
            if not pack:
                pack = list(KINDS)
                self._draw.shuffle(pack)
            time.sleep(self._draw.uniform(0.0, pause_s))  # clock-ok: real processes
            self._kill(pack.pop())
            self._check()

    def _kill(self, parts: tuple[str, ...]) -> None:
        leader = self._leader()
        down_s = self._draw.uniform(0.0, 0.3)
        at = now_ns()
        for part in parts:
            if part == CONTROLLER and leader is not None:
                leader.kill()
                leader.wait()
                self._controllers.remove(leader)
            elif part == DATABASE:
                self.database.kill()
            elif part == SLURM:
                self.cluster.kill_controller()
        time.sleep(down_s)  # clock-ok: real processes
        for part in parts:
            if part == CONTROLLER:
                self._run_controller()
            elif part == DATABASE:
                self.database.start()
            elif part == SLURM:
                self.cluster.restart_controller()
        gone = str(leader.pid) if leader is not None and CONTROLLER in parts else ""
        kind = " and ".join(parts)
        if self._standby and CONTROLLER in parts:
            kind += ", with a standby"
        self.kills.append(Kill(kind, at, self._settled(at, gone, _RECOVERY_LIMIT_S)))

    def _leader(self) -> subprocess.Popen[bytes] | None:
        """The controller that leads; with the database away, the one that did."""
        status = self.status()
        pid = str(status[1]["controller"]).rpartition(":")[2] if status is not None else ""
        return next((p for p in self._controllers if str(p.pid) == pid), None)

    def status(self) -> tuple[int, Any] | None:
        """What a controller last said; None where the store is away or nobody has."""
        try:
            found: tuple[int, Any] | None = self.store.published("status")
        except StoreTrouble:
            return None
        return found

    def _settled(self, after_ns: int, gone: str, limit_s: float) -> int:
        """Wait for the next decision with every part in reach; when it was, ns UTC."""

        def decided() -> int:
            ended = [p.poll() for p in self._controllers if p.poll() is not None]
            if ended:
                raise RuntimeError(f"a controller ended by itself: {ended}; seed {self.seed}")
            status = self.status()
            if status is None or status[0] <= after_ns:
                return 0
            away = {f["kind"] for f in status[1]["fallbacks"]} & {"manager_away", "store_away"}
            same = bool(gone) and str(status[1]["controller"]).endswith(f":{gone}")
            return 0 if away or same else now_ns()

        where = f"no decision after a kill; seed {self.seed}, folder {self.folder}"
        return int(wait_until(decided, limit_s, where, 0.02))

    # --- what must hold --------------------------------------------------------------------

    def _check(self) -> None:
        """What must hold at every instant."""
        number = len(self.kills)
        wrong = [*self._accelerators(), *self._journals()]
        doubled = self.cluster.checkpoints / "doubled"
        if doubled.exists():
            wrong.append(f"work was run by two processes at once: {doubled.read_text().split()}")
        self.found += [f"after kill {number} ({self.kills[-1].kind}): {w}" for w in wrong]

    def jobs(self) -> list[dict[str, str]]:
        """Every job Slurm remembers, its fields by name; `held` says where and which."""
        shown = self.cluster.run("scontrol", "-d", "-o", "show", "job")
        found = []
        for line in shown.splitlines():
            words = dict(w.split("=", 1) for w in line.split() if "=" in w)
            words["held"] = "\n".join(f"{n} {g}" for n, g in _HELD.findall(line))
            found.append(words)
        return found

    def _accelerators(self) -> Iterator[str]:
        """Whether Slurm has given an accelerator to two jobs."""
        holder: dict[tuple[str, int], str] = {}
        for job in self.jobs():
            if job.get("JobState") not in ("RUNNING", "SUSPENDED"):
                continue
            for line in filter(None, job["held"].split("\n")):
                nodes, gres = line.split(" ", 1)
                for one in itertools.product(_hosts(nodes), _indices(gres)):
                    other = holder.setdefault(one, job["JobId"])
                    if other != job["JobId"]:
                        yield f"accelerator {one} is given to jobs {other} and {job['JobId']}"

    def _journals(self) -> Iterator[str]:
        """Whether each journal's chain is whole, and none has become shorter."""
        folder = self.folder / _FOLDER
        for day in days_in(folder):
            try:
                count = recover(day_path(folder, day)).frames
            except Damaged as damage:
                yield f"the journal of {day} is damaged: {damage}"
                continue
            if count < self._frames.get(day, 0):
                yield f"the journal of {day} lost frames: {self._frames[day]} became {count}"
            self._frames[day] = count

    def finish(self, limit_s: float = 180.0) -> None:
        """Let all work end, then stop the service as an operator would."""
        self._limits_over.set()
        wait_until(self._all_ended, limit_s, f"work did not end; {self.words()}", 0.25)
        self._over.set()
        time.sleep(1.5)  # clock-ok: the last changes are told
        for process in self._controllers:
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30.0) for process in self._controllers]
        if any(codes):
            self.found.append(f"controllers ended with {codes}")

    def words(self) -> str:
        """How to see a failure again."""
        return f"seed {self.seed}; everything is kept in {self.folder}"

    def works(self) -> list[Work]:
        """Every piece of work by the store."""
        found: list[Work] = []
        after: str | None = None
        while page := self.store.list_work(after=after, limit=500):
            found += page
            after = page[-1].id
        return found

    def _all_ended(self) -> bool:
        whole = len(self.outside.works) == self._jobs or bool(self.outside.failed)
        return whole and all(work.state in ENDED for work in self.works())

    def problems(self) -> list[str]:
        """Everything that does not hold, in words, after `finish`; empty when all does."""
        found = [*self.found, *self.outside.failed]
        found += [*self._accelerators(), *self._journals()]
        found += [*self._work(), *self._orders(), *self._ledger(), *self._power()]
        return found

    def _work(self) -> Iterator[str]:
        """Every acknowledged piece of work ended well, exactly once, everywhere.

        Slurm's controller writes its state every few seconds. One killed after a start and before
        that finds the job pending: its process is ended once its node registers, or ends before,
        and the job is run again from its checkpoint. One killed after an end that nobody has seen
        finds the job running; once it is missed on its node it is run again. So a job may be done
        once more per kill of it. An end that was seen is final: the job is cancelled then.
        """
        lost = sum(SLURM in kill.kind for kill in self.kills)
        by_id = {work.id: work for work in self.works()}
        jobs: Counter[str] = Counter()
        cancelled: Counter[str] = Counter()
        for job in self.jobs():
            tag = read_tag(job.get("Comment", ""))
            if tag is not None:
                jobs[tag.key] += 1
                cancelled[tag.key] += job.get("JobState") == "CANCELLED"
        ends = self._ends()
        for name, key in self.outside.works.items():
            work = by_id.get(key)
            if work is None:
                yield f"{name} was acknowledged and is not in the store"
                continue
            if work.state is not WorkState.COMPLETED:
                yield f"{name} {key} is {work.state}: {work.why}"
            if not jobs[key] or jobs[key] - cancelled[key] > 1:
                yield f"{name} {key} is {jobs[key]} jobs of Slurm, {cancelled[key]} cancelled"
            done = [e.restart for e in self._events(key) if e.what == "done"]
            if not 1 <= len(done) <= 1 + lost:
                yield f"{name} {key} was done in its runs {done}"
            if ends[key] != 1:
                yield f"{name} {key} ends {ends[key]} times in the journal"
        for key in set(by_id) - set(self.outside.works.values()):
            yield f"{key} is in the store and was not asked for"

    def _events(self, key: str) -> tuple[JobEvent, ...]:
        return job_events(self.cluster.checkpoints, key)

    def _ends(self) -> Counter[str]:
        """How often each key ends in the journals."""
        found: Counter[str] = Counter()
        names: dict[int, str] = {}
        over = (live.FINISH, live.LIMIT, live.CANCEL)
        for _, frame in self._all_frames():
            if isinstance(frame, live.Begin):
                names.clear()
            elif isinstance(frame, live.WorkTaken):
                names.update(zip(frame.columns["job"].tolist(), frame.keys, strict=True))
            elif isinstance(frame, live.Moves):
                kinds, jobs = frame.columns["kind"].tolist(), frame.columns["job"].tolist()
                said = [str(i) in frame.reasons for i in range(len(kinds))]
                found.update(
                    names[job]
                    for kind, job, how in zip(kinds, jobs, said, strict=True)
                    if kind in over or (kind == live.GONE and how)  # it ended where it stood
                )
        return found

    def _all_frames(self) -> Iterator[tuple[int, live.LiveFrame]]:
        folder = self.folder / _FOLDER
        for day in days_in(folder):
            yield from live_frames(day_path(folder, day))

    def _orders(self) -> Iterator[str]:
        """Every acknowledged order was judged, once, and nothing else was."""
        kept = {row.order.key: row.verdict for row in _all_orders(self.store)}
        judged = Counter(
            frame.key
            for _, frame in self._all_frames()
            if isinstance(frame, live.OrderJudged) and frame.verdict != "carried"
        )
        for limit in self.outside.limits:
            if kept.get(limit.key) is not Verdict.TAKEN:
                yield f"{limit.key} is {kept.get(limit.key)} in the store"
            if judged[limit.key] != 1:
                yield f"{limit.key} is judged {judged[limit.key]} times in the journal"
        for key in set(judged) - {limit.key for limit in self.outside.limits}:
            yield f"{key} is judged and was not told"

    def _ledger(self) -> Iterator[str]:
        """Whether the books made from the journals balance."""
        folder = self.folder / _FOLDER
        for day in days_in(folder):
            problems, _ = days.verify(day_path(folder, day).parent)
            yield from (f"the books of {day}: {p}" for p in problems)

    def _power(self) -> Iterator[str]:
        """Whether the meter shows power below what was allowed within the bound before."""
        over = broken(self.meter.sights(), self.outside.limits, self.kills, self.bound_s)
        if over:
            worst = max(over, key=lambda o: o[0].it_w - o[1])
            yield (
                f"{len(over)} readings are above the limit after the bound of {self.bound_s:g} s; "
                f"the worst {worst[0].it_w / 1e3:.1f} kW where {worst[1] / 1e3:.1f} kW was "
                f"allowed, at {worst[0].at_ns}"
            )


def broken(
    sights: Sequence[Sight], limits: Sequence[Limit], kills: Sequence[Kill], bound_s: float
) -> list[tuple[Sight, float]]:
    """Readings above every limit that held within the bound before them, with the highest of these.

    The bound is counted in time in which every part was up: from a kill to the next decision no
    time goes by. Before the first limit anything is allowed.
    """
    found = []
    for sight in sights:
        if not limits or sight.at_ns < limits[0].told_ns:
            continue
        since = _back(sight.at_ns, int(bound_s * NS_PER_S), kills)
        if since < limits[0].told_ns:
            continue
        ends = [*(later.told_ns for later in limits[1:]), sight.at_ns + 1]
        allowed = max(
            limit.power_w
            for limit, end in zip(limits, ends, strict=True)
            if limit.sent_ns <= sight.at_ns and end >= since
        )
        if sight.it_w > allowed * (1.0 + 1e-9):
            found.append((sight, allowed))
    return found


def _back(at_ns: int, up_ns: int, kills: Sequence[Kill]) -> int:
    """The instant from which on so much time in which all was up has gone by."""
    left, upto = up_ns, at_ns
    for kill in reversed(kills):
        if kill.at_ns >= upto:
            continue
        up = upto - min(kill.decided_ns, upto)
        if up >= left:
            break
        left, upto = left - up, kill.at_ns
    return upto - left


def _all_orders(store: Store) -> list[Any]:
    found: list[Any] = []
    while rows := store.orders(after=found[-1].seq if found else 0):
        found += rows
    return found


def _hosts(text: str) -> list[str]:
    """Names of nodes as Slurm writes them, such as n3 or n[1-2,5]."""
    name, _, rest = text.partition("[")
    if not rest:
        return text.split(",")
    return [f"{name}{i}" for i in _numbers(rest.rstrip("]"))]


def _indices(gres: str) -> list[int]:
    """Accelerators by number in Slurm's words, such as gpu:4(IDX:0-2,5)."""
    told = re.search(r"IDX:([\d,-]+)", gres)
    return _numbers(told[1]) if told else []


def _numbers(text: str) -> list[int]:
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += list(range(int(first), int(last or first) + 1))
    return found
