"""Dated documents named in a dossier's own files, and what they prove on a day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from gigafactory.assess.results import Evidence, Proof
from gigafactory.factory.blocks import Block, Day, Text, setting


class Paper(Block):
    """A dated document behind an answer."""

    title: Text = setting("The document, so that it can be found again.")
    owner: Text = setting("Who answers for it.")
    dated: Day = setting("Its day.")
    expires: Day | None = setting("First day it no longer counts; empty for never.", None)
    verified_by: Text | None = setting("Who checked it; empty while nobody has.", None)


def evidence_of(papers: Iterable[Paper], today: dt.date, where: str) -> tuple[Evidence, ...]:
    """Documents as evidence on a day, the best first; missing where there is none yet.

    Args:
        papers: the documents.
        today: the day; one dated later is not there yet.
        where: the file that would name a document, for evidence that is missing.
    """
    order = (Proof.VERIFIED, Proof.CLAIMED, Proof.EXPIRED)
    found = [
        Evidence(
            proof=_proof(paper, today),
            reference=f"document:{paper.title}",
            title=paper.title,
            owner=paper.owner,
            dated=paper.dated,
            expires=paper.expires,
            verified_by=paper.verified_by or "",
        )
        for paper in papers
        if paper.dated <= today
    ]
    found.sort(key=lambda one: order.index(one.proof))
    return tuple(found) or (Evidence(Proof.MISSING, where),)


def _proof(paper: Paper, today: dt.date) -> Proof:
    if paper.expires is not None and paper.expires <= today:
        return Proof.EXPIRED
    return Proof.CLAIMED if paper.verified_by is None else Proof.VERIFIED


__all__ = ["Paper", "evidence_of"]
