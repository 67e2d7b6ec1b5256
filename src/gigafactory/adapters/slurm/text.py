"""What `squeue` and `sinfo` print, read.

Every field ends in a delimiter drawn anew for each call, and the only free text, the comment, comes
last: a job's owner can write anything into it, a line that looks like another job included, and
forge nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gigafactory.units import NS_PER_S

_JOB_FIELDS = (
    *("JobID", "State", "UserName", "QOS", "Partition", "NumNodes", "tres-per-node"),
    *("tres-per-job", "TimeLimit", "SubmitTime", "StartTime", "EndTime", "PriorityLong"),
    *("NodeList", "Licenses", "RestartCnt", "exit_code", "Reason", "Comment"),
)
_NODE_FIELDS = ("%N", "%T", "%G", "%R", "%E")

WAITING = frozenset(
    {"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
)
FROZEN = frozenset({"SUSPENDED"})
ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT", "LAUNCH_FAILED"),
    }
)
#: Every other state holds nodes: RUNNING, CONFIGURING, COMPLETING, STOPPED, SIGNALING, STAGE_OUT.


class UnreadableError(Exception):
    """Slurm printed something that is not what was asked for."""


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as `squeue` prints it.

    Attributes:
        job: its number.
        state: Slurm's word, such as RUNNING.
        user: who handed it over.
        qos: its quality of service; empty for none.
        partition: it is bound to.
        accelerators: asked for, as far as Slurm says.
        walltime_s: Slurm's limit, s; inf for none.
        submit_ns: latest submission or requeue, ns UTC.
        start_ns: latest or expected start, ns UTC; None for none.
        end_ns: end, or expected end, ns UTC; None for none.
        priority: Slurm's; 0 while held.
        nodes: as Slurm writes them, such as n[1-3].
        licences: as Slurm writes them; empty for none.
        restarts: how often it was started again.
        exit_code: of its script; -1 where unreadable.
        reason: what it waits for.
        comment: free text.
    """

    job: str
    state: str
    user: str
    qos: str
    partition: str
    accelerators: int
    walltime_s: float
    submit_ns: int
    start_ns: int | None
    end_ns: int | None
    priority: int
    nodes: str
    licences: str
    restarts: int
    exit_code: int
    reason: str
    comment: str

    @property
    def waiting(self) -> bool:
        """Whether it holds no nodes and has not ended."""
        return self.state in WAITING

    @property
    def held(self) -> bool:
        """Whether it waits and may not start."""
        return self.waiting and self.priority == 0

    @property
    def kept_back(self) -> bool:
        """Whether it may not start: held, or being ended in order to be held."""
        return (self.waiting or self.leaving) and self.priority == 0

    @property
    def frozen(self) -> bool:
        """Whether it is stopped where it stands."""
        return self.state in FROZEN

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state in ENDED

    @property
    def leaving(self) -> bool:
        """Whether its processes are being ended."""
        return self.state == "COMPLETING"

    @property
    def running(self) -> bool:
        """Whether it holds nodes and may work."""
        return not (self.waiting or self.frozen or self.ended or self.leaving)


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node as `sinfo` prints it.

    Attributes:
        node: its name.
        state: Slurm's word with its marks, such as idle~ or draining.
        accelerators: it has.
        partitions: it belongs to.
        reason: why it is drained or down; empty for none.
    """

    node: str
    state: str
    accelerators: int
    partitions: tuple[str, ...]
    reason: str


def jobs_command(delimiter: str) -> list[str]:
    """The `squeue` call whose output `read_jobs` reads."""
    fields = ",".join(f"{name}:{delimiter}" for name in _JOB_FIELDS)
    return ["squeue", "--noheader", "--states=all", f"--Format={fields}"]


def nodes_command(delimiter: str) -> list[str]:
    """The `sinfo` call whose output `read_nodes` reads."""
    fields = delimiter.join((*_NODE_FIELDS, ""))
    return ["sinfo", "--noheader", "--Node", f"--format={fields}"]


def read_jobs(text: str, delimiter: str, gres: str = "gpu") -> list[JobRow]:
    """Read what `jobs_command` prints.

    Args:
        text: its output.
        delimiter: the one the call was made with.
        gres: what the cluster calls an accelerator.

    Raises:
        UnreadableError: it is not what was asked for.
    """
    rows = []
    for values in _records(text, delimiter, len(_JOB_FIELDS)):
        try:
            rows.append(_job(values, gres))
        except ValueError as trouble:
            raise UnreadableError(f"squeue printed what cannot be read: {trouble}") from None
    return rows


def read_nodes(text: str, delimiter: str, gres: str = "gpu") -> list[NodeRow]:
    """Read what `nodes_command` prints; a node of several partitions comes once.

    Raises:
        UnreadableError: it is not what was asked for.
    """
    found: dict[str, NodeRow] = {}
    for name, state, given, partition, reason in _records(text, delimiter, len(_NODE_FIELDS)):
        before = found[name].partitions if name in found else ()
        found[name] = NodeRow(
            name,
            state,
            gres_count(given, gres),
            (*before, partition),
            "" if reason == "none" else reason,
        )
    return [found[name] for name in sorted(found)]


def gres_count(text: str, gres: str) -> int:
    """Accelerators in a list of generic resources, such as ``gres:gpu:h100:8(S:0-1)``."""
    count = 0
    for part in re.sub(r"\(.*?\)", "", text).split(","):
        words = part.removeprefix("gres:").removeprefix("gres/").replace("=", ":").split(":")
        if words[0] == gres:
            count += int(words[-1]) if words[-1].isdigit() else 1
    return count


def licence_count(text: str, licence: str) -> int:
    """Licences of a kind in a list, such as ``power_kw:16,matlab:1``."""
    for part in text.split(","):
        name, _, count = part.replace("=", ":").partition(":")
        if name.partition("@")[0] == licence:
            return int(count) if count.isdigit() else 1
    return 0


def expand_nodes(text: str) -> tuple[str, ...]:
    """The names in Slurm's short form: ``n[1-3,07-08],m1`` is n1 n2 n3 n07 n08 m1."""
    return tuple(name for part in _split_outside(text) if part for name in _expand(part))


