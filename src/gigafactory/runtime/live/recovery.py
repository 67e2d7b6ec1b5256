"""What a journal says to a controller that starts again: where it was, and what it does not know.

Nothing here decides. The manager is looked at afterwards and is always right about what is; the
journal is right about what was ordered, in which order jobs were paused, and up to when energy was
accounted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gigafactory.grid.ports import GridOrder
from gigafactory.jobs.ports import Action, Command, EndedView, JobView, Phase
from gigafactory.kernel import FULL_SPEED
from gigafactory.runtime.live import frames as live
from gigafactory.runtime.live.daybook import live_frames
from gigafactory.runtime.live.isps import IspEnergy
from gigafactory.runtime.live.orders import from_plain
from gigafactory.runtime.live.watch import Move, Seen, ending_of

#: Actions whose effect a crash may have left in doubt.
_IMPORT = live.SITE_COLUMNS.index("import_uwh")
_KNOWN = frozenset(str(a) for a in Action)


@dataclass(slots=True)
class Recovery:
    """What a day's journal holds of the state of the loop.

    Attributes:
        begin: its first frame; None for an empty journal.
        ended: it is sealed.
        upto_ns: end of the last interval accounted.
        last_ns: instant of the last frame.
        jobs: jobs by name, as last seen, with their numbers.
        groups: class number by job number.
        count: numbers given.
        moves: the last move of each job that holds something, by its number.
        paused: manager's names of paused jobs, in the order in which they were paused.
        orders: accepted orders, in order.
        doubtful: commands per pool number that were about to be sent and have no receipt.
        closed: how jobs ended, by key.
        isps: energy imported per site and settlement period.
        over_ns: since when a site's limit has been broken without a break, by its number.
    """

    begin: live.Begin | None = None
    ended: bool = False
    upto_ns: int = 0
    last_ns: int = 0
    jobs: dict[str, Seen] = field(default_factory=dict)
    groups: dict[int, int] = field(default_factory=dict)
    count: int = 0
    moves: dict[int, Move] = field(default_factory=dict)
    paused: list[str] = field(default_factory=list)
    orders: list[GridOrder] = field(default_factory=list)
    doubtful: list[tuple[int, Command]] = field(default_factory=list)
    closed: dict[str, EndedView] = field(default_factory=dict)
    isps: IspEnergy = field(default_factory=IspEnergy)
    over_ns: dict[int, int] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _told: dict[str, int] = field(default_factory=dict)  # place of each victim, in order
    _sent: dict[str, tuple[int, Command]] = field(default_factory=dict)

    def take(self, at_ns: int, frame: live.LiveFrame) -> None:
        """Read one frame."""
        self.last_ns = max(self.last_ns, at_ns)
        match frame:
            case live.Begin():
                self.begin = frame
                self.upto_ns = frame.edges_ns[0]
            case live.WorkTaken():
                self._work(frame)
            case live.Moves():
                self._moved(frame)
            case live.OrderJudged() if frame.verdict in ("accepted", "carried"):
                self.orders.append(from_plain(_told(frame)))
            case live.IntentTold() if not frame.only_recorded:
                for told in frame.commands:
                    if told.action == Action.PAUSE:
                        self._told.setdefault(told.target, max(self._told.values(), default=0) + 1)
                    if told.action in _KNOWN:
                        command = Command(
                            told.key, Action(told.action), told.target, reason=told.reason
                        )
                        self._sent[told.key] = (told.pool, command)
            case live.Receipts():
                for answer in frame.answers:
                    if answer.outcome != "unknown":
                        self._sent.pop(answer.key, None)
            case live.Metered():
                self.upto_ns = frame.to_ns
                for s, site in enumerate(self.begin.sites if self.begin is not None else ()):
                    energy = int(frame.sites[s, _IMPORT])
                    self.isps.add(site, frame.from_ns, frame.to_ns, energy)
                self._metered(frame)
            case live.End():
                self.ended = True
            case _:
                pass

    def close(self) -> None:
        """The last frame has been read."""
        last: dict[str, tuple[int, Command]] = {}
        for pool, command in self._sent.values():
            last[command.job] = (pool, command)
        self.doubtful = list(last.values())

    def _metered(self, frame: live.Metered) -> None:
        """Follow how long a limit has been broken, so that a crash gives nobody its grace anew."""
        for site, row in enumerate(frame.sites.tolist()):
            told = dict(zip(live.SITE_COLUMNS, row, strict=True))
            if told["limit_w"] < 0:
                continue  # after a start the limit is not known yet: what was, still is
            if told["over_ns"] > 0:
                self.over_ns.setdefault(site, frame.from_ns)
            else:
                self.over_ns.pop(site, None)

    def _work(self, frame: live.WorkTaken) -> None:
        assert self.begin is not None, "work before the begin of a day"
        columns = frame.columns
        for i, number in enumerate(columns["job"].tolist()):
            tenant, group = int(columns["tenant"][i]), int(columns["job_class"][i])
            pool = self.begin.pools[int(columns["pool"][i])].name
            ours = tenant >= 0 or bool(frame.keys[i])
            view = JobView(
                job=frame.native[i],
                tenant=self.begin.tenants[tenant] if tenant >= 0 else "",
                phase=Phase.HELD,
                accelerators=int(columns["accelerators"][i]),
                submit_ns=int(columns["submit_ns"][i]),
                start_ns=None,
                walltime_s=float(columns["walltime_s"][i]),
                ours=ours,
                key=frame.keys[i],
                job_class=self.begin.classes[group] if group >= 0 else "",
                priority=int(columns["priority"][i]),
                pool=pool,
                nodes_asked=int(columns["nodes"][i]),
            )
            name = frame.keys[i] or f"#{pool}/{frame.native[i]}"
            self.jobs[name] = Seen(number, view)
            self._names[number] = name
            self.groups[number] = group
            self.count = max(self.count, number + 1)

    def _moved(self, frame: live.Moves) -> None:
        before = frozenset(self.paused)
        self._each_move(frame)
        kept = [job for job in self.paused if job in before]
        fresh = [job for job in self.paused if job not in before]
        # seen at one look, they were paused in the order in which they were told
        fresh.sort(key=lambda job: (self._told.get(job, 1 << 62), len(job), job))
        self.paused = kept + fresh
        for job in fresh:
            self._told.pop(job, None)

    def _each_move(self, frame: live.Moves) -> None:
        columns = frame.columns
        for i in range(len(columns["job"])):
            move = Move(
                t_ns=int(columns["t_ns"][i]),
                kind=int(columns["kind"][i]),
                job=int(columns["job"][i]),
                width=int(columns["width"][i]),
                pool=int(columns["pool"][i]),
                speed=int(columns["speed"][i]),
                lost_ns=int(columns["lost_ns"][i]),
                restart=int(columns["restart"][i]),
                frozen=int(columns["frozen"][i]),
            )
            self.moves.pop(move.job, None)
            name = self._names[move.job]
            seen = self.jobs.get(name)
            if seen is None:
                continue
            view, native = seen.view, seen.view.job
            if move.kind in (live.START, live.RESUME, live.SPEED):
                begun = move.t_ns if move.kind != live.SPEED else seen.opened_ns
                view = replace(
                    view,
                    phase=Phase.RUNNING,
                    start_ns=begun,
                    restarts=move.restart,
                    speed=move.speed / FULL_SPEED,
                    frozen=False,
                )
                self.jobs[name] = Seen(move.job, view, begun)
                self.moves[move.job] = move
                self._unpause(native)
            elif move.kind == live.PAUSE:
                view = replace(view, phase=Phase.PAUSED, frozen=bool(move.frozen))
                self.jobs[name] = Seen(move.job, view, 0, True)
                self.moves[move.job] = move
                if native not in self.paused:
                    self.paused.append(native)
            elif move.kind in (live.PREEMPT, live.EVICT, live.FAIL):
                self.jobs[name] = Seen(move.job, replace(view, phase=Phase.HELD, frozen=False))
                self._unpause(native)
            else:
                ending = ending_of(move.kind, frame.reasons.get(str(i), ""))
                if ending is not None:
                    self.closed[name] = EndedView(native, name, ending, move.t_ns, None)
                self._unpause(native)
                del self.jobs[name]

    def _unpause(self, native: str) -> None:
        if native in self.paused:
            self.paused.remove(native)


def _told(frame: live.OrderJudged) -> Mapping[str, object]:
    return {
        "source": frame.source,
        "key": frame.key,
        "order_kind": frame.order_kind,
        "point": frame.point,
        "power_w": frame.power_w,
        "issued_ns": frame.issued_ns,
        "received_ns": frame.received_ns,
        "start_ns": frame.start_ns,
        "end_ns": frame.end_ns,
        "sequence": frame.sequence,
        "replaces": frame.replaces,
    }


def recover_day(path: Path, also: Callable[[live.LiveFrame], None] | None = None) -> Recovery:
    """Read what a day's journal says, as far as it is whole.

    Args:
        path: of the journal.
        also: is given every frame as well.

    Raises:
        Damaged: the damage lies in the middle.
    """
    found = Recovery()
    for at_ns, frame in live_frames(path):
        found.take(at_ns, frame)
        if also is not None:
            also(frame)
    found.close()
    return found
