"""What each command comes to in Slurm's own words, given what was seen; pure.

A plan is lines for one `scontrol`, and signals and cancellations for `scancel`. Whether it worked
is not read off what they print but seen by the next look (`there`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gigafactory.adapters.slurm.metadata import Tag, write_tag
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.text import licence_count
from gigafactory.adapters.slurm.views import Ours, Saved
from gigafactory.jobs.ports import Action, Command
from gigafactory.units import NS_PER_S

#: Between the priorities of two released jobs, so that one may be put between them later.
_STEP = 1_000
_TOP = 2_000_000_000
#: What a requeue takes beyond the time to save, s: Slurm's own turn and the job's end.
REQUEUE_S = 3.0


@dataclass(slots=True)
class Plan:
    """What to tell Slurm.

    Attributes:
        lines: commands for `scontrol`, in order.
        signals: jobs to be told to save.
        cancels: jobs to be ended for good.
        refused: why, by job, nothing is done.
        jobs: how many jobs it changes.
    """

    lines: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    jobs: int = 0

    def __bool__(self) -> bool:
        return bool(self.lines or self.signals or self.cancels)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a plan is made from.

    Attributes:
        jobs: our jobs that have not ended, by number.
        saved: what jobs said about their checkpoints, by our key.
        now_ns: the present instant, ns UTC.
        settings: the site's.
    """

    jobs: Mapping[str, Ours]
    saved: Mapping[str, Saved]
    now_ns: int
    settings: SlurmSettings

    def power_kw(self, tag: Tag) -> int:
        """Licences a job takes while it works; see `job_power_kw`."""
        return job_power_kw(tag.accelerators, tag.pool, self.settings)

    def grace_s(self, tag: Tag) -> float:
        """How long a job may take to save, s."""
        return self.settings.grace_s.get(tag.job_class, self.settings.grace_other_s)


def job_power_kw(accelerators: int, pool: str, settings: SlurmSettings) -> int:
    """Licences a job takes while it works, kW, rounded up; 0 where none are kept."""
    if not settings.licence:
        return 0
    return math.ceil(accelerators * settings.kw_per_accelerator.get(pool, 0.0) - 1e-9)


def plan(commands: Sequence[Command], scene: Scene) -> Plan:
    """Plan commands of one action, each for a job of ours that has not ended."""
    made = Plan()
    action = commands[0].action
    assert all(c.action is action for c in commands), "a plan is of one action"
    _PLANS[action](made, [(scene.jobs[c.job], c) for c in commands], scene)
    made.jobs = len(commands) - len(made.refused)
    return made


def there(command: Command, one: Ours | None) -> bool:
    """Whether a command's effect is seen; `one` is None once the job has ended or is gone."""
    action = command.action
    if one is None:
        return action in (Action.CANCEL, Action.PAUSE)
    row, tag = one.row, one.tag
    match action:
        case Action.RELEASE | Action.RESUME:
            return not (row.kept_back or row.frozen or one.pausing)
        case Action.HOLD:
            return row.held
        case Action.PAUSE:
            return row.held or row.frozen or row.leaving or one.pausing
        case Action.REQUEUE:
            return row.waiting or row.leaving
        case Action.SET_PRIORITY:
            return tag.priority == command.priority
        case Action.CANCEL:
            return row.leaving
        case Action.CHECKPOINT | Action.SET_SPEED:
            return True


def move_on(scene: Scene) -> Plan:
    """Plan the next step of every pause on its way, and mend what was left half done.

    A job that has acknowledged its save, or had its grace, gives its nodes back. A job that works
    without the licences it needs (its pause broke off between the two steps) gets them again.
    """
    made = Plan()
    ready, short = [], []
    for one in scene.jobs.values():
        if one.pausing:
            if _has_saved(one, scene):
                ready.append(one)
        elif one.row.running and scene.settings.licence:
            needed_kw = scene.power_kw(one.tag)
            if licence_count(one.row.licences, scene.settings.licence) < needed_kw:
                short.append(one)
    _take_nodes(made, ready, scene, pausing=True)
    _set_licences(made, short, scene)
    made.jobs = len(ready) + len(short)
    return made


def _has_saved(one: Ours, scene: Scene) -> bool:
    pause_ns = one.tag.pause_ns
    assert pause_ns is not None, "only a job on its way to a pause is waited for"
    saved = scene.saved.get(one.tag.key)
    if saved is not None and saved.at_ns >= pause_ns:
        return True
    return scene.now_ns - pause_ns >= scene.grace_s(one.tag) * NS_PER_S


# --- each action --------------------------------------------------------------------------------

Asked = list[tuple[Ours, Command]]


