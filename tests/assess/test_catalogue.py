"""Every framework of the catalogue speaks both languages, cites its sources and gives reasons."""

from __future__ import annotations

import pytest

from gigafactory.assess.catalogue import FRAMEWORKS
from gigafactory.factory.dossier import dossier_of
from tests.assess.cases import bundled, subject

NAMES = [
    name for name in FRAMEWORKS if name in {"cloud", "eed", "tender", "siting", "classes", "access"}
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factory", ["rotterdam", "groningen", "two-ports"])
def test_a_factory_without_a_run_is_assessed(name: str, factory: str) -> None:
    made = bundled(factory)
    assessed = FRAMEWORKS[name](subject(made, dossier_of(made)))
    assert assessed.framework == name
    assert set(assessed.title) == {"en", "nl"}
    assert assessed.source
    assert assessed.findings
    for finding in assessed.findings:
        assert finding.source, finding.criterion
        assert finding.evidence, finding.criterion
        for text in (finding.title, finding.why):
            assert set(text) == {"en", "nl"}, finding.criterion
            assert all("{" not in one for one in text.values()), finding.criterion
    assert len({f.criterion for f in assessed.findings}) == len(assessed.findings)
    for reasons in assessed.held_back.values():
        assert set(reasons) == {"en", "nl"}
    if assessed.notes:
        assert len(assessed.notes["en"]) == len(assessed.notes["nl"])
