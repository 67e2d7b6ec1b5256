"""Chapters on compute: accelerator-hours by fate and class, waits, what was asked and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from gigafactory.report.figures.bars import Stack, stacks_figure
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.waits import ClassWaits, waits_figure
from gigafactory.report.frames import CLASSES, FATES
from gigafactory.report.receipts import NEVER_STARTED
from gigafactory.report.sections.tell import Picture, Section, Table, Teller

Floats = npt.NDArray[np.float64]

#: A throttle shallower than this is rounding, not throttling.
_FULL_SPEED = 0.999


def hours_section(tell: Teller) -> Section:
    """What became of the installed accelerator-hours."""
    section, voice = tell.section("hours"), tell.voice
    section.lead.append(voice.markup("hours.lead"))
    stacks: list[Stack] = []
    columns: list[str] = []
    if not tell.left_out(section, *(f"hours_{fate}" for fate in FATES)):
        parts = [(fate, f"fate.{fate}", f"hours_{fate}", False) for fate in FATES]
        stacks.append(_stack(tell, "figure.hours.fates", parts))
        columns += [column for _, _, column, _ in parts]
    if not tell.left_out(section, *(f"running_{label}" for label in CLASSES)):
        parts = [(label, f"layer.{label}", f"running_{label}", True) for label in CLASSES]
        stacks.append(_stack(tell, "figure.hours.classes", parts))
        columns += [column for _, _, column, _ in parts]
    if stacks:
        share = voice.share(tell.ratio("accelerator_hours.useful", "accelerator_hours.installed"))
        caption = Caption(
            "fig-hours", voice.say("section.hours"), voice.say("figure.hours.alt", share=share)
        )
        svg = stacks_figure(stacks, tell.bins, caption, voice)
        held = " ".join(f"series:{name}" for name in columns)
        section.pictures.append(Picture(svg, voice.markup("figure.hours.caption"), held))
    section.tables.extend([_fate_table(tell), _class_table(tell)])
    return section


def _stack(tell: Teller, title: str, parts: Sequence[tuple[str, str, str, bool]]) -> Stack:
    """Columns added up per month (or day) in millions of hours, each named with its share.

    Args:
        tell: the run and the language.
        title: key of the title.
        parts: colour name, key of the name, series column, and whether the column is a number of
            accelerators (else accelerator-hours).

    Returns:
        The panel.
    """
    series, voice = tell.frame.series, tell.voice
    values: list[Floats] = []
    for _, _, column, accelerators in parts:
        summed = series.total(column) * (series.hours if accelerators else 1.0)
        values.append(np.asarray(tell.bins.sum(summed) / 1e6, np.float64))
    whole = float(sum(float(one.sum()) for one in values)) or 1.0
    layers = [
        (name, f"{voice.say(key)}  ({voice.share(float(one.sum()) / whole)})", one)
        for (name, key, _, _), one in zip(parts, values, strict=True)
    ]
    return Stack(voice.say(title), layers)


def _fate_table(tell: Teller) -> Table:
    """The identity of accelerator-hours: the parts, their sum, and what is left, if anything."""
    voice, whole = tell.voice, "accelerator_hours.installed"
    rows: list[list[Markup | str]] = []
    total, sources = 0.0, " ".join(f"summary:accelerator_hours.{fate}" for fate in FATES)
    for fate in FATES:
        key = f"accelerator_hours.{fate}"
        total += tell.frame.value(key) or 0.0
        rows.append([voice.say(f"fate.{fate}"), tell.key(key), tell.share_of(key, whole, 2)])
    installed = tell.frame.value(whole)
    rest = None if installed is None else installed - total
    if rest is not None and abs(rest) >= 0.5:
        rows.append([voice.say("hours.rest"), tell.found(rest, f"summary:{whole} {sources}"), ""])
    rows.append([voice.say("fate.installed"), tell.key(whole), tell.share_of(whole, whole, 2)])
    heads = [voice.say(f"hours.{name}") for name in ("fate", "hours", "share")]
    return Table(voice.say("hours.table"), heads, rows, total=True)


def _class_table(tell: Teller) -> Table:
    """Jobs, accelerator-hours and energy by class, from the receipts."""
    voice, by_class = tell.voice, tell.frame.receipts.by("job_class")
    columns = (("jobs", "job"), ("allocated_gpu_s", ""), ("gpu_s", ""), ("energy_wh", ""))
    rows: list[list[Markup | str]] = []
    for label in CLASSES:
        cell = by_class.get((label,), {})
        numbers = [
            tell.found(cell.get(name), f"jobs:{source or name} jobs:job_class")
            for name, source in columns
        ]
        rows.append([voice.say(f"layer.{label}"), *numbers])
    sums = [
        tell.found(sum(cell.get(name, 0.0) for cell in by_class.values()), f"jobs:{source or name}")
        for name, source in columns
    ]
    rows.append([voice.say("table.total"), *sums])
    names = ("class", "jobs", "held", "done", "energy")
    heads = [voice.say(f"classes.{name}") for name in names]
    return Table(voice.say("classes.table"), heads, rows, total=True)


def waits_section(tell: Teller) -> Section:
    """How long the jobs of each class waited."""
    section, voice, frame = tell.section("waits"), tell.voice, tell.frame
    section.lead.append(voice.markup("waits.lead"))
    rows = [
        ClassWaits(
            label,
            voice.say(f"layer.{label}"),
            frame.receipts.waits[label],
            frame.value(f"jobs.wait_s.{label}.p50"),
            frame.value(f"jobs.wait_s.{label}.p95"),
        )
        for label in CLASSES
    ]
    started = [row for row in rows if row.histogram.any()]
    if "wait_s" in frame.receipts.missing:
        section.notes.append(voice.markup("note.missing", columns="wait_s"))
    elif started:
        text = "; ".join(
            f"{row.label}: p50 {voice.duration(row.p50_s)}, p95 {voice.duration(row.p95_s)}"
            for row in started
        )
        caption = Caption("fig-waits", voice.say("section.waits"), text)
        svg = waits_figure(started, caption, voice)
        held = "jobs:wait_s jobs:job_class jobs:state summary:jobs.wait_s"
        section.pictures.append(Picture(svg, voice.markup("figure.waits.caption"), held))
    section.tables.append(_waits_table(tell))
    return section


def _waits_table(tell: Teller) -> Table:
    voice, by_state = tell.voice, tell.frame.receipts.by("job_class", "state")
    rows: list[list[Markup | str]] = []
    for label in CLASSES:
        own = {key[1]: cell["jobs"] for key, cell in by_state.items() if key[0] == label}
        started = sum(count for state, count in own.items() if state not in NEVER_STARTED)
        source = "jobs:state jobs:job_class"
        histogram = tell.frame.receipts.waits[label]
        held = float(histogram.sum())
        at_once = float(histogram[0]) / held if held else None
        durations = [
            tell.duration(
                tell.frame.value(f"jobs.wait_s.{label}.{end}"), f"summary:jobs.wait_s.{label}.{end}"
            )
            for end in ("mean", "p50", "p95")
        ]
        rows.append(
            [
                voice.say(f"layer.{label}"),
                tell.found(started, source),
                tell.share(at_once, f"{source} jobs:wait_s"),
                *durations,
                tell.found(own.get("queued", 0.0), source),
            ]
        )
    names = ("class", "started", "at_once", "mean", "p50", "p95", "queued")
    heads = [voice.say(f"waits.{name}") for name in names]
    return Table(voice.say("waits.table"), heads, rows)


def asked_section(tell: Teller) -> Section:
    """What was asked, given, slowed, paused and refused, in plain sentences."""
    section, voice = tell.section("asked"), tell.voice
    points = section.points
    jobs = {
        name: tell.key(f"jobs.{name}")
        for name in ("total", "completed", "cancelled", "failed", "timeout", "running", "queued")
    }
    points.append(voice.markup("asked.jobs", **jobs))
    points.append(voice.markup("asked.refused", refused=tell.key("jobs.refused")))
    points.append(voice.markup("asked.lost", lost=tell.key("jobs.lost")))
    points += [*_connection_points(tell), *_limit_points(tell)]
    points += [*_speed_points(tell), *_queue_points(tell)]
    paused = {
        name: tell.key(f"accelerator_hours.{name}")
        for name in ("held_paused", "lost_response", "awaiting_power")
    }
    points.append(voice.markup("asked.paused", **paused))
    return section


def _connection_points(tell: Teller) -> list[Markup]:
    """Where each site connects, and what that does to the nets of lower voltage around it."""
    points = []
    for name, site in (tell.frame.factory.get("sites") or {}).items():
        line = site.get("connection") if isinstance(site, Mapping) else None
        if isinstance(line, Mapping):
            told = {
                key: str(line.get(key, "–"))
                for key in ("voltage", "capacity", "circuits", "firm", "mv_lv_impact")
            }
            why = str(line.get("mv_lv_assumption", "")).strip()
            points.append(tell.voice.markup("asked.connection", site=name, why=why, **told))
    return points


def _limit_points(tell: Teller) -> list[Markup]:
    series, voice, bound = tell.frame.series, tell.voice, tell.bound()
    if bound is None:
        return [voice.markup("note.missing", columns="import_mw, limit_mw")]
    source = "series:import_mw series:limit_mw"
    hours, held = float(series.hours.sum()), tell.hours_of(bound)
    points = [
        voice.markup(
            "asked.bound",
            hours=tell.found(held, source),
            share=tell.share(held / hours, source),
        )
    ]
    limit = series.total("limit_mw")
    known = limit[np.isfinite(limit)]
    if len(known):
        low, high = float(known.min()), float(known.max())
        lowered = tell.hours_of(np.asarray(limit < 0.999 * high))
        points.append(
            voice.markup(
                "asked.lowered",
                high=tell.found(high, "series:limit_mw", 1),
                low=tell.found(low, "series:limit_mw", 1),
                hours=tell.found(lowered, "series:limit_mw"),
            )
        )
    return points


def _speed_points(tell: Teller) -> list[Markup]:
    series, voice = tell.frame.series, tell.voice
    names = [label for label in CLASSES if series.has(f"speed_{label}", f"running_{label}")]
    if not names:
        return [voice.markup("note.missing", columns="speed_<class>")]
    told: list[Markup] = []
    for label in names:
        speed, running = series.columns[f"speed_{label}"], series.columns[f"running_{label}"]
        slow = (speed < _FULL_SPEED) & (running > 0)
        hours = tell.hours_of(np.asarray(slow.any(axis=0)))
        if hours > 0:
            told.append(
                voice.markup(
                    "asked.throttled_one",
                    name=voice.say(f"layer.{label}"),
                    hours=tell.found(hours, f"series:speed_{label} series:running_{label}"),
                    least=tell.share(float(speed[slow].min()), f"series:speed_{label}", 0),
                )
            )
    if not told:
        return [voice.markup("asked.never_throttled")]
    return [voice.markup("asked.throttled", classes=Markup("; ").join(told))]


def _queue_points(tell: Teller) -> list[Markup]:
    series, voice = tell.frame.series, tell.voice
    if not series.has("queued_jobs", "queued_accelerators"):
        return [voice.markup("note.missing", columns="queued_jobs, queued_accelerators")]
    jobs, wanted = series.total("queued_jobs"), series.total("queued_accelerators")
    moment = int(np.argmax(wanted))
    day = tell.local.date(tell.local.day[moment])
    return [
        voice.markup(
            "asked.queue",
            most=tell.found(float(wanted[moment]), "series:queued_accelerators"),
            jobs=tell.found(float(jobs[moment]), "series:queued_jobs"),
            day=voice.date(day),
            mean=tell.found(
                float((wanted * series.hours).sum() / series.hours.sum()),
                "series:queued_accelerators",
            ),
        )
    ]
