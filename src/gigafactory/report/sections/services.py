"""What became of the requests of the real-time services."""

from __future__ import annotations

from markupsafe import Markup

from gigafactory.report.sections.people import LEAST_TENANTS
from gigafactory.report.sections.tell import Section, Table, Teller

_COUNTS = ("requests", "in_time", "late", "refused")


def services_section(tell: Teller, public: bool) -> Section | None:
    """One row per service: its requests by what became of them, and the replicas that answered.

    Args:
        tell: the run and the language.
        public: leave out the table that names services; nothing of fewer than three of them.

    Returns:
        The chapter; None for a run without such services.
    """
    rows = tell.frame.rows("services")
    tenants = {str(row.get("tenant", "")) for row in rows}
    if not rows or (public and len(tenants) < LEAST_TENANTS):
        return None
    section, voice = tell.section("services"), tell.voice
    places = range(len(rows))
    total = {name: sum(float(row.get(name, 0)) for row in rows) for name in _COUNTS}

    def held(name: str) -> str:
        return " ".join(f"summary:services.{k}.{name}" for k in places)

    share = total["in_time"] / total["requests"] if total["requests"] else None
    section.lead.append(
        voice.markup(
            "services.lead",
            requests=tell.found(total["requests"], held("requests")),
            share=tell.share(share, f"{held('in_time')} {held('requests')}", 2),
            refused=tell.found(total["refused"], held("refused")),
        )
    )
    if not public:
        section.tables.append(_table(tell, total, share))
    section.notes.append(voice.markup("services.note"))
    return section


def _table(tell: Teller, total: dict[str, float], share: float | None) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    found = tell.frame.rows("services")
    for k, row in enumerate(found):
        at = f"services.{k}"
        rows.append(
            [
                str(row["service"]),
                *(tell.key(f"{at}.{name}") for name in _COUNTS),
                tell.share(
                    tell.frame.value(f"{at}.in_time_share"), f"summary:{at}.in_time_share", 2
                ),
                tell.key(f"{at}.objective_ms"),
                tell.duration(
                    tell.frame.value(f"{at}.worst_month_wait_p99_s"),
                    f"summary:{at}.worst_month_wait_p99_s",
                ),
                tell.key(f"{at}.replicas_mean", 1),
            ]
        )

    def held(name: str) -> str:
        return " ".join(f"summary:services.{k}.{name}" for k in range(len(found)))

    rows.append(
        [
            voice.say("services.all"),
            *(tell.found(total[name], held(name)) for name in _COUNTS),
            tell.share(share, f"{held('in_time')} {held('requests')}", 2),
            "",
            "",
            tell.found(
                sum(float(row.get("replicas_mean", 0)) for row in found), held("replicas_mean"), 1
            ),
        ]
    )
    heads = [
        voice.say(f"services.{name}")
        for name in ("name", *_COUNTS, "share", "objective", "worst", "replicas")
    ]
    return Table(voice.say("services.table"), heads, rows, total=True)
