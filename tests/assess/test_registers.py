"""What follows from a register on a day: blocked payments, running clocks, lapsed entries."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gigafactory.assess import Grade, Subject
from gigafactory.assess.accountability import assess_registers, grant_payments
from gigafactory.assess.registers.people import (
    benefits,
    load_outcomes,
    load_talent,
    talent_figures,
)
from gigafactory.assess.registers.public import (
    load_consultations,
    load_objections,
    open_days,
    payments,
    unheard,
)
from gigafactory.assess.registers.security import (
    Incident,
    clocks,
    conflict,
    lapsed,
    load_incidents,
    load_requests,
    load_threats,
)
from gigafactory.assess.registers.supplies import (
    award,
    flagged,
    load_procurement,
    load_software,
    load_tenders,
    passports,
    software_summary,
)
from gigafactory.engine.errors import BadInput
from gigafactory.factory import Factory
from gigafactory.factory.access import Owner
from gigafactory.factory.dossier import dossier_of
from tests.assess.conftest import SUMMARY, TODAY, Build, verified

SOURCE = {"source": "A book", "year": 2026, "state": "assumption", "mark": "unverified"}
WORDS = {"en": "A thing", "nl": "Een ding"}


def register(name: str, **content: Any) -> dict[str, str]:
    """One register of a dossier, by its file name."""
    return {f"registers/{name}.yaml": json.dumps(content, indent=1)}


@pytest.fixture
def bundled(rotterdam: Factory) -> Subject:
    return Subject(rotterdam, dossier_of(rotterdam), TODAY, None, {})


# --- public money


def grant(*criteria: str) -> dict[str, Any]:
    return {
        "id": "g",
        "title": WORDS,
        "granter": "The state",
        "source": SOURCE,
        "conditions": [
            {"id": f"c{at}", "kind": "other", "title": WORDS, "criterion": one}
            for at, one in enumerate(criteria)
        ],
        "milestones": [
            {"id": "m1", "title": WORDS, "due": "2027-01-01", "amount": "10 MEUR"},
            {"id": "m2", "title": WORDS, "due": "2028-01-01", "amount": "0.5 EUR"},
        ],
    }


def test_a_breach_blocks_the_milestone_and_is_reported(
    build: Build, governed: Callable[..., Factory]
) -> None:
    files = {
        "evidence.yaml": verified(),
        **register("subsidies", grants=[grant("autonomy.jurisdiction", "society.missions")]),
    }
    kept = build(files=files)
    assert [p.state for p in grant_payments(kept)] == ["payable", "payable"]
    assert [p.paid_micro_eur for p in grant_payments(kept)] == [10_000_000_000_000, 500_000]
    broken = build(governed(parents=(Owner(name="Top", country="US"),)), files)
    rows = grant_payments(broken)
    assert [(p.state, p.paid_micro_eur, p.broken) for p in rows] == [
        ("blocked", 0, ("c0",)),
        ("blocked", 0, ("c0",)),
    ]
    told = assess_registers(broken).of("subsidies.g.m1")
    assert told.grade is Grade.UNMET
    assert told.value == 0.0
    assert "blocked: broken is A thing" in told.why["en"]
    assert "geblokkeerd: geschonden is Een ding" in told.why["nl"]


def test_what_is_not_shown_holds_the_payment_back(build: Build) -> None:
    subject = build(files=register("subsidies", grants=[grant("autonomy.jurisdiction")]))
    rows = grant_payments(subject)
    assert {p.state for p in rows} == {"held"}
    assert {p.paid_micro_eur for p in rows} == {0}


def test_a_condition_on_nothing_known_is_not_shown(build: Build) -> None:
    from gigafactory.assess.registers.public import load_subsidies

    found = load_subsidies(build(files=register("subsidies", grants=[grant("no.such")])))
    assert found is not None
    assert [p.not_shown for p in payments(found.grants[0], {})] == [("c0",), ("c0",)]


# --- objections and consultations


def test_open_objections_and_their_age_are_published(build: Build) -> None:
    row = {"id": "a", "by": "resident", "about": WORDS, "received": "2026-10-01"}
    subject = build(files=register("objections", objections=[row]))
    found = load_objections(subject)
    assert found is not None
    one = found.objections[0]
    assert open_days(one, dt.date(2026, 9, 30)) is None
    assert open_days(one, dt.date(2026, 10, 1)) == 0
    assert open_days(one, TODAY) == 58
    told = assess_registers(subject).of("objections.a")
    assert told.grade is Grade.UNMET  # older than six weeks
    assert told.value == 58
    assert "open for 58 days" in told.why["en"]
    assert assess_registers(replace(subject, today=dt.date(2026, 11, 12))).of(
        "objections.a"
    ).grade is Grade.MET  # the 42nd day  # fmt: skip


def test_an_outcome_needs_a_dated_answer(build: Build) -> None:
    row = {"id": "a", "by": "firm", "about": WORDS, "received": "2026-10-01", "outcome": "upheld"}
    with pytest.raises(BadInput, match="no dated answer"):
        load_objections(build(files=register("objections", objections=[row])))


def milestone(**more: Any) -> dict[str, Any]:
    return {
        "id": "cooling",
        "title": WORDS,
        "planned": "2026-06-01",
        "hears": ["residents", "water-authority"],
        "talks": [{"stakeholder": "residents", "held": "2026-05-01", "record": "minutes"}],
        **more,
    }


def test_a_milestone_cannot_close_without_its_record(build: Build) -> None:
    wrong = register("consultations", milestones=[milestone(closed="2026-06-02")])
    with pytest.raises(BadInput, match=r"cannot close: no talk .* water-authority"):
        load_consultations(build(files=wrong))
    late = {"stakeholder": "water-authority", "held": "2026-06-03", "record": "minutes"}
    talks = [*milestone()["talks"], late]
    with pytest.raises(BadInput, match="cannot close"):
        load_consultations(
            build(
                files=register(
                    "consultations", milestones=[milestone(closed="2026-06-02", talks=talks)]
                )
            )
        )
    fine = register("consultations", milestones=[milestone(closed="2026-06-03", talks=talks)])
    found = load_consultations(build(files=fine))
    assert found is not None
    assert unheard(found.milestones[0], TODAY) == ()


def test_an_open_milestone_says_who_is_missing(build: Build) -> None:
    subject = build(files=register("consultations", milestones=[milestone()]))
    told = assess_registers(subject).of("consultations.cooling")
    assert told.grade is Grade.UNMET
    assert "cannot close without water-authority" in told.why["en"]
    early = assess_registers(replace(subject, today=dt.date(2026, 5, 20)))
    assert early.of("consultations.cooling").grade is Grade.NOT_APPLICABLE


# --- security

AWARE = dt.datetime.fromisoformat("2026-01-31T12:00:00+01:00")


def incident(**more: Any) -> Incident:
    words = {"en": "Something", "nl": "Iets"}
    return Incident.model_validate(
        {"id": "i", "title": words, "aware": AWARE, "significant": True, "authority": "CSIRT"}
        | more
    )


def test_an_incident_starts_three_clocks() -> None:
    rows = clocks(incident(), AWARE + dt.timedelta(hours=1))
    assert [(r.duty, r.state, r.left_h) for r in rows[:2]] == [
        ("early_warning", "running", 23.0),
        ("notification", "running", 71.0),
    ]
    # a month after 3 February noon, when the notification is due
    assert rows[2].due == dt.datetime.fromisoformat("2026-03-03T12:00:00+01:00")


def test_an_overdue_report_is_seen_at_its_instant() -> None:
    due = AWARE + dt.timedelta(hours=24)
    assert clocks(incident(), due)[0].state == "running"
    later = clocks(incident(), due + dt.timedelta(seconds=1))[0]
    assert later.state == "overdue"
    assert later.left_h is not None
    assert later.left_h < 0.0
    sent = incident(early_warning=due + dt.timedelta(hours=1))
    assert clocks(sent, due + dt.timedelta(minutes=30))[0].state == "overdue"  # not yet sent
    assert clocks(sent, due + dt.timedelta(hours=2))[0].state == "late"


def test_the_final_report_counts_from_the_notification() -> None:
    told = incident(
        early_warning=AWARE + dt.timedelta(hours=2), notification=AWARE + dt.timedelta(hours=3)
    )
    rows = clocks(told, AWARE + dt.timedelta(days=2))
    assert [r.state for r in rows] == ["sent", "sent", "running"]
    # a month after 31 January is the last of February
    assert rows[2].due == dt.datetime.fromisoformat("2026-02-28T15:00:00+01:00")


def test_an_insignificant_incident_has_no_clocks() -> None:
    assert clocks(incident(significant=False), AWARE) == ()


def test_reports_out_of_order_and_instants_without_offset_are_refused(build: Build) -> None:
    row = {"id": "i", "title": WORDS, "significant": True, "authority": "CSIRT"}
    wrong = row | {"aware": "2026-01-02T00:00:00+01:00", "notification": "2026-01-01T00:00:00Z"}
    with pytest.raises(BadInput, match="must follow each other"):
        load_incidents(build(files=register("incidents", incidents=[wrong])))
    with pytest.raises(BadInput, match="an instant with its offset"):
        load_incidents(
            build(files=register("incidents", incidents=[row | {"aware": "2026-01-02T00:00:00"}]))
        )


def test_an_overdue_report_is_a_finding(bundled: Subject) -> None:
    told = assess_registers(bundled).of("incidents.monitoring-intrusion.final_report")
    assert told.grade is Grade.UNMET
    assert "overdue by" in told.why["en"]
    before = replace(bundled, today=dt.date(2026, 11, 7))
    assert assess_registers(before).of(told.criterion).grade is Grade.MET


def test_lapsed_threats_are_flagged(bundled: Subject) -> None:
    found = load_threats(bundled)
    assert found is not None
    old = [one.id for one in found.threats if lapsed(one, bundled.today)]
    assert old == ["ransomware"]
    told = assess_registers(bundled).of("threats.ransomware")
    assert told.grade is Grade.UNMET
    assert "expired" in told.why["en"]
    assert "ENISA" in told.why["en"]


def access(**more: Any) -> dict[str, Any]:
    return {
        "case": "AR-1",
        "received": "2026-01-01T10:00:00+01:00",
        "authority": "A court",
        "country": "US",
        "law": "CLOUD Act",
        "tenant": "hospitals",
        "data": "personal",
        "basis": "none",
        "tenant_notice": "told",
        "told": "2026-01-01T12:00:00+01:00",
        "decision": "refused",
        "decided": "2026-01-02T12:00:00+01:00",
        **more,
    }


def test_a_request_has_case_ground_and_notice(build: Build) -> None:
    subject = build(files=register("access_requests", requests=[access()]))
    found = load_requests(subject)
    assert found is not None
    assert conflict(found.requests[0]) == "conflict"
    told = assess_registers(subject).of("access_requests.AR-1")
    assert told.grade is Grade.MET
    for part in ("Case AR-1", "ground none", "the tenant was told", "conflict of laws"):
        assert part in told.why["en"]


@pytest.mark.parametrize(
    ("more", "meaning"),
    [
        ({"decision": "complied"}, "breach"),
        ({"decision": "complied", "basis": "treaty"}, ""),
        ({"country": "FR", "basis": "none", "decision": "complied"}, ""),
    ],
)
def test_what_a_request_means(build: Build, more: dict[str, Any], meaning: str) -> None:
    subject = build(files=register("access_requests", requests=[access(**more)]))
    found = load_requests(subject)
    assert found is not None
    assert conflict(found.requests[0]) == meaning
    grade = assess_registers(subject).of("access_requests.AR-1").grade
    assert (grade is Grade.UNMET) == (meaning == "breach")


def test_a_request_without_its_instants_is_refused(build: Build) -> None:
    wrong = access()
    del wrong["told"], wrong["decided"]
    with pytest.raises(BadInput) as caught:
        load_requests(build(files=register("access_requests", requests=[wrong])))
    assert len(caught.value.problems) == 2


# --- supplies


def line(**more: Any) -> dict[str, Any]:
    return {
        "id": "chips",
        "component": WORDS,
        "layer": "compute",
        "supplier": "A firm",
        "owner": "A holding",
        "owner_country": "NL",
        "origin": "DE",
        "value": "1 MEUR",
        "critical": True,
        "alternatives": [{"supplier": "B", "country": "FR", "switching_days": 90}],
        "source": SOURCE,
        **more,
    }


@pytest.mark.parametrize(
    ("more", "flag"),
    [
        ({}, ""),
        ({"alternatives": []}, "no_alternative"),
        ({"alternatives": [], "critical": False}, ""),
        ({"origin": "unknown"}, "unknown_origin"),
    ],
)
def test_order_lines_have_origin_owner_and_alternative(
    build: Build, more: dict[str, Any], flag: str
) -> None:
    found = load_procurement(build(files=register("procurement", lines=[line(**more)])))
    assert found is not None
    assert flagged(found.lines[0]) == flag


def offer(name: str, country: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "party": name,
        "country": country,
        "price": "10 MEUR",
        "quality": 80,
        "sustainability": 80,
        "eu_content": "90 %",
        "security_of_supply": 80,
        **more,
    }


def tender(*offers: dict[str, Any], **more: Any) -> dict[str, Any]:
    weights = {"price": "40 %", "quality": "30 %", "sustainability": "10 %",
               "security_of_supply": "20 %"}  # fmt: skip
    return {"id": "t", "title": WORDS, "published": "2026-01-01", "weights": weights,
            "offers": list(offers), **more}  # fmt: skip


def test_the_award_is_worked_out_from_its_inputs(build: Build) -> None:
    # by hand: the dear one has 32 + 24 + 8 + 16 points, the cheap one 40 + 15 + 8 + 4
    rows = (offer("a", "DE"),
            offer("b", "US", price="8 MEUR", quality=50, security_of_supply=20))  # fmt: skip
    found = load_tenders(build(files=register("tenders", tenders=[tender(*rows)])))
    assert found is not None
    first, second = award(found.tenders[0])
    assert (first.offer, first.rank, first.points) == ("a", 1, pytest.approx(80.0))
    assert (second.offer, second.rank, second.points) == ("b", 2, pytest.approx(67.0))
    assert sum(first.parts.values()) == pytest.approx(first.points)
    assert award(found.tenders[0]) == award(found.tenders[0])


def test_equal_points_go_to_the_dutch_then_the_european_party(build: Build) -> None:
    rows = (offer("us", "US"), offer("fr", "FR"), offer("nl", "NL"))
    found = load_tenders(build(files=register("tenders", tenders=[tender(*rows)])))
    assert found is not None
    assert [one.offer for one in award(found.tenders[0])] == ["nl", "fr", "us"]


def test_nobody_is_refused_for_where_it_comes_from_without_grounds(build: Build) -> None:
    rows = (offer("cn", "CN", eu_content="10 %", price="5 MEUR"), offer("nl", "NL"))
    plain = load_tenders(build(files=register("tenders", tenders=[tender(*rows)])))
    assert plain is not None
    assert [one.offer for one in award(plain.tenders[0])] == ["cn", "nl"]
    named = tender(*rows, grounds="Directive 2014/25/EU art. 85")
    found = load_tenders(build(files=register("tenders", tenders=[named])))
    assert found is not None
    first, last = award(found.tenders[0])
    assert first.offer == "nl"
    assert (last.rank, last.refused) == (0, "Directive 2014/25/EU art. 85")
    friends = tender(*rows, grounds="art. 85", agreements=["CN"])
    found = load_tenders(build(files=register("tenders", tenders=[friends])))
    assert found is not None
    assert award(found.tenders[0])[0].offer == "cn"


def test_weights_add_up_and_stay_within_what_the_buyer_allows(build: Build) -> None:
    weights = {"price": "10 %", "quality": "10 %", "sustainability": "10 %",
               "security_of_supply": "50 %"}  # fmt: skip
    with pytest.raises(BadInput) as caught:
        load_tenders(
            build(files=register("tenders", tenders=[tender(offer("a", "NL"), weights=weights)]))
        )
    told = "\n".join(map(str, caught.value.problems))
    assert "add up to 100 %" in told
    assert "beyond the 30%" in told


def test_a_bill_of_materials_is_kept_for_each_release(bundled: Subject) -> None:
    found = load_software(bundled)
    assert found is not None
    one = software_summary(found.releases[0])
    assert one.components == len(found.releases[0].components) > 10
    assert one.open_source_share == 1.0
    assert one.unknown_licences == ()
    assert sum(one.by_country.values()) == one.components


def test_the_bill_of_materials_names_what_this_software_needs(bundled: Subject) -> None:
    import tomllib
    from pathlib import Path

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    needed = {one.split(">")[0].lower() for one in tomllib.loads(text)["project"]["dependencies"]}
    found = load_software(bundled)
    assert found is not None
    assert {part.name.lower() for part in found.releases[-1].components} == needed


def test_a_passport_for_every_asset(bundled: Subject) -> None:
    rows = {row["asset"]: row for row in passports(bundled)}
    factory = bundled.factory
    names = {pool.name for pool in factory.fleet}
    names |= {asset.name for site in factory.sites.values() for asset in site.assets}
    assert set(rows) == names
    b200 = rows["b200"]
    assert b200["maker"] == {"name": "NVIDIA", "country": "US"}
    assert b200["amount"] == 60_000
    assert b200["embodied_kg_each"][0] > 0
    assert b200["next_life"]
    assert rows["fabric"]["repair"] is None  # what nobody knows stands there as null


def test_a_passport_of_nothing_is_refused(build: Build) -> None:
    row = {"asset": "mainframe", "source": SOURCE}
    with pytest.raises(BadInput, match="no pool or asset"):
        passports(build(files=register("passports", details=[row])))


# --- people and outcomes


def role(**more: Any) -> dict[str, Any]:
    return {
        "id": "ops", "title": WORDS, "fte": 10, "eu_based": 8, "trainees": 2, "critical": True,
        "source": SOURCE, **more,
    }  # fmt: skip


def test_talent_in_figures(build: Build) -> None:
    roles = [role(), role(id="desk", fte=10, eu_based=2, critical=False, trainees=0)]
    found = load_talent(build(files=register("talent", counted="2026-01-01", roles=roles)))
    assert found is not None
    figures = talent_figures(found)
    assert (figures.total_fte, figures.trainees) == (20.0, 2)
    assert figures.eu_share == 0.5
    assert figures.critical_eu_share == 0.8


def test_talent_feeds_the_economic_axis_once_it_is_checked(build: Build) -> None:
    from gigafactory.assess.axes import axes_alone

    rows = {"counted": "2026-01-01", "roles": [role()]}
    claimed = axes_alone(build(files=register("talent", **rows))).of("economy.talent")
    assert claimed.grade is Grade.UNVERIFIED
    assert claimed.points is None
    checked = register("talent", **rows, verified_by="An auditor")
    counted = axes_alone(build(files=checked)).of("economy.talent")
    assert counted.points == pytest.approx((0.8 - 0.5) / 0.5)


def test_more_people_in_the_union_than_there_are_is_refused(build: Build) -> None:
    with pytest.raises(BadInput, match="more than all 10"):
        load_talent(
            build(files=register("talent", counted="2026-01-01", roles=[role(eu_based=11)]))
        )


def outcome(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "mission": "energy_transition", "title": WORDS, "owner": "A tenant",
        "effect": "peak", "unit": "MW", "claimed": 12, "method": "before and after",
        "dated": "2026-01-01", **more,
    }  # fmt: skip


def test_a_benefit_is_counted_once_with_its_method(build: Build) -> None:
    rows = [
        outcome("a", verified=8, verified_by="An auditor", method="meters"),
        outcome("b", claimed=20, verified=6, verified_by="An auditor", method="a model"),
        outcome("c", claimed=30),
    ]
    found = load_outcomes(build(files=register("outcomes", outcomes=rows)))
    assert found is not None
    (one,) = benefits(found, TODAY, {})
    assert (one.claimed, one.verified, one.counted_as) == (30, 6, "outcome")
    assert one.method == "a model"
    assert one.outcomes == ("a", "b", "c")


def test_what_the_run_counts_is_not_counted_again(build: Build) -> None:
    rows = [outcome("heat", verified=5, verified_by="An auditor", counted_by="heat_mwh")]
    files = register("outcomes", outcomes=rows)
    alone = assess_registers(build(files=files)).of("outcomes.peak")
    assert "verified, counted once" in alone.why["en"]
    with_run = assess_registers(build(files=files, summary=SUMMARY)).of("outcomes.peak")
    assert "counted by the run, not again" in with_run.why["en"]


def test_claimed_outcomes_never_count(build: Build) -> None:
    from gigafactory.assess.axes import axes_alone

    claimed = axes_alone(build(files=register("outcomes", outcomes=[outcome("a", claimed=999)])))
    one = claimed.of("society.energy_mission")
    assert (one.value, one.points, one.grade) == (0.0, None, Grade.UNVERIFIED)
    assert "0 outcomes verified of 1 claimed" in one.why["en"]
    row = outcome("a", verified=3, verified_by="An auditor")
    counted = axes_alone(build(files=register("outcomes", outcomes=[row])))
    assert counted.of("society.energy_mission").points == pytest.approx(1 / 3)


def test_nobody_verifies_their_own_outcome(build: Build) -> None:
    row = outcome("a", verified=3, verified_by="A tenant")
    with pytest.raises(BadInput, match="somebody but the owner"):
        load_outcomes(build(files=register("outcomes", outcomes=[row])))


# --- all of them


def test_a_register_that_is_not_there_is_missing_and_not_empty(build: Build) -> None:
    found = assess_registers(build())
    for name in ("subsidies", "threats", "objections", "consultations", "incidents",
                 "access_requests", "procurement", "sbom", "talent", "outcomes"):  # fmt: skip
        one = found.of(name)
        assert one.grade is Grade.UNVERIFIED
        assert "missing, not empty" in one.why["en"]
    assert found.scores["broken"] == 0.0


def test_the_bundled_registers_are_whole_and_claim_nothing(bundled: Subject) -> None:
    found = assess_registers(bundled)
    for one in found.findings:
        assert one.why["nl"]
        assert "{" not in one.why["nl"] + one.why["en"]
        assert not one.why["nl"].startswith("Dit register is er niet"), one.criterion
    files = [one for one in found.findings if one.group == "files"]
    assert all(one.grade is Grade.UNVERIFIED for one in files)


def test_examples_count_neither_way(bundled: Subject) -> None:
    """A made-up stakeholder who was not heard does not close a gate of the axes."""
    from gigafactory.assess.axes import axes_alone

    one = axes_alone(bundled).of("society.accountability")
    assert one.value == 1.0
    assert one.grade is Grade.UNVERIFIED
