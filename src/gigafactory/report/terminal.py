"""The table that a run ends with on the terminal, and the lines that say where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gigafactory.report.frames import FATES, lookup
from gigafactory.report.voice import Voice
from gigafactory.report.write import REPORT_NAME

_Row = tuple[str, str, str, str]  # label, number, unit, detail


def summary_table(summary: Mapping[str, Any], lang: str = "en") -> str:
    """The end-of-run table: about 25 aligned lines in four sections.

    Args:
        summary: the parsed `summary.json`; keys that are absent read "not recorded".
        lang: "en" or "nl".

    Returns:
        Text without a trailing newline, at most 100 characters wide.

    Raises:
        BadInput: for a language that is not there.
    """
    voice = Voice(lang)
    book = _Book(summary, voice)
    sections = (
        ("compute", _compute(book)),
        ("energy", _energy(book)),
        ("money", _money(book)),
        ("footprint", _footprint(book)),
    )
    rows = [row for _, part in sections for row in part]
    labels, numbers, units = (max(len(row[place]) for row in rows) for place in range(3))
    lines = [
        voice.say(
            "terminal.title",
            name=lookup(summary, "name"),
            days=book.number("days"),
            start=lookup(summary, "start"),
            seed=lookup(summary, "seed"),
        )
    ]
    if summary.get("synthetic"):
        lines.append(voice.say("terminal.synthetic"))
    for name, part in sections:
        lines += ["", voice.say(f"terminal.{name}")]
        for label, number, unit, detail in part:
            line = f"  {label:<{labels}}  {number:>{numbers}} {unit:<{units}}  {detail}"
            lines.append(line.rstrip())
    return "\n".join(lines)


def path_lines(folder: Path, lang: str = "en") -> str:
    """Where the report and the figures are, and the command that checks them.

    Args:
        folder: the run folder, as the reader should type it.
        lang: "en" or "nl".

    Returns:
        Three lines of text.
    """
    voice = Voice(lang)
    rows = (
        ("report", str(folder / REPORT_NAME)),
        ("figures", str(folder / "summary.json")),
        ("check", f"gigafactory verify {folder}"),
    )
    width = max(len(voice.say(f"terminal.{name}")) for name, _ in rows)
    return "\n".join(f"{voice.say(f'terminal.{name}'):<{width}}  {text}" for name, text in rows)


class _Book:
    """The summary with numbers in the language's form."""

    def __init__(self, summary: Mapping[str, Any], voice: Voice) -> None:
        self.summary = summary
        self.voice = voice

    def value(self, key: str) -> float | None:
        found = lookup(self.summary, key)
        plain = isinstance(found, int | float) and not isinstance(found, bool)
        return float(found) if plain else None

    def number(self, key: str, digits: int = 0, scale: float = 1.0) -> str:
        value = self.value(key)
        return self.voice.number(None if value is None else value * scale, digits)

    def total(self, *keys: str) -> float | None:
        """Sum of the keys that are there; None when none is."""
        known = [value for value in map(self.value, keys) if value is not None]
        return sum(known) if known else None

    def share(self, part: float | None, whole: str) -> str:
        below = self.value(whole)
        return self.voice.share(part / below if part is not None and below else None)

    def row(self, label: str, number: str, unit: str = "", detail: str = "") -> _Row:
        return self.voice.say(f"terminal.{label}"), number, unit, detail


def _compute(book: _Book) -> list[_Row]:
    say, hours = book.voice.say, "accelerator_hours"

    def fates(label: str, *names: str) -> _Row:
        assert set(names) <= set(FATES)
        total = book.total(*(f"{hours}.{name}" for name in names))
        share = book.share(total, f"{hours}.installed")
        return book.row(
            label, book.voice.number(total), "h", say("terminal.of_installed", share=share)
        )

    waits = [book.value(f"jobs.wait_s.research.{end}") for end in ("p50", "p95")]
    equivalent = book.number("accelerators.h100_equivalent")
    jobs = {name: book.number(f"jobs.{name}") for name in ("total", "queued", "refused")}
    return [
        book.row(
            "size",
            book.number("accelerators.physical"),
            "",
            say("terminal.size_detail", equivalent=equivalent),
        ),
        fates("useful", "useful"),
        fates("idle", "idle", "reserved_idle", "held_paused"),
        fates("lost", "overhead", "lost_failure", "lost_response", "lost_preemption"),
        book.row("jobs", book.number("jobs.completed"), "", say("terminal.jobs_detail", **jobs)),
        book.row("wait", book.voice.duration(waits[0]), "", book.voice.duration(waits[1])),
        *_shares(book),
        book.row("conservation", book.number("jobs.lost")),
    ]


def _shares(book: _Book) -> list[_Row]:
    """How far promised shares were kept, and how much of what was in service was put to use."""
    say, share = book.voice.say, book.voice.share
    kept, borrowed = (
        book.value(f"shares_of_tenants.{name}_share") for name in ("kept", "borrowed")
    )
    useful, ettr = book.value("goodput.shares.useful"), book.value("goodput.ettr")
    return [
        book.row(
            "shares", share(kept), "", say("terminal.shares_detail", borrowed=share(borrowed))
        ),
        book.row("goodput", share(useful), "", say("terminal.goodput_detail", ettr=share(ettr))),
    ]


def _energy(book: _Book) -> list[_Row]:
    say = book.voice.say
    return [
        book.row(
            "site",
            book.number("energy.site_mwh"),
            "MWh",
            say("terminal.pue", pue=book.number("pue", 3)),
        ),
        book.row("it", book.number("energy.it_mwh"), "MWh"),
        book.row("import", book.number("energy.import_mwh"), "MWh"),
        book.row("export", book.number("energy.export_mwh"), "MWh"),
        book.row("battery", book.number("energy.discharge_mwh"), "MWh"),
    ]


def _money(book: _Book) -> list[_Row]:
    say, site = book.voice.say, book.value("energy.site_mwh")
    bill = book.value("money.energy_eur")
    price = book.voice.number(bill / site if bill is not None and site else None, 2)
    low, high = (book.number(f"lcoc_eur_per_gpu_h.{end}", 2) for end in ("low", "high"))
    return [
        book.row(
            "bill", book.number("money.energy_eur"), "EUR", say("terminal.bill_detail", price=price)
        ),
        book.row("revenue", book.number("money.revenue_eur"), "EUR"),
        book.row(
            "cost",
            book.number("lcoc_eur_per_gpu_h.base", 2),
            "EUR",
            say("terminal.range", low=low, high=high),
        ),
    ]


def _footprint(book: _Book) -> list[_Row]:
    say = book.voice.say
    market = book.number("co2_kg.market", 0, 1e-3)
    memory = book.number("peak_rss_mib")
    return [
        book.row(
            "co2",
            book.number("co2_kg.location", 0, 1e-3),
            "t",
            say("terminal.co2_detail", market=market),
        ),
        book.row(
            "water",
            book.number("water_m3"),
            "m³",
            say("terminal.wue", wue=book.number("wue_l_per_kwh", 3)),
        ),
        book.row(
            "heat", book.number("heat_mwh"), "MWh", say("terminal.erf", erf=book.number("erf", 3))
        ),
        book.row(
            "effort",
            book.number("wall_s", 1),
            "s",
            say("terminal.effort_detail", memory=memory),
        ),
    ]