def _plan_start(made: Plan, asked: Asked, scene: Scene) -> None:
    """RELEASE: may start; in the order given."""
    for one, _ in asked:
        if one.row.frozen or (one.row.kept_back and one.tag.pause_ns is not None):
            made.refused[one.job] = "is paused: it is resumed, not released"
    _let_start(made, [one for one, _ in asked if one.job not in made.refused], scene)


def _plan_resume(made: Plan, asked: Asked, scene: Scene) -> None:
    """RESUME: a frozen job goes on at once, a saved one may start, a pause on its way ends."""
    jobs = [one for one, _ in asked]
    frozen = [one for one in jobs if one.row.frozen]
    # First it goes on, then its licences: those of a frozen job cannot be changed.
    _listed(made, "resume", frozen, scene)
    _set_licences(made, frozen, scene)
    for one in jobs:
        if (one.row.running or one.row.frozen) and one.tag.pause_ns is not None:
            _write(made, one, one.tag.unpaused(left=False))
    _let_start(made, jobs, scene)


def _plan_hold(made: Plan, asked: Asked, scene: Scene) -> None:
    queued = []
    for one, _ in asked:
        if not one.row.waiting:
            made.refused[one.job] = "has started: it is paused or requeued, not held"
        elif not one.row.held:
            queued.append(one)
    _listed(made, "hold", queued, scene)


def _plan_pause(made: Plan, asked: Asked, scene: Scene) -> None:
    freeze: list[Ours] = []
    save: list[Ours] = []
    at_once: list[Ours] = []
    thaw: list[Ours] = []
    hold: list[Ours] = []
    room = scene.settings.saves_at_once - sum(
        one.tag.thawed and one.pausing for one in scene.jobs.values()
    )
    for one, command in asked:
        short = _freezes(one, command, scene)
        if one.row.waiting:
            hold.append(one)
        elif one.row.frozen:
            if not short and len(thaw) < room:
                thaw.append(one)
        elif one.row.leaving or (one.pausing and not short):
            pass  # on its way already
        elif short:
            freeze.append(one)
        elif _saves(one, scene):
            save.append(one)
        else:
            at_once.append(one)
    _freeze(made, freeze, scene)
    for one in (*save, *thaw):
        _write(made, one, _leaving_tag(one, scene, told=True))
    _listed(made, "resume", thaw, scene)
    made.signals += [one.job for one in (*save, *thaw)]
    _take_nodes(made, at_once, scene, pausing=True)
    _listed(made, "hold", [one for one in hold if not one.row.held], scene)
    for one in hold:
        if one.row.restarts and one.tag.pause_ns is None:
            _write(made, one, replace(one.tag, pause_ns=scene.now_ns))


def _plan_requeue(made: Plan, asked: Asked, scene: Scene) -> None:
    jobs = [one for one, _ in asked]
    _take_nodes(
        made, [one for one in jobs if one.row.running or one.row.frozen], scene, pausing=False
    )
    for one in jobs:
        if (one.row.waiting or one.row.leaving) and one.tag.pause_ns is not None:
            _write(made, one, one.tag.unpaused(left=True))


def _plan_checkpoint(made: Plan, asked: Asked, scene: Scene) -> None:
    for one, _ in asked:
        if not one.row.running:
            made.refused[one.job] = "is not running: it has nothing to save"
        elif not _saves(one, scene):
            made.refused[one.job] = "does not know the signal to save, or has just started"
        else:
            made.signals.append(one.job)


def _plan_priority(made: Plan, asked: Asked, scene: Scene) -> None:
    for one, command in asked:
        assert command.priority is not None, "set_priority carries a priority"
        if one.tag.priority != command.priority:
            _write(made, one, replace(one.tag, priority=command.priority))
        if one.row.waiting and not one.row.held:
            place = _place(one, command.priority, scene)
            made.lines.append(f"update JobId={one.job} Priority={place}")


def _plan_cancel(made: Plan, asked: Asked, _: Scene) -> None:
    made.cancels += [one.job for one, _ in asked]


def _plan_speed(made: Plan, asked: Asked, _: Scene) -> None:
    for one, _command in asked:
        made.refused[one.job] = "Slurm sets no speed: power caps are the plant's"


_PLANS: dict[Action, Callable[[Plan, Asked, Scene], None]] = {
    Action.RELEASE: _plan_start,
    Action.RESUME: _plan_resume,
    Action.HOLD: _plan_hold,
    Action.PAUSE: _plan_pause,
    Action.REQUEUE: _plan_requeue,
    Action.CHECKPOINT: _plan_checkpoint,
    Action.SET_PRIORITY: _plan_priority,
    Action.CANCEL: _plan_cancel,
    Action.SET_SPEED: _plan_speed,
}