def _expand(text: str) -> Iterator[str]:
    head, bracket, rest = text.partition("[")
    if not bracket:
        yield head
        return
    inside, _, tail = rest.partition("]")
    for ending in _expand(tail):
        for span in inside.split(","):
            low, dash, high = span.partition("-")
            if not dash:
                yield f"{head}{low}{ending}"
                continue
            for number in range(int(low), int(high) + 1):
                yield f"{head}{number:0{len(low)}d}{ending}"


def _split_outside(text: str) -> list[str]:
    return re.split(r",(?![^\[]*\])", text)


def _records(text: str, delimiter: str, width: int) -> Iterator[Sequence[str]]:
    values = text.split(delimiter)
    end = values.pop()
    if len(values) % width or end.strip():
        raise UnreadableError("Slurm printed rows that are not of the fields asked for")
    for i in range(0, len(values), width):
        row = values[i : i + width]
        # The end of the line before stands in front of each row but the first.
        yield [row[0].lstrip("\n"), *row[1:]]


def _job(values: Sequence[str], gres: str) -> JobRow:
    job, state, user, qos, partition, nodes, per_node, per_job, limit, *rest = values
    submit, start, end, priority, node_list, licences, restarts, code, reason, comment = rest
    if not job.isdigit():
        raise ValueError(f"a job number is made of digits, not {job!r}")
    node_count = int(nodes.partition("-")[0] or 0)
    return JobRow(
        job=job,
        state=state,
        user=user,
        qos=_or_empty(qos),
        partition=partition,
        accelerators=gres_count(per_node, gres) * node_count + gres_count(per_job, gres),
        walltime_s=_duration_s(limit),
        submit_ns=_instant(submit) or 0,
        start_ns=_instant(start),
        end_ns=_instant(end),
        priority=int(priority),
        nodes=_or_empty(node_list),
        licences=_or_empty(licences),
        restarts=int(restarts),
        exit_code=int(code.partition(":")[0]) if code.partition(":")[0].isdigit() else -1,
        reason="" if reason == "None" else reason,
        comment=_or_empty(comment),
    )


def _or_empty(text: str) -> str:
    return "" if text in ("(null)", "N/A", "n/a") else text


def _instant(text: str) -> int | None:
    return int(text) * NS_PER_S if text.isdigit() and text != "0" else None


def _duration_s(text: str) -> float:
    """``1-02:03:04``, ``02:03`` (minutes and seconds) or UNLIMITED."""
    if text in ("UNLIMITED", "INVALID", "NOT_SET", "N/A", "Partition_Limit"):
        return float("inf")
    days, dash, clock = text.rpartition("-")
    seconds = 0
    for part in clock.split(":"):
        seconds = seconds * 60 + int(part)
    return float(seconds + (int(days) * 86_400 if dash else 0))
