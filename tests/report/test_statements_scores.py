"""Every score that a statement may list has words of its own in both languages."""

from __future__ import annotations

import datetime as dt

import pytest

from gigafactory.assess import subject_of
from gigafactory.assess.catalogue import FRAMEWORKS
from gigafactory.report.voice import LANGUAGES, texts

#: Those whose scores stand in statements; data centres are listed by the names of sites.
LISTED = ("cloud", "tender", "siting", "classes", "registers")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_scores_have_words(lang: str) -> None:
    words = texts(lang)
    subject = subject_of("rotterdam", dt.date(2026, 11, 28))
    names = {n for name in LISTED for n in FRAMEWORKS[name](subject).scores}
    names |= {"requested_gpu_h", "granted_gpu_h", "used_gpu_h", "union_used_share", "users"}
    lacking = {
        name
        for name in names
        if f"score.{name}" not in words and f"score_family.{name.partition('.')[0]}" not in words
    }
    assert not lacking
