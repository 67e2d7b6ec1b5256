"""What we write into a job's comment: whose it is, what it asked, and where its pause stands.

::

    gf1:k=7f3a,t=lab-one,c=research,y=3,n=16,N=2,m=0,w=3600,o=h100,q=1795867114

A comment lives as long as the job, survives a restart of the controller and a requeue, and may be
changed while the job runs. So nothing about a job needs to be remembered anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from gigafactory.units import NS_PER_S

PREFIX = "gf1:"
#: Longest key; Slurm keeps comments far longer, a line of its command does not.
KEY_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Tag:
    """Our metadata of one job.

    Attributes:
        key: our own name for it.
        tenant: whose it is.
        job_class: one of the four classes.
        priority: 0 to 7, higher first.
        accelerators: asked for.
        nodes: whole nodes asked for; 0 for a share of one.
        accelerators_min: smallest gang; 0 for a rigid job.
        walltime_s: the user's limit, s.
        pool: the factory's pool.
        submit_s: when it was handed over, s since 1970 (Slurm's own is renewed by a requeue).
        pause_ns: when its pause was asked, ns UTC; None for no pause on its way or in force.
        told: whether it was told to save before its pause, and had its time to.
        thawed: whether it was frozen, and runs only in order to save.
        kept_s: time it ran and has kept before the start that `last_start_s` or Slurm names, s;
            counts only where the job itself does not say.
        last_start_s: its latest start before the nodes were taken, s since 1970; 0 for none.
        last_nodes: the nodes it had then, as Slurm writes them.
    """

    key: str
    tenant: str
    job_class: str
    priority: int
    accelerators: int
    nodes: int
    accelerators_min: int
    walltime_s: float
    pool: str
    submit_s: int
    pause_ns: int | None = None
    told: bool = False
    thawed: bool = False
    kept_s: float = 0.0
    last_start_s: int = 0
    last_nodes: str = ""

    @property
    def kept_when_paused_s(self) -> float:
        """Time kept once its nodes are gone: what it ran up to the signal is taken as saved, s."""
        if self.pause_ns is None or not self.told or not self.last_start_s:
            return self.kept_s
        return self.kept_s + max(0.0, self.pause_ns / NS_PER_S - self.last_start_s)

    def unpaused(self, *, left: bool) -> Tag:
        """The same without a pause.

        Args:
            left: whether it has given its nodes back, so that what it ran counts as kept.
        """
        kept_s = self.kept_when_paused_s if left else self.kept_s
        return replace(self, pause_ns=None, told=False, thawed=False, kept_s=kept_s)


def write_tag(tag: Tag) -> str:
    """The comment that carries a tag; only characters that neither a shell nor Slurm reads."""
    values: list[tuple[str, object]] = [
        ("k", tag.key),
        ("t", tag.tenant),
        ("c", tag.job_class),
        ("y", tag.priority),
        ("n", tag.accelerators),
        ("N", tag.nodes),
        ("m", tag.accelerators_min),
        ("w", f"{tag.walltime_s:g}"),
        ("o", tag.pool),
        ("q", tag.submit_s),
    ]
    if tag.pause_ns is not None:
        values.append(("p", tag.pause_ns))
    if tag.told:
        values.append(("s", 1))
    if tag.thawed:
        values.append(("z", 1))
    if tag.kept_s:
        values.append(("r", f"{tag.kept_s:.3f}"))
    if tag.last_start_s:
        values.append(("b", tag.last_start_s))
    if tag.last_nodes:
        values.append(("h", tag.last_nodes))
    return PREFIX + ",".join(f"{name}={quote(str(value), safe='')}" for name, value in values)


def read_tag(comment: str) -> Tag | None:
    """The tag a comment carries; None where it is not one of ours, whole and sound."""
    if not comment.startswith(PREFIX):
        return None
    values: dict[str, str] = {}
    for part in comment.removeprefix(PREFIX).split(","):
        name, sign, value = part.partition("=")
        if not sign or name in values:
            return None
        values[name] = unquote(value)
    try:
        tag = Tag(
            key=values["k"],
            tenant=values["t"],
            job_class=values["c"],
            priority=int(values["y"]),
            accelerators=int(values["n"]),
            nodes=int(values["N"]),
            accelerators_min=int(values["m"]),
            walltime_s=float(values["w"]),
            pool=values["o"],
            submit_s=int(values["q"]),
            pause_ns=int(values["p"]) if "p" in values else None,
            told="s" in values,
            thawed="z" in values,
            kept_s=float(values.get("r", "0")),
            last_start_s=int(values.get("b", "0")),
            last_nodes=values.get("h", ""),
        )
    except (KeyError, ValueError):
        return None
    return tag if tag.key and tag.accelerators > 0 else None
