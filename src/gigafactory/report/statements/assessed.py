"""An assessment as a chapter, whatever the framework: the vector, the gates, every finding.

What nobody verified stands with its own badge and is never counted as met; a score that something
holds back never stands without the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from gigafactory.assess import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.report.figures.canvas import Caption
from gigafactory.report.figures.ladder import Rung, ladder_figure
from gigafactory.report.figures.radar import Spoke, radar_figure
from gigafactory.report.sections.tell import Picture, Section, Table
from gigafactory.report.statements.desk import Desk

#: Units in which a value is a share of one.
_SHARES: Final = ("ratio", "share")
#: Two readings of one score, in the order in which they stand beside each other.
_READINGS: Final = ("proven", "claimed")
#: Units of scores whose last or first part has this name.
_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("hourly", "annual", "share", "known", "erf", "ref", "coverage"), "share"),
    "hours": "h",
    "it_load_mw": "MW",
    "frontier_mw": "MW",
    "frontier_minimum_mw": "MW",
    "award": "%",
    "score_percent": "%",
    "h100_equivalents": "H100e",
}
#: Scores are drawn as a vector from this number of them on, and up to that.
_SPOKES: Final = (3, 9)


def counts_of(assessment: Assessment) -> dict[Grade, int]:
    """How many findings have each grade."""
    found = dict.fromkeys(Grade, 0)
    for finding in assessment.findings:
        found[finding.grade] += 1
    return found


def trail_of(assessment: Assessment, *criteria: str) -> str:
    """Where a figure of an assessment comes from, as in `Voice.traced`."""
    name = assessment.framework.replace(" ", "-")
    return " ".join(f"assess:{name}/{criterion}".replace(" ", "-") for criterion in criteria)


def in_a_sentence(desk: Desk, assessment: Assessment) -> Markup:
    """How many criteria are met, unmet and unverified."""
    counts = counts_of(assessment)
    trail = trail_of(assessment, "findings")
    asked = len(assessment.findings) - counts[Grade.NOT_APPLICABLE]
    if asked == 1:
        only = next(g for g, n in counts.items() if n and g is not Grade.NOT_APPLICABLE)
        grade = desk.voice.say(f"grade.{only.value}")
        return desk.voice.markup("assessed.one", title=desk.own(assessment.title), grade=grade)
    parts = {grade.value: desk.found(float(counts[grade]), trail) for grade in Grade}
    return desk.voice.markup(
        "assessed.counts",
        title=desk.own(assessment.title),
        all=desk.found(float(asked), trail),
        **parts,
    )


def assessment_parts(
    desk: Desk,
    section: Section,
    assessment: Assessment,
    groups: Sequence[str] | None = None,
    *,
    scores: bool = True,
) -> Section:
    """Tell an assessment in a chapter.

    Args:
        desk: the subject and the voice.
        section: to add to.
        assessment: what a framework came to.
        groups: only these groups of findings in full; all when None.
        scores: whether to draw and list the scores.

    Returns:
        The chapter.
    """
    voice = desk.voice
    interest = desk.own(assessment.interest)
    if interest:
        note = Markup('<strong class="interest">{}</strong> {}')
        section.lead.append(note.format(voice.say("assessed.interest"), interest))
    section.lead.append(in_a_sentence(desk, assessment))
    section.lead.append(Markup("{}").format(voice.say("assessed.reading")))
    picture = _ladder(desk, assessment) or _radar(desk, assessment)
    if picture is not None and scores:
        section.pictures.append(picture)
    section.points.extend(held_back(desk, assessment))
    section.tables.extend(_score_tables(desk, assessment) if scores else [])
    gates = [finding for finding in assessment.findings if finding.gate]
    if gates:
        section.tables.append(_findings(desk, assessment, voice.say("assessed.gates"), gates))
    for group in dict.fromkeys(finding.group for finding in assessment.findings):
        rows = [f for f in assessment.findings if f.group == group and not f.gate]
        if rows and (groups is None or group in groups):
            title = voice.named("assess_group", group)
            section.tables.append(_findings(desk, assessment, title, rows))
    notes = assessment.notes.get(voice.lang) or assessment.notes.get("en") or ()
    section.notes.extend(Markup("{}").format(note) for note in notes)
    section.notes.append(
        voice.markup("assessed.source", source=assessment.source, version=assessment.version)
    )
    return section


def held_back(desk: Desk, assessment: Assessment) -> list[Markup]:
    """Why scores may not be called what their numbers say; each reason once."""
    found: dict[str, list[str]] = {}
    for name, why in assessment.held_back.items():
        exact = name if desk.voice.knows(f"score.{name}") else name.partition(".")[0]
        found.setdefault(desk.own(why), []).append(score_name(desk, exact))
    return [
        desk.voice.markup("assessed.held", name=", ".join(dict.fromkeys(names)), why=why)
        for why, names in found.items()
    ]


def score_name(desk: Desk, name: str) -> str:
    """A score as shown: its words, or those of its family and of what is behind the dot."""
    voice = desk.voice
    for family in ("score", "assess_group"):
        if voice.knows(f"{family}.{name}"):
            return voice.say(f"{family}.{name}")
    first, _, rest = name.partition(".")
    if not rest:
        return voice.named("score_family", name)
    if not voice.knows(f"score_family.{first}"):
        return score_name(desk, first)
    return f"{voice.say(f'score_family.{first}')}: {voice.named('assess_group', rest)}"


def badge(desk: Desk, grade: Grade) -> Markup:
    """A grade as a badge, told apart without colour too."""
    word = desk.voice.say(f"grade.{grade.value}")
    return Markup('<span class="grade {}">{}</span>').format(grade.value, word)


def valued(desk: Desk, value: float | None, unit: str, source: str) -> Markup:
    """A value with its unit; a dash where there is none."""
    if value is None:
        return Markup('<span class="soft">–</span>')
    if unit in _SHARES:
        return desk.share(value, source)
    shown = desk.voice.number(value) if float(value).is_integer() else desk.voice.neat(value)
    number = desk.voice.traced(shown, value, source)
    name = desk.voice.named("assess_unit", unit) if unit else ""
    return Markup('{} <span class="soft">{}</span>').format(number, name)


def shown_evidence(desk: Desk, evidence: Sequence[Evidence]) -> Markup:
    """What a finding rests on, by how far it shows it."""
    held: dict[Proof, list[Markup]] = {}
    for one in evidence or (Evidence(Proof.MISSING, ""),):
        shown = _shown_one(desk, one)
        rows = held.setdefault(one.proof, [])
        if shown and shown not in rows:
            rows.append(shown)
    return Markup("<br>").join(
        Markup('<span class="proof {}">{}</span> {}').format(
            proof.value, desk.voice.say(f"proof.{proof.value}"), Markup(", ").join(rows)
        )
        for proof, rows in held.items()
    )


def _shown_one(desk: Desk, one: Evidence) -> Markup:
    """A document with its owner, days and who checked it, or the name of what was counted."""
    voice = desk.voice
    if one.title:
        said = Markup("{}").format(one.title)
    else:
        what = one.reference.partition(":")[2]
        said = Markup("<code>{}</code>").format(what) if what else Markup("")
    told = [one.owner, voice.date(one.dated) if one.dated else ""]
    told += [voice.say("proof.until", day=voice.date(one.expires))] if one.expires else []
    told += [voice.say("proof.by", who=one.verified_by)] if one.verified_by else []
    told = [part for part in told if part]
    return (
        said + Markup(' <span class="soft">({})</span>').format("; ".join(told)) if told else said
    )


def _findings(desk: Desk, assessment: Assessment, title: str, findings: Sequence[Finding]) -> Table:
    """Criteria with grade, value, bar, evidence and reason."""
    rows: list[list[Markup | str]] = []
    for finding in findings:
        trail = trail_of(assessment, finding.criterion)
        head = Markup('{} <code class="soft">{}</code>').format(
            desk.own(finding.title), finding.criterion.removeprefix(f"{finding.group}.")
        )
        why = desk.own(finding.why)
        if why:
            head += Markup('<br><span class="why">{}</span>').format(why)
        rows.append(
            [
                Markup('<div class="finding">{}</div>').format(head),
                badge(desk, finding.grade),
                valued(desk, finding.value, finding.unit, trail),
                valued(desk, finding.threshold, finding.unit, trail),
                Markup('<div class="on">{}</div>').format(shown_evidence(desk, finding.evidence)),
            ]
        )
    heads = [desk.voice.say(f"assessed.{n}") for n in ("criterion", "grade", "value", "bar", "on")]
    return Table(title, heads, rows, texts=frozenset({1, 4}))


def _score_tables(desk: Desk, assessment: Assessment) -> list[Table]:
    """The scores: the vector with its parts, readings beside each other, and the rest in a list."""
    vector = vector_of(assessment)
    pairs = _pairs(assessment)
    told = {f"{name}.{part}" for name, parts in vector.items() for part in parts} | set(vector)
    told |= {f"{name}.{reading}" for name in pairs for reading in _READINGS}
    rest = [name for name in assessment.scores if name not in told]
    tables: list[Table] = []
    if vector:
        tables.append(_vector_table(desk, assessment, vector))
    if vector and differences_of(assessment):
        tables.append(_difference_table(desk, assessment, list(vector)))
    if pairs:
        tables.append(_pair_table(desk, assessment, pairs))
    if rest:
        tables.append(_rest_table(desk, assessment, rest))
    return tables


def differences_of(assessment: Assessment) -> Mapping[str, Mapping[str, float]]:
    """By counterfactual and score; empty where a framework has none."""
    found: Mapping[str, Mapping[str, float]] = getattr(assessment, "differences", {})
    return found


def vector_of(assessment: Assessment) -> dict[str, list[str]]:
    """Scores that are made of parts, each with the names of its parts, in order."""
    names = [name for name in assessment.scores if "." not in name]
    found = {
        name: [
            other.removeprefix(f"{name}.")
            for other in assessment.scores
            if other.startswith(f"{name}.")
        ]
        for name in names
    }
    return {name: parts for name, parts in found.items() if parts}


def _pairs(assessment: Assessment) -> list[str]:
    """Scores that are given in two readings."""
    first, second = _READINGS
    return [
        name.removesuffix(f".{first}")
        for name in assessment.scores
        if name.endswith(f".{first}") and f"{name.removesuffix(first)}{second}" in assessment.scores
    ]


def _vector_table(desk: Desk, assessment: Assessment, vector: Mapping[str, Sequence[str]]) -> Table:
    """Each score with its parts and how far what nobody verified could still move it."""
    voice, scores = desk.voice, assessment.scores
    parts = [part for part in next(iter(vector.values())) if part not in ("low", "high")]
    moves = all({"low", "high"} <= set(held) for held in vector.values())
    rows: list[list[Markup | str]] = []
    for name in vector:
        trail = trail_of(assessment, name)
        cells: list[Markup | str] = [score_name(desk, name), _ratio(desk, scores[name], trail)]
        if moves:
            ends = (scores[f"{name}.low"], scores[f"{name}.high"])
            cells.append(desk.span(ends, trail, 2))
        for part in parts:
            found = scores.get(f"{name}.{part}")
            cells.append(_ratio(desk, found, trail_of(assessment, f"{name}.{part}")))
        rows.append(cells)
    heads = [voice.say("assessed.score"), voice.say("assessed.value")]
    heads += [voice.say("assessed.could_be")] if moves else []
    heads += [voice.named("score_part", part) for part in parts]
    return Table(voice.say("assessed.scores"), heads, rows)


def _difference_table(desk: Desk, assessment: Assessment, names: Sequence[str]) -> Table:
    """How each score differs from what it would be without the factory, or with another."""
    voice = desk.voice
    rows: list[list[Markup | str]] = []
    for other, held in differences_of(assessment).items():
        cells: list[Markup | str] = [voice.named("against", other)]
        cells += [
            _ratio(desk, held.get(name), trail_of(assessment, f"{name}/{other}")) for name in names
        ]
        rows.append(cells)
    heads = [voice.say("assessed.against"), *(score_name(desk, name) for name in names)]
    return Table(voice.say("assessed.differences"), heads, rows)


def _pair_table(desk: Desk, assessment: Assessment, pairs: Sequence[str]) -> Table:
    voice = desk.voice
    rows: list[list[Markup | str]] = [
        [
            score_name(desk, name),
            *(_figure(desk, f"{name}.{reading}", assessment) for reading in _READINGS),
        ]
        for name in pairs
    ]
    heads = [voice.say("assessed.score"), *(voice.say(f"reading.{r}") for r in _READINGS)]
    return Table(voice.say("assessed.readings"), heads, rows)


def _rest_table(desk: Desk, assessment: Assessment, names: Sequence[str]) -> Table:
    voice = desk.voice
    rows: list[list[Markup | str]] = [
        [score_name(desk, name), _figure(desk, name, assessment)] for name in names
    ]
    heads = [voice.say("assessed.score"), voice.say("assessed.value")]
    return Table(voice.say("assessed.figures"), heads, rows)


def _figure(desk: Desk, name: str, assessment: Assessment) -> Markup:
    """A score with the unit its name implies."""
    parts = name.split(".")
    known = [_UNITS[part] for part in (parts[-1], parts[0]) if part in _UNITS]
    return valued(desk, assessment.scores[name], (known or [""])[0], trail_of(assessment, name))


def _ratio(desk: Desk, value: float | None, trail: str) -> Markup:
    if value is None:
        return Markup('<span class="soft">–</span>')
    return desk.voice.traced(desk.voice.number(value, 2), value, trail)


def _radar(desk: Desk, assessment: Assessment) -> Picture | None:
    """The vector of a few scores, with how far what nobody verified could still move each."""
    scores = assessment.scores
    names = list(vector_of(assessment)) or [name for name in scores if "." not in name]
    if not _SPOKES[0] <= len(names) <= _SPOKES[1] or any(abs(scores[n]) > 1.0 for n in names):
        return None
    voice = desk.voice
    ends = [scores.get(f"{name}.low", scores[name]) for name in names]
    low = -1.0 if min(ends) < 0 else 0.0
    spokes = [
        Spoke(
            score_name(desk, name),
            scores[name],
            name in assessment.held_back,
            trail_of(assessment, name),
            (
                scores.get(f"{name}.low", scores[name]),
                scores.get(f"{name}.high", scores[name]),
            ),
        )
        for name in names
    ]
    told = "; ".join(f"{spoke.label} {voice.number(spoke.value, 2)}" for spoke in spokes)
    caption = Caption(f"fig-{assessment.framework}", desk.own(assessment.title), told)
    svg = radar_figure(spokes, (low, 1.0), voice.say("assessed.held_short"), caption, voice)
    return Picture(svg, voice.markup("assessed.radar"), " ".join(spoke.source for spoke in spokes))


def _ladder(desk: Desk, assessment: Assessment) -> Picture | None:
    """The levels of the parts of a framework whose lowest part decides."""
    gates = [f for f in assessment.findings if f.gate and f.unit == "SEAL"]
    if len(gates) < 2:
        return None
    voice = desk.voice
    rungs = [
        Rung(
            voice.named("assess_group", finding.group),
            None if finding.value is None else int(finding.value),
            voice.say(f"grade.{finding.grade.value}"),
            trail_of(assessment, finding.criterion),
        )
        for finding in gates
    ]
    known = [rung.level for rung in rungs if rung.level is not None]
    least = voice.number(min(known)) if known else voice.say("number.none")
    told = voice.say("assessed.lowest", level=least)
    caption = Caption(f"fig-{assessment.framework}", desk.own(assessment.title), told)
    svg = ladder_figure(rungs, 4, "SEAL", told, caption)
    return Picture(svg, voice.markup("assessed.ladder"), " ".join(r.source for r in rungs))


__all__ = [
    "assessment_parts",
    "badge",
    "counts_of",
    "held_back",
    "in_a_sentence",
    "score_name",
    "shown_evidence",
    "trail_of",
    "valued",
    "vector_of",
]
