"""Sentences of a summary: what the ledger of a run says, for readers who read nothing else."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from gigafactory.assess import Assessment
from gigafactory.report.statements.assessed import (
    in_a_sentence,
    score_name,
    trail_of,
    vector_of,
)
from gigafactory.report.statements.desk import Desk, listed
from gigafactory.report.statements.providers import ask


def what_ran(desk: Desk) -> list[Markup]:
    """How large it is, how long it ran, and how much of it did useful work."""
    return [
        desk.voice.markup(
            "told.ran",
            physical=desk.key("accelerators.physical"),
            equivalent=desk.key("accelerators.h100_equivalent"),
            days=desk.key("days"),
            useful=desk.share_of("accelerator_hours.useful", "accelerator_hours.installed"),
        )
    ]


def energy_told(desk: Desk) -> list[Markup]:
    """Energy, how well it was used, and how much of it was carbon-free when it was used."""
    used = desk.voice.markup(
        "told.energy", energy=desk.key("energy.site_mwh"), pue=desk.key("pue", 3)
    )
    found = [used]
    if desk.frame.value("carbon.cfe_share") is not None:
        found.append(
            desk.voice.markup(
                "told.carbon_free",
                cfe=desk.share(desk.frame.value("carbon.cfe_share"), "summary:carbon.cfe_share"),
                annual=desk.share(
                    desk.frame.value("carbon.annual_matched_share"),
                    "summary:carbon.annual_matched_share",
                ),
            )
        )
    return _together(found)


def carbon_told(desk: Desk) -> list[Markup]:
    """Carbon, water and heat."""
    told = [
        desk.voice.markup(
            "told.carbon",
            location=desk.key("co2_kg.location", 0, 1e-3),
            market=desk.key("co2_kg.market", 0, 1e-3),
        ),
        desk.voice.markup(
            "told.water_and_heat",
            water=desk.key("water_m3"),
            heat=desk.key("heat_mwh"),
            erf=desk.share_of("heat_mwh", "energy.site_mwh"),
        ),
    ]
    return _together(told)


def grid_told(desk: Desk) -> list[Markup]:
    """What the connection asked, and what flexibility brought."""
    if desk.frame.value("transport.bill_eur") is None:
        return []
    bill = desk.money(desk.frame.value("transport.bill_eur"), "summary:transport.bill_eur", 2)
    if desk.frame.value("transport.beyond_right"):
        beyond = desk.key("transport.beyond_right")
        found = [desk.voice.markup("told.grid", beyond=beyond, bill=bill)]
    else:
        found = [desk.voice.markup("told.grid_within", bill=bill)]
    if desk.frame.value("flexibility.net_eur") is not None:
        net = desk.money(desk.frame.value("flexibility.net_eur"), "summary:flexibility.net_eur", 2)
        found.append(desk.voice.markup("told.flexibility", net=net))
    return _together(found)


def cost_told(desk: Desk) -> list[Markup]:
    """What an hour costs by this run alone, as a range; nothing where it was not worked out."""
    frame = desk.frame
    ends = [frame.value(f"lcoc_eur_per_gpu_h.{end}") for end in ("low", "high")]
    if ends[0] is None or ends[1] is None:
        return []
    span = desk.span((ends[0], ends[1]), "summary:lcoc_eur_per_gpu_h", 2)
    return [desk.voice.markup("told.cost", span=span)]


def ledger_told(desk: Desk) -> list[Markup]:
    """What the ledger counted as earned, and as paid for energy."""
    frame = desk.frame
    if frame.value("money.revenue_eur") is None:
        return []
    return [
        desk.voice.markup(
            "told.money",
            revenue=desk.money(frame.value("money.revenue_eur"), "summary:money.revenue_eur"),
            energy=desk.money(frame.value("money.energy_eur"), "summary:money.energy_eur"),
        )
    ]


def together(*tellers: Callable[[Desk], list[Markup]]) -> Callable[[Desk], list[Markup]]:
    """What several tell, as one paragraph."""

    def told(desk: Desk) -> list[Markup]:
        return _together([sentence for teller in tellers for sentence in teller(desk)])

    return told


def shares_told(desk: Desk) -> list[Markup]:
    """Who got what was promised, and what stayed in the country."""
    found: list[Markup] = []
    if desk.frame.value("shares_of_tenants.kept_share") is not None:
        found.append(
            desk.voice.markup(
                "told.kept",
                kept=desk.share(
                    desk.frame.value("shares_of_tenants.kept_share"),
                    "summary:shares_of_tenants.kept_share",
                ),
                borrowed=desk.share(
                    desk.frame.value("shares_of_tenants.borrowed_share"),
                    "summary:shares_of_tenants.borrowed_share",
                ),
            )
        )
    if desk.frame.value("export.share") is not None:
        found.append(
            desk.voice.markup(
                "told.export",
                export=desk.share(desk.frame.value("export.share"), "summary:export.share"),
            )
        )
    return _together(found)


def _together(sentences: list[Markup]) -> list[Markup]:
    """Sentences on one thing as one paragraph; none where there are none."""
    return [Markup(" ").join(sentences)] if sentences else []


def framework_told(*names: str) -> Callable[[Desk], list[Markup]]:
    """What frameworks came to, in a paragraph each: counts, scores, and which are held back."""

    def told(desk: Desk) -> list[Markup]:
        found: list[Markup] = []
        for name in names:
            answer = ask(desk, name)
            if isinstance(answer, Assessment):
                lines = [in_a_sentence(desk, answer), *_scores_told(desk, answer)]
                if answer.held_back:
                    lines.append(desk.voice.markup("told.held_back"))
                found += _together(lines)
        return found

    return told


def _scores_told(desk: Desk, found: Assessment) -> list[Markup]:
    """Its vector, each score with how far it could still move; or its levels, as read twice."""
    voice, scores = desk.voice, found.scores
    if "seal.proven" in scores:
        levels = {
            reading: desk.found(scores.get(f"seal.{reading}"), trail_of(found, f"seal.{reading}"))
            for reading in ("proven", "claimed")
        }
        return [voice.markup("told.seal", **levels)]
    vector = [
        voice.markup(
            "told.score",
            name=score_name(desk, name),
            value=desk.found(scores[name], trail_of(found, name), 2),
            span=desk.span(
                (scores[f"{name}.low"], scores[f"{name}.high"]), trail_of(found, name), 2
            ),
        )
        for name, parts in vector_of(found).items()
        if {"low", "high"} <= set(parts)
    ]
    return [voice.markup("told.vector", scores=listed(voice, vector))] if vector else []
