"""What became of one job and why, read from the journal of a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import refuse
from gigafactory.engine.journal import frames
from gigafactory.kernel import Kind, Why
from gigafactory.ledger.facts import LEAVE, MOVE, REFUSE
from gigafactory.policy.limits import from_plain
from gigafactory.policy.rules import Reason, rules
from gigafactory.policy.waits import wait_text
from gigafactory.runtime.terms import terms_of
from gigafactory.units import NS_PER_H, NS_PER_S

#: A running job that got notice to go to another pool.
_DISMISSED = -1
#: What a move is called; {width} accelerators, {other} the job for which another one left.
_WORDS: dict[str, dict[int, str]] = {
    "en": {
        Kind.START: "starts on {width} accelerators",
        Kind.BACKFILL: "starts on {width} accelerators, in a gap before earlier jobs",
        Kind.RESUME: "goes on",
        Kind.FINISH: "ends",
        Kind.LIMIT: "reaches its walltime and is ended",
        Kind.PAUSE: "is paused: power is short",
        Kind.EVICT: "loses its nodes: they leave service; {lost} accelerator-hours are lost",
        Kind.PREEMPT: "makes way for job {other}; {lost} accelerator-hours are lost",
        Kind.FAIL: "is stopped by a failed node; {lost} accelerator-hours are lost",
        Kind.GROW: "is stopped to grow",
        Kind.SHIFT: "is moved to another node, so that a larger job finds whole ones",
        MOVE: "goes to pool {pool}",
        REFUSE: "is refused: {rule}",
        LEAVE: "is withdrawn, or lost, while it does not run",
        _DISMISSED: "saves its work, to go to another pool; {lost} accelerator-hours are lost",
    },
    "nl": {
        Kind.START: "start op {width} accelerators",
        Kind.BACKFILL: "start op {width} accelerators, in een gat vóór eerdere taken",
        Kind.RESUME: "gaat verder",
        Kind.FINISH: "is klaar",
        Kind.LIMIT: "bereikt de gevraagde looptijd en wordt beëindigd",
        Kind.PAUSE: "wordt gepauzeerd: er is te weinig vermogen",
        Kind.EVICT: "verliest zijn nodes, die uit dienst gaan; {lost} accelerator-uren zijn kwijt",
        Kind.PREEMPT: "maakt plaats voor taak {other}; {lost} accelerator-uren zijn kwijt",
        Kind.FAIL: "wordt gestopt door een defecte node; {lost} accelerator-uren zijn kwijt",
        Kind.GROW: "wordt gestopt om te groeien",
        Kind.SHIFT: "verhuist naar een andere node, zodat een grotere taak hele nodes vindt",
        MOVE: "gaat naar pool {pool}",
        REFUSE: "wordt geweigerd: {rule}",
        LEAVE: "wordt ingetrokken, of gaat verloren, terwijl de taak niet loopt",
        _DISMISSED: "bewaart zijn werk, om naar een andere pool te gaan; {lost} accelerator-uren "
        "zijn kwijt",
    },
}
_HEADS = {
    "en": {
        "head": "Job {job} of {tenant}, {label}, {asked} accelerators, pool {pool}",
        "submit": "is submitted",
        "waits": "It still waits at the end. {why}",
        "waited": "It waited {hours} h. When it came: {why}",
        "refused": "Job {job} is refused: {why}",
    },
    "nl": {
        "head": "Taak {job} van {tenant}, {label}, {asked} accelerators, pool {pool}",
        "submit": "is ingediend",
        "waits": "De taak wacht aan het einde nog. {why}",
        "waited": "De taak wachtte {hours} uur. Bij binnenkomst: {why}",
        "refused": "Taak {job} is geweigerd: {why}",
    },
}


@dataclass(slots=True)
class _Found:
    """What the journal holds of one job, and the reasons of all refusals, in order."""

    ask: dict[str, int] = field(default_factory=dict)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    shares: list[tuple[int, Reason]] = field(default_factory=list)
    moves: list[dict[str, int]] = field(default_factory=list)
    waiting: int | None = None


def _opens(move: dict[str, int]) -> bool:
    """Whether a move is a start."""
    return move["kind"] in (Kind.START, Kind.BACKFILL)


def _said(reasons: list[dict[str, Any]], at: int, rule: str, lang: str) -> str:
    """A refusal with its particulars; its title where the journal has none."""
    return from_plain(reasons[at]).text(lang) if at >= 0 else rules()[rule].title(lang)


def _rows(arrays: Mapping[str, npt.NDArray[Any]], kind: str, job: int) -> list[dict[str, int]]:
    """Rows about a job in the columns of a kind."""
    if f"{kind}.job" not in arrays:
        return []
    at = np.flatnonzero(arrays[f"{kind}.job"] == job).tolist()
    columns = {n.split(".")[1]: a for n, a in arrays.items() if n.startswith(f"{kind}.")}
    return [{name: int(column[i]) for name, column in columns.items()} for i in at]


def _search(path: Path, job: int) -> tuple[dict[str, Any], _Found]:
    found = _Found()
    header: dict[str, Any] = {}
    for frame in frames(path):
        arrays = frame.arrays
        if frame.kind == "begin":
            told = {name: frame.fields.get(name, []) for name in ("reasons", "reason_of")}
            header = {**frame.fields["header"], **told}
            if not 0 <= job < header["jobs"]:
                why = f"is no job of this run; they are numbered 0 to {header['jobs'] - 1:,}"
                raise refuse(str(path.parent), "job", job, why)
        elif frame.kind == "facts":
            found.moves += _rows(arrays, "move", job)
            found.ask = next(iter(_rows(arrays, "ask", job)), found.ask)
        elif frame.kind == "limits":
            found.reasons += frame.fields["closed"]
        elif frame.kind == "quota" and found.ask and not any(map(_opens, found.moves)):
            tenant = header["tenants"][found.ask["tenant"]]
            found.shares += [
                (frame.tick_ns, from_plain(change))
                for change in frame.fields["changes"]
                if change["pool"] == found.ask["pool"] and tenant in change["tenants"]
            ]
        elif frame.kind == "end" and "waiting.job" in arrays:
            at = (arrays["waiting.job"] == job).nonzero()[0].tolist()
            found.waiting = int(arrays["waiting.why"][at[0]]) if at else None
    return header, found


def explain(folder: Path, job: int, lang: str, timezone: str) -> list[str]:
    """Lines that tell what became of a job, and which rule made it wait.

    Args:
        folder: of the run.
        job: its number.
        lang: "en" or "nl".
        timezone: in which to give instants.

    Raises:
        BadInput: the run has no such job, or it was not submitted within the days run.
    """
    header, found = _search(folder / "journal.gfj", job)
    ask = found.ask
    if job in header["refused"]:
        at = header["refused"].index(job)
        which = header["reason_of"][at] if header["reason_of"] else -1
        why = _said(header["reasons"], which, header["rules"][header["refused_by"][at]], lang)
        return [_HEADS[lang]["refused"].format(job=job, why=why)]
    if not ask:
        why = "was not submitted in the days that were run"
        raise refuse(str(folder), "job", job, why)
    words, heads = _WORDS[lang], _HEADS[lang]

    def number(value: float, digits: int = 0) -> str:
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if lang == "nl" else text

    def reason(code: int) -> str:
        node = header["shares"][code // 256] or header["pools"][ask["pool"]]
        return wait_text(Why(code % 256), lang, node=node, asked=ask["accelerators"])

    def refusal(move: dict[str, int]) -> str:
        return _said(found.reasons, move["width"], header["rules"][move["why"]], lang)

    def line(t_ns: int, text: str) -> str:
        when = dt.datetime.fromtimestamp(t_ns / NS_PER_S, ZoneInfo(timezone))
        return f"{when:%Y-%m-%d %H:%M:%S}  {text}"

    lines = [
        heads["head"].format(
            job=job,
            tenant=header["tenants"][ask["tenant"]],
            label=header["classes"][ask["job_class"]],
            asked=number(ask["accelerators"]),
            pool=header["pools"][ask["pool"]],
        ),
        line(ask["submit_ns"], heads["submit"]),
    ]
    lines += terms_of(folder, header, ask, timezone, lang)
    told = [(t_ns, one.text(lang)) for t_ns, one in found.shares]
    for move in found.moves:
        kind, other = move["kind"], move["why"]
        gone = kind == Kind.PREEMPT and other < 0
        text = words[_DISMISSED if gone else kind].format(
            width=number(move["width"]),
            other=other,
            lost=number(move["lost_ns"] / NS_PER_H, 1),
            pool=header["pools"][other] if kind == MOVE else "",
            rule=refusal(move) if kind == REFUSE else "",
        )
        told.append((move["t_ns"], text))
    lines += [line(*one) for one in sorted(told, key=lambda one: one[0])]
    first = next((m for m in found.moves if _opens(m)), None)
    hours = 0.0 if first is None else (first["t_ns"] - ask["submit_ns"]) / NS_PER_H
    if first is not None and hours > 0 and first["why"] >= 0:  # a live day does not say why
        lines += [heads["waited"].format(hours=number(hours, 2), why=reason(first["why"]))]
    if found.waiting is not None:
        lines.append(heads["waits"].format(why=reason(found.waiting)))
    return lines
