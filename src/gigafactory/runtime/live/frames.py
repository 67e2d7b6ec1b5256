"""What a live day's journal holds: every kind of frame, its fields and its arrays.

::

    begin     the day, who and what there is, the head of the day before          once, first
    carried   past use of quotas, and how long jobs stood frozen, before the day   where any
    resumed   the controller was away and goes on in this journal                 after a crash
    work      jobs get their numbers of the day (those carried over, then new)     as they come
    moves     segments opened and closed, as the workload manager shows them       where any
    order     a grid party's order taken or refused, with the reason               as they come
    intent    what is about to be done, on the disk before it is                   where anything is
    receipt   what became of it                                                    after an intent
    metered   readings of an interval and what ran in it                           every tick
    trouble   a named fallback entered or left                                     as it happens
    end       the day is sealed                                                    once, last

Instants are ns UTC. Numbers of jobs, tenants, classes, pools and sites are places in the lists of
`begin` and `work`. All numbers are integers: energy in micro-watt-hours, accelerator time in
accelerator-nanoseconds, power in W, money in micro-euro. `metered` intervals follow one another
without a hole and without overlap from `begin` to `end`; where the controller was away the first
one after `resumed` spans the hole and says so. A frame's `tick_ns` never falls. Jobs that run (or
are paused) over midnight open (or pause) again at the new day's first instant, with new numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from gigafactory.engine.journal import Array, Frame, Journal

Ints: TypeAlias = npt.NDArray[np.int64]

VERSION: Final = 1

#: Columns of `moves`: `kind` as in `ledger.facts` (1 start, 3 resume; 4 finish, 5 time limit,
#: 6 pause, 7 evict for a limit, 8 preempt for a guarantee, 9 failure); `t_ns` when, held inside
#: the interval it was seen in; `width` accelerators; `speed` in steps of 1/128 of full speed;
#: `lost_ns` accelerator-nanoseconds rolled back; `restart` how often it had been started before;
#: `frozen` 1 where a paused job keeps its nodes. `10` is a change of speed of a running job.
MOVES: Final[Mapping[str, type[np.generic]]] = {
    "kind": np.uint8,
    "job": np.int32,
    "t_ns": np.int64,
    "width": np.int32,
    "pool": np.int8,
    "speed": np.int16,
    "lost_ns": np.int64,
    "restart": np.int32,
    "frozen": np.uint8,
}
#: Kinds of `moves` that `ledger.facts` does not name.
START: Final = 1
RESUME: Final = 3
FINISH: Final = 4
LIMIT: Final = 5
PAUSE: Final = 6
EVICT: Final = 7
PREEMPT: Final = 8
FAIL: Final = 9
SPEED: Final = 10
CANCEL: Final = 11
#: A job left without having run in the end: cancelled or lost while it waited.
GONE: Final = 12

#: Columns of `work`: numbers of tenant (-1: foreign), class (-1: foreign) and pool, what is asked.
WORK: Final[Mapping[str, type[np.generic]]] = {
    "job": np.int32,
    "tenant": np.int16,
    "job_class": np.int8,
    "pool": np.int8,
    "accelerators": np.int32,
    "nodes": np.int32,
    "priority": np.int8,
    "submit_ns": np.int64,
    "walltime_s": np.int64,
    "carried": np.uint8,
}

#: Readings of a pool over an interval. `it_uwh` metered (or, `measured` 0, modelled) IT energy;
#: `model_uwh` what the model says; `idle_uwh` the part that nodes in service draw at rest, by the
#: model; accelerator-time installed, down, in service, of foreign jobs; `it_w` at its end.
POOL_COLUMNS: Final = (
    "it_uwh",
    "model_uwh",
    "idle_uwh",
    "measured",
    "it_w",
    "installed_ns",
    "down_ns",
    "service_ns",
    "foreign_ns",
    "queued",
    "queued_accelerators",
)
#: Readings of a class in a pool: accelerator-time held by what runs, the same times speed, held by
#: frozen jobs, asked by paused ones without nodes; modelled energy above rest.
GROUP_COLUMNS: Final = ("used_ns", "work_ns", "frozen_ns", "paused_ns", "active_uwh")
#: Readings of a site: at the connection and the battery. `import_w` at the end, `limit_w` the limit
#: in force then (-1 none), `measured` 1 where a meter vouches for import and export;
#: `price_micro_eur` per MWh and `carbon_mg` per MWh, -1 where not known (then `priced` 0).
SITE_COLUMNS: Final = (
    "import_uwh",
    "export_uwh",
    "charge_uwh",
    "discharge_uwh",
    "measured",
    "import_w",
    "limit_w",
    "price_micro_eur",
    "carbon_mg",
    "priced",
    "over_ns",
)


@dataclass(frozen=True, slots=True)
class PoolFact:
    """What a pool is on a day.

    Attributes:
        name, site, chip: as in the factory file.
        nodes: names, in rack order.
        node_size: accelerators per node.
        idle_mw: milliwatts per accelerator at rest.
        full_mw: milliwatts per accelerator at work at full speed, per class.
    """

    name: str
    site: str
    chip: str
    nodes: tuple[str, ...]
    node_size: int
    idle_mw: int  # units-ok: milliwatt, the kernel's integer unit
    full_mw: tuple[int, ...]  # units-ok: milliwatt, the kernel's integer unit


@dataclass(frozen=True, slots=True)
class Begin:
    """The first frame of a day.

    Attributes:
        environment: shadow or live.
        day: local day, ISO.
        timezone: the market's.
        edges_ns: market periods of the day, n + 1 instants.
        factory: name; `factory_digest`: sha256 of the checked file as canonical JSON.
        sites, tenants, classes: names in order; numbers in other frames are places in these.
        pools: in the factory file's order.
        previous_day, previous_head: the journal before this one; empty for none.
    """

    kind: ClassVar[str] = "begin"
    environment: str
    day: str
    timezone: str
    edges_ns: tuple[int, ...]
    factory: str
    factory_digest: str
    sites: tuple[str, ...]
    tenants: tuple[str, ...]
    classes: tuple[str, ...]
    pools: tuple[PoolFact, ...]
    previous_day: str = ""
    previous_head: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Carried:
    """What the decisions of a day go on from, behind its begin.

    Attributes:
        used_ms: past use of every pool's quotas in turn, in the order of their trees, older use
            counting less, accelerator-milliseconds.
        stood_keys: our keys of jobs that stood frozen since their latest start.
        stood_ns: how long each, ns.
    """

    kind: ClassVar[str] = "carried"
    used_ms: Ints
    stood_keys: tuple[str, ...]
    stood_ns: Ints


@dataclass(frozen=True, slots=True)
class Resumed:
    """The controller goes on in a journal that is there.

    Attributes:
        away_from_ns: end of the last interval metered before.
        why: crash, stop, or takeover by a standby.
        torn_bytes: cut from the end of the journal.
    """

    kind: ClassVar[str] = "resumed"
    away_from_ns: int
    why: str
    torn_bytes: int = 0


@dataclass(frozen=True, slots=True)
class WorkTaken:
    """Jobs get their numbers of the day.

    Attributes:
        columns: `WORK`, one row per job.
        keys: our name for each (the store's id); `native` the workload manager's, `names` the
            owner's. Same order.
    """

    kind: ClassVar[str] = "work"
    columns: Mapping[str, Array]
    keys: tuple[str, ...]
    native: tuple[str, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moves:
    """Segments opened and closed since the last tick, in order of time and job.

    Attributes:
        columns: `MOVES`.
        reasons: by place in the columns, why, in words, where there is more to say than the kind.
    """

    kind: ClassVar[str] = "moves"
    columns: Mapping[str, Array]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderJudged:
    """A grid order, and what became of it.

    Attributes:
        source, key, order_kind, point, power_w, issued_ns, received_ns, start_ns, end_ns, sequence,
            replaces: the order.
        verdict: accepted, refused, or carried (it stood when the day began).
        rule: name of the rule that refused it; empty when accepted.
        why: in words.
    """

    kind: ClassVar[str] = "order"
    source: str
    key: str
    order_kind: str
    point: str
    power_w: int
    issued_ns: int
    received_ns: int
    start_ns: int
    end_ns: int
    sequence: int
    replaces: str
    verdict: str
    rule: str
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """One command about to be sent: key, what, to which job or node, why; `pool` by number."""

    key: str
    action: str
    target: str
    reason: str
    pool: int
    expected_s: float = 0.0


@dataclass(frozen=True, slots=True)
class IntentTold:
    """What is about to be done; on the disk before it is.

    Attributes:
        commands: to jobs, in the order they are sent.
        nodes: to nodes.
        submits: keys of the work handed over.
        budgets_w: IT power allowed per pool; -1 for no limit.
        limits_w: at the connection per site; -1 for none, with the reason per site in `why`.
        only_recorded: nothing of it is sent (shadow).
    """

    kind: ClassVar[str] = "intent"
    commands: tuple[Told, ...]
    nodes: tuple[Told, ...]
    submits: tuple[str, ...]
    budgets_w: tuple[int, ...]
    limits_w: tuple[int, ...]
    why: tuple[str, ...]
    only_recorded: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command: accepted, refused or unknown, and why."""

    key: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Receipts:
    """Answers, in the order the commands were sent; late ones and reconciled ones too.

    Attributes:
        answers: one per command.
        reconciled: these were unknown before, and were found out by looking.
    """

    kind: ClassVar[str] = "receipt"
    answers: tuple[Answer, ...]
    reconciled: bool = False


@dataclass(frozen=True, slots=True)
class Metered:
    """What an interval brought.

    Attributes:
        from_ns, to_ns: the interval; it follows the one before without a hole.
        pools: int64[pools, len(POOL_COLUMNS)].
        groups: int64[pools, classes, len(GROUP_COLUMNS)].
        sites: int64[sites, len(SITE_COLUMNS)].
        away: the controller was away during it (what ran is taken from the workload manager's
            own instants; energy that no meter kept is modelled).
    """

    kind: ClassVar[str] = "metered"
    from_ns: int
    to_ns: int
    pools: Ints
    groups: Ints
    sites: Ints
    away: bool = False


@dataclass(frozen=True, slots=True)
class TroubleTold:
    """A named fallback entered or left; `about` says of what (a pool, a source), where several."""

    kind: ClassVar[str] = "trouble"
    fallback: str
    entered: bool
    about: str
    why: str


@dataclass(frozen=True, slots=True)
class End:
    """The day is sealed: nothing follows.

    Attributes:
        next_day: the local day after.
        open_jobs: jobs that have not ended and are carried over.
    """

    kind: ClassVar[str] = "end"
    next_day: str
    open_jobs: int


LiveFrame: TypeAlias = (
    Begin
    | Resumed
    | WorkTaken
    | Moves
    | OrderJudged
    | IntentTold
    | Receipts
    | Metered
    | TroubleTold
    | End
    | Carried
)
_KINDS: Final[dict[str, type[Any]]] = {
    one.kind: one
    for one in (
        Begin,
        Resumed,
        WorkTaken,
        Moves,
        OrderJudged,
        IntentTold,
        Receipts,
        Metered,
        TroubleTold,
        End,
        Carried,
    )
}
_ROWS: Final = {
    ("begin", "pools"): PoolFact,
    ("intent", "commands"): Told,
    ("intent", "nodes"): Told,
    ("receipt", "answers"): Answer,
}
_COLUMNS: Final = {"work": WORK, "moves": MOVES}


def columns_of(
    shape: Mapping[str, type[np.generic]], rows: list[tuple[int, ...]]
) -> dict[str, Array]:
    """Rows as columns of the types of `WORK` or `MOVES`, in the order of their names there."""
    turned = list(zip(*rows, strict=True)) if rows else [()] * len(shape)
    return {
        name: np.array(values, dtype)
        for (name, dtype), values in zip(shape.items(), turned, strict=True)
    }


def write(journal: Journal, at_ns: int, frame: LiveFrame) -> None:
    """Append a frame; it is on the disk once the journal is synced.

    Raises:
        OSError: the disk is full or gone.
    """
    plain: dict[str, Any] = {}
    arrays: dict[str, Array] = {}
    for one in fields(frame):
        value = getattr(frame, one.name)
        if one.name == "columns":
            arrays |= {name: np.asarray(value[name]) for name in _COLUMNS[frame.kind]}
        elif isinstance(value, np.ndarray):
            arrays[one.name] = value
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            plain[one.name] = [asdict(row) for row in value]
        else:
            plain[one.name] = value
    journal.append(frame.kind, at_ns, plain, arrays)


def read(frame: Frame) -> LiveFrame:
    """A frame of the journal as what it stands for.

    Raises:
        ValueError: it is of a kind, or has fields, that this version does not know.
    """
    made = _KINDS.get(frame.kind)
    if made is None:
        raise ValueError(f"frame {frame.index}: a live day has no frame of kind {frame.kind!r}")
    told: dict[str, Any] = {}
    for one in fields(made):
        if one.name == "columns":
            told["columns"] = {name: frame.arrays[name] for name in _COLUMNS[frame.kind]}
        elif one.name in frame.arrays:
            told[one.name] = frame.arrays[one.name]
        elif one.name in frame.fields:
            told[one.name] = _plain(frame.kind, one.name, frame.fields[one.name])
    try:
        found: LiveFrame = made(**told)
    except TypeError as error:
        raise ValueError(f"frame {frame.index} ({frame.kind}): {error}") from error
    return found


def _plain(kind: str, name: str, value: Any) -> Any:
    row = _ROWS.get((kind, name))
    if row is not None:
        return tuple(row(**{k: _frozen(v) for k, v in one.items()}) for one in value)
    return _frozen(value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
