"""What the connection gives, what was asked of it, and what it cost."""

from __future__ import annotations

from markupsafe import Markup

from gigafactory.report.sections.tell import Section, Table, Teller


def transport_section(tell: Teller) -> Section | None:
    """Rights, calls and the transport bill; None for a run without such contracts."""
    if not tell.frame.rows("transport.rights"):
        return None
    section, voice = tell.section("transport"), tell.voice
    rights = tell.frame.rows("transport.rights")
    firm_mw = sum(float(r["capacity_mw"]) for r in rights if r["form"] == "firm")
    whole_mw = sum(float(r["capacity_mw"]) for r in rights)
    held = " ".join(f"summary:transport.rights.{k}.capacity_mw" for k in range(len(rights)))
    section.lead.append(
        voice.markup(
            "transport.lead",
            whole=tell.found(whole_mw, held, 1),
            firm=tell.found(firm_mw, held, 1),
        )
    )
    section.tables.append(_rights(tell))
    if tell.frame.rows("transport.calls"):
        section.tables.append(_calls(tell))
    if tell.frame.rows("transport.bill"):
        section.tables.append(_bill(tell))
        section.points.append(
            voice.markup(
                "transport.instead",
                bill=tell.key("transport.bill_eur"),
                instead=tell.key("transport.firm_instead_eur"),
            )
        )
    for k in range(len(tell.frame.rows("transport.ramps"))):
        at = f"transport.ramps.{k}"
        section.points.append(
            voice.markup(
                "transport.ramps",
                stretched=tell.key(f"{at}.stretched"),
                edges=tell.key(f"{at}.edges"),
                longest=tell.key(f"{at}.longest_min", 1),
                exempt=tell.key(f"{at}.exempt"),
            )
        )
    section.points.append(
        voice.markup("transport.beyond", times=tell.key("transport.beyond_right"))
    )
    section.notes.append(voice.markup("transport.note"))
    return section


def _rights(tell: Teller) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for k, row in enumerate(tell.frame.rows("transport.rights")):
        at = f"transport.rights.{k}"
        form, may = row["form"], tell.frame.value(f"{at}.restricted_h_max")
        most = tell.key(f"{at}.restricted_h_max") if may is not None else ""
        rows.append(
            [
                f"{row['site']}: {row['right']}",
                voice.say(f"transport.form.{form}"),
                tell.key(f"{at}.capacity_mw", 1),
                tell.key(f"{at}.restricted_h", 2),
                most,
                tell.key(f"{at}.announced"),
                tell.key(f"{at}.refused"),
            ]
        )
    names = ("right", "kind", "capacity", "restricted", "most", "announced", "refused")
    heads = [voice.say(f"transport.{name}") for name in names]
    return Table(voice.say("transport.table"), heads, rows, texts=frozenset({1}))


def _calls(tell: Teller) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for k, row in enumerate(tell.frame.rows("transport.calls")):
        at, kind = f"transport.calls.{k}", row["kind"]
        share = tell.frame.value(f"{at}.delivered_share")
        rows.append(
            [
                f"{row['site']}: " + voice.say(f"transport.call.{kind}"),
                tell.key(f"{at}.told"),
                tell.key(f"{at}.accepted"),
                tell.key(f"{at}.hours", 2),
                tell.key(f"{at}.asked_mwh", 1),
                tell.share(share, f"summary:{at}.delivered_share"),
                tell.key(f"{at}.paid_eur"),
                tell.key(f"{at}.charged_eur"),
            ]
        )
    names = ("what", "told", "accepted", "hours", "asked", "delivered", "paid", "charged")
    heads = [voice.say(f"transport.{name}") for name in names]
    return Table(voice.say("transport.calls"), heads, rows)


def _bill(tell: Teller) -> Table:
    voice = tell.voice
    rows: list[list[Markup | str]] = []
    for k, row in enumerate(tell.frame.rows("transport.bill")):
        at = f"transport.bill.{k}"
        line, unit = str(row["line"]), str(row["unit"]).replace(" ", "_")
        kind = _kind(line)
        rows.append(
            [
                f"{row['site']}: " + voice.say(f"transport.lines.{kind}") + _rest(line),
                tell.key(f"{at}.quantity", 2),
                voice.say(f"transport.unit.{unit}"),
                tell.key(f"{at}.amount_eur"),
            ]
        )
    rows.append([voice.say("transport.all"), "", "", tell.key("transport.bill_eur")])
    heads = [voice.say(f"transport.{name}") for name in ("line", "quantity", "of", "amount")]
    caption = voice.say("transport.bills")
    return Table(caption, heads, rows, total=True, texts=frozenset({2}))


def _kind(line: str) -> str:
    """Which sort of line a line of the bill is."""
    if line.startswith("kWmax"):
        return "peak"
    return "contracted" if line.startswith("contracted") else "standing"


def _rest(line: str) -> str:
    """What tells a line from others of its sort: the month, or the right."""
    if line.startswith("kWmax"):
        return " " + line.removeprefix("kWmax ")
    if line.startswith("contracted"):
        return ", " + line.removeprefix("contracted power, ").rsplit(" (", 1)[0]
    return ""