def _freezes(one: Ours, command: Command, scene: Scene) -> bool:
    """Whether a pause freezes the job where it stands rather than save it first."""
    if 0.0 < command.expected_s <= scene.settings.freeze_up_to_s:
        return True
    grace_s = scene.grace_s(one.tag) if _saves(one, scene) else 0.0
    return 0.0 < command.within_s < grace_s + REQUEUE_S


def _saves(one: Ours, scene: Scene) -> bool:
    """Whether the job can be told to save: its class knows the signal and it is up."""
    start_ns = one.row.start_ns or 0
    young = scene.now_ns - start_ns < scene.settings.young_s * NS_PER_S
    return scene.grace_s(one.tag) > 0.0 and not young


# --- parts of plans -----------------------------------------------------------------------------


def _freeze(made: Plan, jobs: Sequence[Ours], scene: Scene) -> None:
    """Licences first: those of a suspended job are kept and cannot be changed any more."""
    for chunk in _chunks(jobs, scene):
        if scene.settings.licence:
            made.lines.append(f"update JobId={chunk} Licenses={scene.settings.licence}:0")
        made.lines.append(f"suspend {chunk}")


def _take_nodes(made: Plan, jobs: Sequence[Ours], scene: Scene, *, pausing: bool) -> None:
    for one in jobs:
        tag = _leaving_tag(one, scene, told=False)
        tag = tag if pausing else tag.unpaused(left=True)
        if tag != one.tag:
            _write(made, one, tag)
    _listed(made, "requeuehold", jobs, scene)


def _leaving_tag(one: Ours, scene: Scene, *, told: bool) -> Tag:
    """The tag of a job about to lose its nodes: what Slurm forgets of it then is written down."""
    row, tag = one.row, one.tag
    if one.pausing:
        return tag
    return replace(
        tag,
        pause_ns=scene.now_ns,
        told=told,
        thawed=told and row.frozen,
        last_start_s=(row.start_ns or 0) // NS_PER_S,
        last_nodes=row.nodes,
    )


def _let_start(made: Plan, jobs: Sequence[Ours], scene: Scene) -> None:
    """Release jobs so that they start in this order, behind those released before."""
    waiting = [one for one in jobs if one.row.kept_back]
    for one in waiting:
        if one.tag.pause_ns is not None:
            _write(made, one, one.tag.unpaused(left=True))
    _set_licences(made, [one for one in waiting if one.row.held], scene, pending=True)
    if not waiting:
        return
    places = [
        one.row.priority
        for one in scene.jobs.values()
        if one.row.waiting and 0 < one.row.priority <= _TOP
    ]
    place = min(places, default=_TOP)
    _listed(made, "release", waiting, scene)
    for one in waiting:
        place = max(1, place - _STEP)
        made.lines.append(f"update JobId={one.job} Priority={place}")


def _place(one: Ours, priority: int, scene: Scene) -> int:
    """A place in Slurm's queue behind all of the same priority and before all of a lower one."""
    others = [
        (other.row.priority, other.tag.priority)
        for other in scene.jobs.values()
        if other.job != one.job and other.row.waiting and other.row.priority > 0
    ]
    ahead = [place for place, theirs in others if theirs >= priority]
    behind = [place for place, theirs in others if theirs < priority]
    low = max(behind, default=0)
    high = min((place for place in ahead if place > low), default=min(_TOP, low + 2 * _STEP))
    if not behind:
        return max(1, high - _STEP)
    return max(1, (low + high) // 2 if high > low else low)


def _set_licences(made: Plan, jobs: Iterable[Ours], scene: Scene, *, pending: bool = False) -> None:
    """Give jobs the licences they need, those that ask alike together."""
    if not scene.settings.licence:
        return
    alike: dict[int, list[Ours]] = defaultdict(list)
    for one in jobs:
        needed_kw = scene.power_kw(one.tag)
        has_kw = licence_count(one.row.licences, scene.settings.licence)
        if needed_kw and not (pending and has_kw == needed_kw):
            alike[needed_kw].append(one)
    for needed_kw, group in sorted(alike.items()):
        for chunk in _chunks(group, scene):
            made.lines.append(f"update JobId={chunk} Licenses={scene.settings.licence}:{needed_kw}")


def _write(made: Plan, one: Ours, tag: Tag) -> None:
    made.lines.append(f"update JobId={one.job} Comment={write_tag(tag)}")


def _listed(made: Plan, verb: str, jobs: Sequence[Ours], scene: Scene) -> None:
    made.lines += [f"{verb} {chunk}" for chunk in _chunks(jobs, scene)]


def _chunks(jobs: Sequence[Ours], scene: Scene) -> list[str]:
    size = scene.settings.chunk_jobs
    return [",".join(one.job for one in jobs[i : i + size]) for i in range(0, len(jobs), size)]
