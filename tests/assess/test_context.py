"""The world around a factory, by hand: concentration, security of countries, research, adoption."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gigafactory.assess import Grade
from gigafactory.assess.accountability import assess_registers
from gigafactory.assess.adoption import adoption, cells, homecoming
from gigafactory.assess.axes import axes_alone
from gigafactory.assess.catalogue import FRAMEWORKS, assess
from gigafactory.assess.context import context, moved_risk, ownership_change, security_factor
from gigafactory.assess.continuity import continuity
from gigafactory.assess.controls import assess_controls, catalogue, control_coverage
from gigafactory.assess.recommendations import assess_recommendations
from gigafactory.assess.supplyfacts import supply_facts
from gigafactory.engine.errors import BadInput
from gigafactory.factory import Factory, fleet_h100_equivalents
from gigafactory.factory.access import Owner
from tests.assess.conftest import SUMMARY, Build, paper, papers
from tests.assess.test_registers import line, register, role


def test_concentration_of_ownership_before_and_after(
    build: Build, rotterdam: Factory, governed: Callable[..., Factory]
) -> None:
    # 15 m, of which 85 % American, 5 % European, 10 % others: 0.7225 + 0.0025 + 0.01 = 0.735
    size = fleet_h100_equivalents(rotterdam)
    found = ownership_change(build())
    assert found.hhi_before == pytest.approx(0.735)
    total = 15e6 + size
    after = (12.75e6**2 + (0.75e6 + size) ** 2 + 1.5e6**2) / total**2
    assert found.hhi_after == pytest.approx(after)
    assert found.eu_share_after == pytest.approx((0.75e6 + size) / total)
    theirs = ownership_change(build(governed(parents=(Owner(name="Top", country="US"),))))
    assert theirs.owner == "US"
    assert theirs.hhi_after > theirs.hhi_before
    assert theirs.eu_share_after < theirs.eu_share_before


def test_moving_work_to_another_country_changes_the_residual_risk(build: Build) -> None:
    assert (security_factor("NL"), security_factor("BG"), security_factor("US")) == (1.0, 0.75, 0.0)
    assert moved_risk(build(), 0.4, "BG") == (0.0, pytest.approx(0.4 * 0.25))
    assert moved_risk(build(), 0.4, "DE") == (0.0, 0.0)


def test_sites_in_another_country_are_seen_on_the_axis(build: Build, rotterdam: Factory) -> None:
    sites = {
        name: site.model_copy(update={"place": site.place.model_copy(update={"country": "BG"})})
        for name, site in rotterdam.sites.items()
    }
    moved = axes_alone(build(rotterdam.model_copy(update={"sites": sites})))
    assert moved.of("autonomy.risk_uneven_security").points == pytest.approx(0.5 * 0.25)


def test_macro_figures_carry_their_source() -> None:
    macro = context().macro
    assert (macro.growth_low_share, macro.growth_high_share) == (0.015, 0.02)
    assert (macro.investment_low_eur, macro.investment_high_eur) == (151e9, 187e9)
    assert macro.until_year == 2035
    assert "Wennink" in macro.sources["growth"].source
    assert macro.sources["growth"].year == 2025


def test_growth_that_is_lacking_is_shown_with_its_source(build: Build) -> None:
    one = axes_alone(build()).of("economy.growth")
    assert one.value == pytest.approx(0.0175 - 0.007)
    assert "EUR 151 to 187 bn of extra investment until 2035 (Wennink, 2025)" in one.why["en"]
    assert one.points is None  # context: in no mean


def test_the_contribution_to_the_research_gap_is_shown(build: Build) -> None:
    # (3.0 % - 2.3 %) of 1,134 bn is 7.938 bn; 79.38 m is a hundredth of it
    assert context().macro.research_gap_eur == pytest.approx(7.938e9)
    talent = register("talent", counted="2026-01-01", research="79.38 MEUR", roles=[role()],
                      verified_by="An auditor")  # fmt: skip
    one = axes_alone(build(files=talent)).of("economy.research_gap")
    assert one.value == pytest.approx(0.01)
    assert one.grade is Grade.MET
    assert "1.00 %" in one.why["en"]
    assert "7,9 mld" in one.why["nl"]


def test_two_scores_never_merged(build: Build) -> None:
    """Control within European law, and freedom to change supplier, stand apart."""
    lines = [line(), line(id="b", alternatives=[])]
    found = axes_alone(build(files=register("procurement", lines=lines, verified_by="An auditor")))
    assert found.of("autonomy.control_in_europe").value == 1.0
    assert found.of("autonomy.freedom_of_choice").value == 0.5
    assert found.of("autonomy.control_in_europe").kind == "context"  # in no mean
    assert found.of("autonomy.freedom_of_choice").points is None


def test_each_critical_component_has_a_substitute_or_is_flagged(build: Build) -> None:
    lines = [line(), line(id="b", alternatives=[]), line(id="c", critical=False, alternatives=[])]
    subject = build(files=register("procurement", lines=lines, verified_by="An auditor"))
    facts = supply_facts(subject)
    assert facts.critical == ("chips", "b")
    assert facts.without_substitute == ("b",)
    gate = axes_alone(subject).of("autonomy.dependencies")
    assert gate.grade is Grade.UNMET
    assert "(b)" in gate.why["en"]
    choice = axes_alone(subject).of("autonomy.freedom_of_choice")
    assert "the slowest takes 90 days" in choice.why["en"]


def test_shares_by_value_once_the_register_is_checked(build: Build) -> None:
    lines = [line(value="3 MEUR"), line(id="b", owner_country="US", value="1 MEUR")]
    claimed = supply_facts(build(files=register("procurement", lines=lines)))
    checked = supply_facts(
        build(files=register("procurement", lines=lines, verified_by="An auditor"))
    )
    assert checked.eu_share == pytest.approx(0.75)
    assert checked.concentration_hhi == pytest.approx(0.75**2 + 0.25**2)
    assert claimed.eu_share == pytest.approx(0.25)  # as the factory file says, layer by layer


def test_stock_that_outlasts_the_remedy_takes_from_the_risk(build: Build) -> None:
    def risk(days: float) -> float | None:
        lines = [line(stock_days=days)]
        files = register("procurement", lines=lines, verified_by="An auditor")
        return axes_alone(build(files=files)).of("autonomy.risk_export_limits").points

    assert risk(100) == pytest.approx(0.6)
    assert risk(200) == pytest.approx(0.6 * (1 - 0.4))


# --- adoption and what came home


def test_small_cells_are_not_told_apart(build: Build, rotterdam: Factory) -> None:
    subject = build()
    for row in cells(subject, lambda one: one.field):
        assert row.tenants is None or row.tenants >= 3
    whole = cells(subject, lambda one: one.country)
    shares = [row.used_share for row in cells(subject, lambda one: one.group)]
    assert sum(share or 0.0 for share in shares) == pytest.approx(1.0)
    # one tenant in Germany, all others in the Netherlands: nothing can be told at all
    assert [(row.name, row.tenants) for row in whole] == [("other", len(rotterdam.tenants))]
    counts = adoption(subject)
    assert counts.firms == 19
    assert counts.first_time is None  # two: fewer than three
    assert counts.regions is None


def test_published_counts_keep_the_threshold(build: Build) -> None:
    found = assess_registers(build())
    assert found.of("adoption.firms").value == 19.0
    assert found.of("adoption.first_time").value is None
    assert "fewer than 3" in found.of("adoption.first_time").why["en"]
    cells_told = [one for one in found.findings if one.criterion.startswith("adoption.field.")]
    assert sum(one.value or 0.0 for one in cells_told) == pytest.approx(1.0)


def test_two_tenants_are_never_shown(build: Build, rotterdam: Factory) -> None:
    two = rotterdam.model_copy(update={"tenants": rotterdam.tenants[:2]})
    (only,) = cells(build(two), lambda one: one.country)
    assert (only.name, only.tenants, only.used_share) == ("other", None, None)


def test_what_came_home_against_a_dated_baseline(build: Build, rotterdam: Factory) -> None:
    universities = [t for t in rotterdam.tenants if "abroad" in t.ran_before and t.country == "NL"]
    shares = [{"node": t.name, "level": "tenant", "held_gpu_h": 100.0} for t in universities]
    baseline = register(
        "baseline",
        dated="2025-12-31",
        hyperscaler_share="70 %",
        source={"source": "HCSS", "year": 2026, "state": "published", "mark": "read"},
        rows=[{"field": "other", "gpu_hours": 1000, "where": "abroad",
               "source": {"source": "SURF", "year": 2025, "state": "assumption",
                          "mark": "unverified"}}],
    )  # fmt: skip
    summary = {**SUMMARY, "days_done": 73, "shares": shares}
    (row,) = homecoming(build(files=baseline, summary=summary), "abroad")
    # three tenants of different fields go together; each ran in two places, so half of its hours
    # came from abroad; a fifth of a year
    assert len(universities) == 3
    assert row.field == "other"
    assert row.moved_gpu_h == pytest.approx(3 * 100.0 / 2 * 5)
    assert row.baseline_gpu_h == 1000
    assert str(row.dated) == "2025-12-31"
    assert "SURF" in row.source
    assert not row.checked  # an assumption


def test_hours_off_hyperscalers_have_a_baseline_with_source_and_year(build: Build) -> None:
    one = axes_alone(build(summary=SUMMARY)).of("autonomy.off_hyperscalers")
    assert "70 %" in one.why["en"]
    assert "2026" in one.why["en"]


# --- continuity


def test_continuity_is_counted_from_a_run(build: Build) -> None:
    outages = [
        {"back_after_h": 3.0, "not_served_mwh": {"research": 5.0, "fine_tuning": None}},
        {"back_after_h": None, "not_served_mwh": None},
    ]
    found = continuity(build(summary={**SUMMARY, "outages": outages}))
    assert found.availability == pytest.approx(1 - 30 / 1000)
    assert found.recovery_time_h == 3.0
    assert found.recovery_point_h == 1.0
    assert found.redone_share == pytest.approx(20 / 840)
    assert found.unserved_mwh == 5.0
    assert found.autonomy_days is None


def test_what_no_run_shows_stays_open(build: Build) -> None:
    found = continuity(build())
    assert found.availability is None
    assert found.recovery_time_h is None
    assert found.unserved_mwh is None


# --- controls, recommendations, the catalogue of frameworks


def test_controls_cover_every_measure_of_the_law_and_the_objective() -> None:
    known = catalogue()
    assert [m.id for m in known.nis2] == list("abcdefghij")
    assert [m.id for m in known.sov7] == [f"7.{n}" for n in range(1, 8)]
    assert {m for c in known.controls for m in c.nis2} == {m.id for m in known.nis2}
    assert {m for c in known.controls for m in c.sov7} == {m.id for m in known.sov7}


def test_coverage_counts_verified_documents_alone(build: Build) -> None:
    text = papers(
        paper("a", "control:mfa", "control:back-up", verified_by="An auditor"),
        paper("b", "control:training"),
    )
    subject = build(files={"evidence.yaml": text})
    found = control_coverage(subject)
    assert (found.controls, found.verified, found.claimed) == (22, 2, 1)
    assert found.verified_share == pytest.approx(2 / 22)
    assert found.share_by_nis2["j"] == 1.0
    assert found.share_by_nis2["c"] == pytest.approx(1 / 3)
    told = assess_controls(subject)
    assert told.scores["coverage"] == found.verified_share
    assert told.of("mfa").evidence[0].reference == "document:a"


def test_four_recommendations_with_measures_and_evidence(build: Build) -> None:
    found = assess_recommendations(build(summary=SUMMARY))
    assert len(found.scores) == 4
    assert all(one.evidence for one in found.findings)
    # with this run: new plants, reserves, heat and little water; nobody was asked to be heard
    assert found.scores["energy_and_space"] == pytest.approx(4 / 5)
    assert found.of("r4.talks").grade is Grade.UNVERIFIED
    assert "Eneco" in found.interest["nl"]


@pytest.mark.parametrize("name", ["axes", "recommendations", "controls", "registers"])
def test_every_framework_applies_to_a_factory_without_anything(build: Build, name: str) -> None:
    found = assess(name, build())
    assert found.framework == name
    assert found.findings
    assert found.title["en"]
    assert found.title["nl"]


def test_an_unknown_framework_is_refused(build: Build) -> None:
    with pytest.raises(BadInput, match="did you mean axes"):
        assess("axis", build())
    assert "axes" in FRAMEWORKS
