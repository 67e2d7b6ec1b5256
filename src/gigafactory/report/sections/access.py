"""Who used the factory beside what was meant: concentration, export, sectors, programmes, firms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from markupsafe import Markup

from gigafactory.policy import AccessRow, public_rows
from gigafactory.report.sections.people import LEAST_TENANTS
from gigafactory.report.sections.tell import Section, Table, Teller

#: Columns of a programme in the table, and its keys on what waits.
_ASKED: Final = ("jobs", "requested", "granted", "held")
_WAITING: Final = ("waiting_jobs", "waiting_gpu_h")


def access_parts(tell: Teller, section: Section, public: bool) -> None:
    """Add access to a chapter: statements beside their limits, and tables.

    Args:
        tell: the run and the language.
        section: the chapter.
        public: show nothing that is about fewer than three tenants.
    """
    section.points.extend(_concentration(tell, public) + _export(tell, public) + _firms(tell))
    tables = [_sector_table(tell, public), _group_table(tell, public)]
    if not public:
        tables += [_country_table(tell), _programme_table(tell), _firm_table(tell)]
    section.tables.extend(table for table in tables if table is not None)


def _concentration(tell: Teller, public: bool) -> list[Markup]:
    voice, frame, key = tell.voice, tell.frame, "concentration.tenants"
    index = frame.value(f"{key}.herfindahl_ratio")
    if not index:
        return []
    like = tell.found(1.0 / index, f"summary:{key}.herfindahl_ratio summary:{key}", 1)
    parts = {"index": tell.key(f"{key}.herfindahl_ratio", 3), "like": like}
    told = [voice.markup("access.concentration", **parts)]
    if not public:
        share = tell.share(frame.value(f"{key}.largest_share"), f"summary:{key}.largest_share")
        name = frame.word(f"{key}.largest")
        cap = frame.value(f"{key}.cap_share")
        if cap is None:
            told.append(voice.markup("access.largest", name=name, share=share))
        else:
            limit = tell.share(cap, f"summary:{key}.cap_share")
            told.append(voice.markup("access.largest_capped", name=name, share=share, cap=limit))
    return [Markup(" ").join(told)]


def _export(tell: Teller, public: bool) -> list[Markup]:
    voice, frame = tell.voice, tell.frame
    rows = frame.rows("export_by_country")
    if frame.value("export.held_gpu_h") is None:
        return []
    if not rows:
        return [voice.markup("access.no_export")]
    if public and sum(int(row.get("tenants", 0)) for row in rows) < LEAST_TENANTS:
        return []
    parts = {
        name: tell.share(frame.value(f"export.{name}_share"), f"summary:export.{name}_share")
        for name in ("pool", "ceiling")
    }
    parts["hours"] = tell.key("export.held_gpu_h")
    parts["share"] = tell.share(frame.value("export.share"), "summary:export.share")
    if frame.value("export.ceiling_share") is None:
        return [voice.markup("access.export", hours=parts["hours"], share=parts["share"])]
    return [voice.markup("access.export_capped", **parts)]


def _firms(tell: Teller) -> list[Markup]:
    """How long small firms waited for their first job."""
    voice, key = tell.voice, "time_to_first_job_s"
    rows = tell.frame.rows(f"{key}.tenants")
    begun = [row for row in rows if row.get("first_job_s") is not None]
    if len(begun) < LEAST_TENANTS:
        return []
    ends = {
        end: tell.duration(tell.frame.value(f"{key}.{end}"), f"summary:{key}.{end}")
        for end in ("median", "p90")
    }
    count = tell.found(float(len(rows)), f"summary:{key}.tenants summary:{key}")
    started = tell.found(float(len(begun)), f"summary:{key}.tenants summary:{key}")
    return [voice.markup("access.firms", firms=count, started=started, **ends)]


def _sums(tell: Teller, key: str, label: str, public: bool) -> list[tuple[str, tuple[int, ...]]]:
    """Names of the rows of a list, each with its places in it; small ones joined where public."""
    rows = tell.frame.rows(key)
    places = {str(row[label]): (number,) for number, row in enumerate(rows)}
    if not public:
        return list(places.items())
    amounts = [
        AccessRow(str(r[label]), int(r["tenants"]), 0.0, 0.0, float(r["held_gpu_h"]), 0.0)
        for r in rows
    ]
    shown = [row.name for row in public_rows(amounts)]
    joint = tuple(at for name, place in places.items() if name not in shown for at in place)
    return [(name, places.get(name, joint)) for name in shown]


def _cells(tell: Teller, key: str, places: tuple[int, ...]) -> list[Markup | str]:
    """Tenants, accelerator-hours and share of some rows of a list, added up."""
    rows = tell.frame.rows(key)

    def total(name: str) -> tuple[float, str]:
        source = " ".join(f"summary:{key}.{place}.{name}" for place in places)
        return sum(float(rows[place][name]) for place in places), source

    tenants, hours, share = (total(name) for name in ("tenants", "held_gpu_h", "share"))
    return [tell.found(*tenants), tell.found(*hours), tell.share(*share)]


def _sector_table(tell: Teller, public: bool) -> Table | None:
    """Sectors that have a target, beside it; all others added up."""
    voice, key = tell.voice, "by_sector"
    rows = tell.frame.rows(key)
    named = _sums(tell, key, "sector", public)
    aimed = [
        (name, places)
        for name, places in named
        if len(places) == 1 and rows[places[0]].get("target_share") is not None
    ]
    others = tuple(at for item in named if item not in aimed for at in item[1])
    if not aimed:
        return None
    told: list[list[Markup | str]] = []
    for name, places in aimed:
        at = f"{key}.{places[0]}.target_share"
        aim = tell.frame.value(at) or 0.0
        met = float(rows[places[0]]["share"]) >= aim
        word = voice.say("word.yes") if met else voice.say("word.no")
        target = tell.share(aim, f"summary:{at}")
        told.append([name, *_cells(tell, key, places), target, word])
    if others:
        told.append([voice.say("access.other_sectors"), *_cells(tell, key, others), "", ""])
    names = ("sector", "tenants", "hours", "share", "aim", "met")
    heads = [voice.say(f"access.{name}") for name in names]
    return Table(voice.say("access.sectors"), heads, told, texts=frozenset({5}))


def _group_table(tell: Teller, public: bool) -> Table | None:
    voice, key = tell.voice, "by_tenant_group"
    named = _sums(tell, key, "group", public)
    if not named:
        return None
    rows: list[list[Markup | str]] = [
        [voice.named("tenant_group", name), *_cells(tell, key, places)] for name, places in named
    ]
    heads = [voice.say(f"access.{name}") for name in ("group", "tenants", "hours", "share")]
    return Table(voice.say("access.groups"), heads, rows)


def _country_table(tell: Teller) -> Table | None:
    voice, key = tell.voice, "export_by_country"
    found = tell.frame.rows(key)
    if not found:
        return None
    rows: list[list[Markup | str]] = [
        [
            str(row["country"]),
            *_cells(tell, key, (place,)),
            tell.key(f"{key}.{place}.revenue_eur"),
        ]
        for place, row in enumerate(found)
    ]
    names = ("country", "tenants", "hours", "share", "revenue")
    return Table(voice.say("access.countries"), [voice.say(f"access.{n}") for n in names], rows)


def _programme_table(tell: Teller) -> Table | None:
    """What each programme asked, was admitted, held, waits for, and is to yield."""
    voice, key = tell.voice, "programmes"
    rows: list[list[Markup | str]] = []
    names = ("jobs", "requested_gpu_h", "granted_gpu_h", "held_gpu_h", *_WAITING)
    for place, row in enumerate(tell.frame.rows(key)):
        numbers = [tell.key(f"{key}.{place}.{name}") for name in names]
        outputs = row.get("outputs")
        listed = "; ".join(map(str, outputs)) if isinstance(outputs, list) else ""
        rows.append([str(row.get("title", row.get("programme"))), *numbers, listed])
    if not rows:
        return None
    heads = [
        voice.say(f"programmes.{name}")
        for name in ("name", *_ASKED, "waiting", "backlog", "outputs")
    ]
    return Table(voice.say("programmes.table"), heads, rows, texts=frozenset({7}))


def _firm_table(tell: Teller) -> Table | None:
    voice, key = tell.voice, "time_to_first_job_s.tenants"
    rows: list[list[Markup | str]] = []
    for place, row in enumerate(tell.frame.rows(key)):
        rows.append(
            [
                str(row.get("tenant")),
                voice.named("tenant_group", str(row.get("group"))),
                tell.key(f"{key}.{place}.jobs"),
                _first(tell, f"{key}.{place}.first_job_s", row),
                _first(tell, f"{key}.{place}.wait_p95_s", row),
                tell.key(f"{key}.{place}.support_h_per_year"),
            ]
        )
    if not rows:
        return None
    heads = [
        voice.say(f"firms.{name}") for name in ("name", "group", "jobs", "first", "p95", "support")
    ]
    return Table(voice.say("firms.table"), heads, rows, texts=frozenset({1}))


def _first(tell: Teller, key: str, row: Mapping[str, object]) -> Markup:
    """A wait; of a firm none of whose jobs started, that."""
    if row.get("first_job_s") is None:
        return tell.voice.traced(tell.voice.say("firms.none"), None, f"summary:{key}")
    return tell.duration(tell.frame.value(key), f"summary:{key}")
