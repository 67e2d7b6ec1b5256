"""Public averages over data centres show nobody's own figures."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.assess.eed import eed_rows
from gigafactory.assess.eedpublic import (
    ALL,
    UNION,
    DataCentre,
    centre_of,
    public_cells,
    size_class,
)
from tests.assess.cases import subject


def centre(name: str, country: str = "NL", kind: str = "colocation", kw: float = 1500.0,
           energy: float = 1000.0, pue: float | None = 1.2) -> DataCentre:  # fmt: skip
    return DataCentre(name, country, kind, kw, energy, pue, 0.1, 0.2, 0.5)


@pytest.mark.parametrize(
    ("kw", "name"),
    [(99, ""), (100, "100-500"), (500, "500-1000"), (1000, "1000-2000"), (2000, "2000-10000"),
     (10_000, "10000-"), (160_000, "10000-")],
)  # fmt: skip
def test_size_classes(kw: float, name: str) -> None:
    assert size_class(kw) == name


def test_averages_are_weighed_by_energy() -> None:
    cells = public_cells(
        [centre("a", energy=100, pue=1.1), centre("b", energy=300, pue=1.5),
         centre("c", energy=600, pue=1.2)]
    )  # fmt: skip
    whole = next(c for c in cells if (c.country, c.by) == ("NL", ALL))
    # (1.1 x 100 + 1.5 x 300 + 1.2 x 600) / 1000 = 1.28; the plain mean would be 1.2667
    assert whole.pue == pytest.approx(1.28)
    assert (whole.centres, whole.energy_kwh) == (3, 1000)


def test_fewer_than_three_are_not_shown() -> None:
    assert public_cells([centre("a"), centre("b")]) == ()
    some = [centre("a"), centre("b"), centre("c"), centre("d", "DE")]
    cells = public_cells(some)
    assert {c.country for c in cells} == {UNION}, "NL beside EU would give the German one away"


def test_an_indicator_few_report_is_not_shown() -> None:
    cells = public_cells([centre("a"), centre("b"), centre("c", pue=None)])
    assert {c.pue for c in cells} == {None}
    assert all(c.erf == pytest.approx(0.2) for c in cells)


centres_of = st.lists(
    st.builds(
        centre,
        st.just("x"),
        st.sampled_from(["NL", "DE", "FR"]),
        st.sampled_from(["colocation", "enterprise", ""]),
        st.sampled_from([50.0, 300.0, 700.0, 1500.0, 12_000.0]),
        st.floats(1, 1e6),
    ),
    max_size=30,
)


@given(centres_of)
def test_no_cell_and_no_difference_of_cells_shows_fewer_than_three(
    centres: list[DataCentre],
) -> None:
    cells = {(c.country, c.by, c.group): c.centres for c in public_cells(centres)}
    assert all(count >= 3 for count in cells.values())
    inside: dict[object, int] = defaultdict(int)
    for (country, by, group), count in cells.items():
        if by != ALL:
            inside[(country, ALL, ""), by] += count
        if country != UNION:
            inside[(UNION, by, group), "country"] += count
    for (around, _), count in inside.items():
        if around in cells:
            assert cells[around] - count == 0 or cells[around] - count >= 3


def test_a_report_without_energy_is_no_data_centre() -> None:
    assert centre_of(eed_rows(subject()), "maasvlakte", "NL") is None
