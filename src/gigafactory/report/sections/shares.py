"""The chapter on shares and waits: what was promised, held and lacked, and why jobs waited.

Goodput and access (programmes, small firms, sectors, export) stand in modules of their own; this
one puts the chapter together. Nothing here is left to guess: a run that did not record its shares
says so and shows the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from gigafactory.policy import rules
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.shares import ShareBar, shares_figure
from gigafactory.report.sections.access import access_parts
from gigafactory.report.sections.goodput import goodput_parts
from gigafactory.report.sections.people import LEAST_TENANTS, mission_groups
from gigafactory.report.sections.tell import Picture, Section, Table, Teller

#: Columns of a node of the quota tree, in the order of the table.
_COLUMNS: Final = ("nominal", "held", "borrowed", "short", "unused")
#: Tenants shown one by one; the smaller ones are added up.
_NAMED: Final = 40


@dataclass(frozen=True, slots=True)
class Node:
    """One row of the table: a node of the quota tree, or several added up.

    Attributes:
        label: its name.
        level: all, group or tenant.
        heading: title of the group it stands in.
        places: numbers of the summary's rows in it.
        amounts_gpu_h: accelerator-hours by name of `_COLUMNS`.
    """

    label: str
    level: str
    heading: str
    places: tuple[int, ...]
    amounts_gpu_h: Mapping[str, float]

    @property
    def kept(self) -> float | None:
        """Of what was asked within the promise, what was had."""
        own = self.amounts_gpu_h["held"] - self.amounts_gpu_h["borrowed"]
        asked = own + self.amounts_gpu_h["short"]
        return own / asked if asked > 0 else None

    def sources(self, *names: str) -> str:
        """Where some of its amounts come from."""
        return " ".join(f"summary:shares.{p}.{n}_gpu_h" for p in self.places for n in names)


def shares_section(tell: Teller, public: bool) -> Section:
    """Who got what was promised, and what jobs waited for.

    Args:
        tell: the run and the language.
        public: name no tenant, and show no figure that is about fewer than three.

    Returns:
        The chapter.
    """
    section, voice, frame = tell.section("shares"), tell.voice, tell.frame
    parts = ("shares", "goodput", "programmes", "time_to_first_job_s")
    missing = [name for name in parts if frame.summary.get(name) is None]
    nodes = _nodes(tell)
    if nodes:
        _lead(tell, section, nodes)
        shown = _public(tell, nodes) if public else _named(tell, nodes)
        if any(node.amounts_gpu_h["nominal"] > 0 for node in nodes[1:]):
            section.pictures.append(_picture(tell, shown))
        section.tables.append(_tree_table(tell, shown))
        section.notes.append(voice.markup("shares.note"))
    waits = _Waits(tell)
    missing += [] if waits.recorded else ["jobs.waited_for"]
    if waits.rows:
        section.lead.extend(waits.told())
        section.tables.append(waits.table())
    if not public:
        section.points.extend(_refusals(tell))
    goodput_parts(tell, section, public)
    access_parts(tell, section, public)
    if public:
        section.notes.append(voice.markup("shares.public", least=LEAST_TENANTS))
    if missing:
        section.notes.append(voice.markup("note.missing", columns=", ".join(missing)))
    told = frame.summary.get("not_recorded")
    for why in told if isinstance(told, list) else []:
        section.notes.append(voice.markup("shares.lacking", why=str(why)))
    return section


def _lead(tell: Teller, section: Section, nodes: Sequence[Node]) -> None:
    """The answer in the first sentence."""
    voice, frame, key = tell.voice, tell.frame, "shares_of_tenants"
    parts = {
        "held": tell.key(f"{key}.held_gpu_h"),
        "short": tell.key(f"{key}.short_gpu_h"),
        "borrowed": tell.share(
            frame.value(f"{key}.borrowed_share"), f"summary:{key}.borrowed_share"
        ),
    }
    kept = frame.value(f"{key}.kept_share")
    if kept is None or not any(node.amounts_gpu_h["nominal"] > 0 for node in nodes[1:]):
        section.lead.append(voice.markup("shares.lead_free", held=parts["held"]))
    else:
        share = tell.share(kept, f"summary:{key}.kept_share")
        section.lead.append(voice.markup("shares.lead", kept=share, **parts))


# --- the quota tree -------------------------------------------------------------------------------


def _nodes(tell: Teller) -> list[Node]:
    """The rows of the quota tree in the order of reading: groups, each with its tenants."""
    rows = tell.frame.rows("shares")
    titles = _titles(tell)
    found: dict[int, Node] = {}
    for place, row in enumerate(rows):
        name, level = str(row.get("node", "")), str(row.get("level", "tenant"))
        above = str(row.get("parent") or "")
        label = titles.get(name, name) if level == "group" else name
        amounts = {column: float(row.get(f"{column}_gpu_h") or 0.0) for column in _COLUMNS}
        heading = titles.get(above, above) if level == "tenant" else ""
        found[place] = Node(label, level, heading, (place,), amounts)
    order = [place for place, node in found.items() if node.level == "all"]
    for place, node in found.items():
        if node.level == "group":
            order.append(place)
            name = str(rows[place].get("node"))
            order += [p for p, one in found.items() if one.level == "tenant"
                      and rows[p].get("parent") == name]  # fmt: skip
    order += [place for place in found if place not in order]
    return [found[place] for place in order]


def _titles(tell: Teller) -> dict[str, str]:
    """Titles of the quota groups in the reader's language, from the run's factory file."""
    policy = tell.frame.factory.get("policy")
    groups = policy.get("quota_groups") if isinstance(policy, Mapping) else None
    found = {}
    for group in groups or []:
        title: Any = group.get("title") if isinstance(group, Mapping) else None
        if isinstance(title, Mapping) and title.get(tell.voice.lang):
            found[str(group.get("name"))] = str(title[tell.voice.lang])
    return found


def _added(label: str, level: str, heading: str, nodes: Sequence[Node]) -> Node:
    amounts = {column: sum(node.amounts_gpu_h[column] for node in nodes) for column in _COLUMNS}
    return Node(label, level, heading, tuple(p for node in nodes for p in node.places), amounts)


def _named(tell: Teller, nodes: Sequence[Node]) -> list[Node]:
    """Every group, and its largest tenants; where there are many, the others are added up."""
    tenants = [node for node in nodes if node.level == "tenant"]
    if len(tenants) <= _NAMED:
        return list(nodes)

    def size(node: Node) -> tuple[float, str]:
        return -max(node.amounts_gpu_h["nominal"], node.amounts_gpu_h["held"]), node.label

    ordered = sorted(tenants, key=size)
    kept, rest = ordered[:_NAMED], ordered[_NAMED:]
    label = tell.voice.say("tenants.others", count=tell.voice.number(len(rest)))
    shown = [node for node in nodes if node.level != "tenant" or node in kept]
    return [*shown, _added(label, "tenant", "", rest)]


def _public(tell: Teller, nodes: Sequence[Node]) -> list[Node]:
    """The groups, those of fewer than three tenants added up; tenants beside them are a group."""
    by_group: dict[str, list[Node]] = {}
    for node in nodes:
        if node.level == "tenant":
            by_group.setdefault(node.heading, []).append(node)
    groups = {node.label: node for node in nodes if node.level == "group"}
    beside = tell.voice.say("shares.beside")
    if "" in by_group:
        groups[""] = _added(beside, "group", "", by_group[""])
    members = {name: frozenset(node.label for node in own) for name, own in by_group.items()}
    size = {name: groups[name].amounts_gpu_h["held"] for name in members}
    shown = [node for node in nodes if node.level == "all"]
    for joint in mission_groups(members, size):
        if len(frozenset[str]().union(*(members[name] for name in joint))) >= LEAST_TENANTS:
            label = ", ".join(name or beside for name in joint)
            shown.append(_added(label, "group", "", [groups[name] for name in joint]))
    return shown


def _picture(tell: Teller, nodes: Sequence[Node]) -> Picture:
    """Accelerators on average: hours over the length of the run."""
    voice, hours = tell.voice, float(tell.frame.series.hours.sum())
    level = "tenant" if any(node.level == "tenant" for node in nodes) else "group"
    bars = []
    for node in nodes:
        if node.level == level:
            mean = {name: value / hours for name, value in node.amounts_gpu_h.items()}
            bars.append(
                ShareBar(
                    label=node.label if level == "tenant" else "",
                    heading=node.heading if level == "tenant" else node.label,
                    promised_accelerators=mean["nominal"],
                    own_accelerators=mean["held"] - mean["borrowed"],
                    borrowed_accelerators=mean["borrowed"],
                    short_accelerators=mean["short"],
                )
            )
    kept = voice.share(tell.frame.value("shares_of_tenants.kept_share"))
    borrowed = voice.share(tell.frame.value("shares_of_tenants.borrowed_share"))
    text = voice.say("figure.shares.alt", kept=kept, borrowed=borrowed)
    svg = shares_figure(bars, Caption("fig-shares", voice.say("section.shares"), text), voice)
    return Picture(svg, voice.markup("figure.shares.caption"), "summary:shares series:start_ns")


def _tree_table(tell: Teller, nodes: Sequence[Node]) -> Table:
    """Promised, held, borrowed, short and unused; the whole factory last."""
    voice = tell.voice
    ordered = [node for node in nodes if node.level != "all"]
    ordered += [node for node in nodes if node.level == "all"]
    rows: list[list[Markup | str]] = []
    for node in ordered:
        cells = [tell.found(node.amounts_gpu_h[name], node.sources(name)) for name in _COLUMNS]
        kept = tell.share(node.kept, node.sources("held", "borrowed", "short"))
        if node.level == "all":
            head: Markup | str = voice.say("shares.all")
        else:
            head = Markup('<span class="{}">{}</span>').format(node.level, node.label)
        rows.append([head, *cells, kept if node.kept is not None else ""])
    heads = [voice.say(f"shares.{name}") for name in ("node", *_COLUMNS, "kept")]
    return Table(voice.say("shares.table"), heads, rows, total=True)


# --- waits and refusals ---------------------------------------------------------------------------


class _Waits:
    """What jobs waited for when they came: those that did not first, then the most waited for."""

    def __init__(self, tell: Teller) -> None:
        self.tell = tell
        jobs = tell.frame.summary.get("jobs")
        found = jobs.get("waited_for") if isinstance(jobs, Mapping) else None
        self.recorded = isinstance(found, Mapping)
        told = found if isinstance(found, Mapping) else {}
        some = {name: row for name, row in told.items() if row.get("jobs")}
        order = sorted(some, key=lambda n: (n != "nothing", -some[n]["waited_gpu_h"], n))
        self.rows: dict[str, Mapping[str, float]] = {name: some[name] for name in order}

    def title(self, name: str) -> str:
        """The reason in a few words of the rules."""
        rule = rules().get(f"wait_{name}")
        return rule.title(self.tell.voice.lang) if rule is not None else name.replace("_", " ")

    def sources(self, column: str) -> str:
        """Where a sum over all reasons comes from."""
        return " ".join(f"summary:jobs.waited_for.{name}.{column}" for name in self.rows)

    def share(self, name: str, column: str) -> Markup:
        """The share of a reason in a column."""
        whole = sum(row[column] for row in self.rows.values())
        value = self.rows[name][column] / whole if whole > 0 else None
        return self.tell.share(value, self.sources(column))

    def told(self) -> list[Markup]:
        """How many did not wait, and the two reasons behind most of the waiting."""
        most = [name for name in self.rows if name != "nothing"][:2]
        if len(most) < 2 or "nothing" not in self.rows:
            return []
        first, second = most
        return [
            self.tell.voice.markup(
                "shares.waits",
                at_once=self.share("nothing", "jobs"),
                first=self.share(first, "waited_gpu_h"),
                second=self.share(second, "waited_gpu_h"),
                first_why=self.title(first),
                second_why=self.title(second),
            )
        ]

    def table(self) -> Table:
        """A row per reason, and the sums."""
        voice, tell = self.tell.voice, self.tell
        rows: list[list[Markup | str]] = [
            [
                self.title(name),
                tell.key(f"jobs.waited_for.{name}.jobs"),
                self.share(name, "jobs"),
                tell.key(f"jobs.waited_for.{name}.waited_gpu_h"),
                self.share(name, "waited_gpu_h"),
            ]
            for name in self.rows
        ]
        jobs, hours = (
            tell.found(sum(row[column] for row in self.rows.values()), self.sources(column))
            for column in ("jobs", "waited_gpu_h")
        )
        rows.append([voice.say("table.total"), jobs, "", hours, ""])
        names = ("why", "jobs", "of_jobs", "hours", "of_hours")
        heads = [voice.say(f"waited.{name}") for name in names]
        return Table(voice.say("waited.table"), heads, rows, total=True)


def _refusals(tell: Teller) -> list[Markup]:
    """How many jobs each rule refused."""
    voice, key = tell.voice, "jobs.refused_by"
    jobs = tell.frame.summary.get("jobs")
    if not isinstance(jobs, Mapping) or not isinstance(jobs.get("refused_by"), list):
        return []
    rows = tell.frame.rows(key)
    if not rows:
        return [voice.markup("shares.not_refused")]
    told = []
    for place, row in enumerate(rows):
        rule = rules().get(str(row.get("rule")))
        title = rule.title(voice.lang) if rule is not None else str(row.get("rule"))
        count = tell.key(f"{key}.{place}.jobs")
        told.append(voice.markup("shares.refused_one", rule=title, jobs=count))
    return [voice.markup("shares.refused", rules=Markup("; ").join(told))]
