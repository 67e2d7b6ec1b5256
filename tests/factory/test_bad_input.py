"""Every kind of bad input, each told at its line and in words that say what would be right."""

from __future__ import annotations

import pytest

from gigafactory.engine.errors import BadInput
from gigafactory.factory import load_factory

#: what is replaced by what, the field the problem names, and words the reason must hold
CASES = {
    "bare number for a power": ('firm: "1.4 MW"', "firm: 1.4", "connection.firm", '"1.4 MW"'),
    "bare number for a share": ('opex: "3 %"', "opex: 0.03", "finance.opex", '"3 %"'),
    "wrong unit": ('capacity: "4 MVA"', 'capacity: "4 MW"', "connection.capacity", "MVA"),
    "no number": ('storage: "1 PB"', 'storage: "many PB"', "sites.home.storage", "not a number"),
    "a unit for a bare number": (
        "accelerators: 1024",
        'accelerators: "1024 x"',
        "fleet.h100.accelerators",
        "without a unit",
    ),
    "NaN": ("chiller_cop: 8", "chiller_cop: .nan", "cooling.chiller_cop", "not nan"),
    "infinity": ("eur_per_usd: 0.92", "eur_per_usd: .inf", "finance.eur_per_usd", "not inf"),
    "NaN with a unit": ('firm: "1.4 MW"', 'firm: "nan MW"', "connection.firm", "not a number"),
    "overflow": ('firm: "1.4 MW"', 'firm: "1e999 MW"', "connection.firm", "finite"),
    "negative": ('storage: "1 PB"', 'storage: "-1 PB"', "sites.home.storage", "at least 0 PB"),
    "above 100 %": ('opex: "3 %"', 'opex: "103 %"', "finance.opex", "at most 100 %"),
    "a fraction of an accelerator": (
        "accelerators: 1024",
        "accelerators: 1024.5",
        "fleet.h100.accelerators",
        "whole number",
    ),
    "true for a number": ("staff: 8", "staff: true", "finance.staff", "a number"),
    "text for a flag": (
        'firm: "1.4 MW"',
        'firm: "1.4 MW"\n      n_minus_1: yes',
        "connection.n_minus_1",
        "true or false",
    ),
    "a key nobody knows": ("staff: 8", "staff: 8\n  zzz: 1", "finance.zzz", "unknown key"),
    "misspelt key": (
        "  opex:",
        "  opx:",
        "finance.opx",
        "did you mean opex?",
    ),
    "unknown choice": ("technology: dry", "technology: dri", "cooling.technology", "mean dry?"),
    "unknown class": ("job_class: research", "job_class: reserch", "work.1.job_class", "research"),
    "unknown class as a key": (
        "speed_min:                      #",
        "speed_min:\n    training: \"50 %\"  #",
        "policy.speed_min.training",
        "frontier_training",
    ),
    "empty value": ("chiller_cop: 8", "chiller_cop:", "cooling.chiller_cop", "is empty"),
    "no block": ("    network:\n      watt_per_accelerator: \"32 W\"", "    network: 32",
                 "sites.home.network", "block of settings"),
    "no list": ("  batteries: []  ", "  batteries: {}  ", "energy.batteries", "must be a list"),
    "a country in words": ("country: NL", "country: Holland", "place.country", "such as NL"),
    "a date that is none": (
        "# energised: 2025-06-01 ",
        "energised: 2025-02-30 #",
        "connection.energised",
        "2025-01-31",
    ),
    "a year for a date": ("# energised: 2025-06-01 ", "energised: 2025 #",
                          "connection.energised", "2025-01-31"),
    "unknown site": ("site: home", "site: hom", "fleet.h100.site", "did you mean home?"),
    "unknown hall": ("hall: room", "hall: roem", "fleet.h100.hall", "did you mean room?"),
    "unknown chip": ("chip: H100", "chip: H101", "fleet.h100.chip", "did you mean H100?"),
    "air for a hot rack": ("cooling: liquid", "cooling: air", "halls.room.rack_power_max",
                           "at most 40 kW per rack"),
    "broken node": ("rack_accelerators: 64", "rack_accelerators: 60",
                    "fleet.h100.rack_accelerators", "multiple of 8"),
    "too much for the hall": ('it_power_max: "1 MW"', 'it_power_max: "0.9 MW"',
                              "halls.room.it_power_max", "0.96 MW"),
    "service above the fleet": ('256, replica_accelerators: 8, mean: "50 %"',
                                '1000, replica_accelerators: 8, mean: "9 %"',
                                "services.answers.accelerators_peak", "1024"),
    "replica above the peak": ("replica_accelerators: 8", "replica_accelerators: 264",
                               "services.answers.replica_accelerators", "peak of 256"),
    "gang above the fleet": ("accelerators_max: 512", "accelerators_max: 2048",
                             "work.0.accelerators_max", "larger than the fleet"),
    "more than all hours": ('share: "25 %"', 'share: "60 %"', "tenants", "117.5%"),
    "real time as jobs": ("job_class: inference_batch", "job_class: inference_realtime",
                          "work.0.job_class", "under services"),
    "eleven months": ('{job_class: inference_batch, share: "10 %"}',
                      '{job_class: inference_batch, share: "10 %", monthly: [1, 2]}',
                      "work.0.monthly", "twelve weights"),
    "more than the circuits carry": ('circuit_capacity: "4 MVA"', 'circuit_capacity: "1 MVA"',
                                     "connection.firm", "when one is lost"),
    "more than the contract": ('firm: "1.4 MW"', 'firm: "4 MW"', "connection.firm", "4 MVA"),
    "no such time zone": ("timezone: Europe/Amsterdam", "timezone: Europe/Rotterdam",
                          "sites.home.timezone", "Europe/Amsterdam"),
    "a missing class": ('inference_batch: 2, inference_realtime: 7', "inference_realtime: 7",
                        "policy.priority", "missing: inference_batch"),
    "a victim left out": ("victim_order: [research, ", "victim_order: [",
                          "policy.victim_order", "every class once"),
    "a range that falls": ('wacc: {low: "6 %"', 'wacc: {low: "10 %"', "finance.wacc", "must rise"),
    "a source without a state": ('"My own plan, 2026, assumption"', '"My own plan, 2026"',
                                 "fleet.h100.sources.*", "source, year, one of"),
    "a source for nothing": ('"*": "My own policy', 'prioriti: "My own policy',
                             "policy.sources.prioriti", "did you mean priority?"),
    "nobody": ("- {name: answers,", "- {name: an swers,",
               "services.an swers.name", "letters, digits"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_each_mistake_is_told_once_at_its_field(case, broken, only):
    old, new, field, words = CASES[case]
    problem = only([p for p in broken.problems((old, new)) if not p.why.startswith("is missing")])
    assert problem.field.endswith(field)
    assert words in str(problem)


def test_the_line_is_that_of_the_mistake(broken, only):
    change = ('storage: "1 PB"', "storage: 1")
    problem = only(broken.problems(change))
    assert problem.where == f"{broken.path}:{broken.line('storage:', change)}"


def test_a_missing_key_is_told_with_its_meaning_at_its_block(broken, only):
    problem = only(broken.problems(('    auxiliary: "50 kW"\n', "")))
    assert problem.field == "sites.home.auxiliary"
    assert "is missing" in problem.why
    assert "offices" in problem.why
    assert problem.where == f"{broken.path}:{broken.line('home:')}"


def test_a_key_given_twice_names_both_lines(broken, only):
    change = ('storage: "1 PB"', 'storage: "1 PB"\n    storage: "2 PB"')
    problem = only(broken.problems(change))
    first = broken.line("storage:", change)
    assert problem.where == f"{broken.path}:{first + 1}"
    assert f"first at {broken.path}:{first}" in problem.why


def test_names_are_unique(broken):
    pool = (
        "  - {name: h100, site: home, hall: room, chip: H100, accelerators: 8, "
        "rack_accelerators: 8}\n"
    )
    service = (
        "services:\n      - {name: answers, accelerators_peak: 8, "
        'replica_accelerators: 8, latency: "1 s"}\n'
    )
    found = broken.problems(
        ("\nenergy:\n", f"\n{pool}\nenergy:\n"),
        ("name: shop", "name: lab"),
        ("sensitivity: internal, quality_score: 0.8}\n",
         f"sensitivity: internal, quality_score: 0.8}}\n    {service}"),
        ('it_power_max: "1 MW"', 'it_power_max: "2 MW"'),
    )  # fmt: skip
    assert [p.field for p in found] == [
        "fleet.h100.name", "tenants.lab.name", "tenants.lab.services.answers.name",
    ]  # fmt: skip


def test_power_contracts_neither_overlap_nor_end_before_they_start(broken):
    def ppa(name, start, end, commissioned="2020-01-01"):
        return (
            f'    - {{name: {name}, site: home, technology: solar, capacity: "1 MW", '
            f'price: "50 EUR/MWh", from: {start}, until: {end}, commissioned: {commissioned}, '
            'curtail: "50 EUR/MWh"}\n'
        )

    contracts = (
        ppa("sun", "2025-01-01", "2026-01-01")
        + ppa("sun", "2025-12-31", "2027-01-01")
        + ppa("later", "2026-01-01", "2025-01-01")
        + ppa("unbuilt", "2025-01-01", "2026-01-01", "2026-06-01")
        + ppa("late", "2025-01-01", "2026-01-01", "2025-06-01")
        + ppa("sun", "2027-01-01", "2028-01-01")
    )
    found = broken.problems(("  ppas: []\n", f"  ppas:\n{contracts}"))
    assert [(p.field.split(".")[-1], p.why.split(" ")[0]) for p in found] == [
        ("from", "overlaps"),
        ("until", "must"),
        ("commissioned", "the"),
        ("name", "is"),
    ]


def test_phases_ascend_and_start_with_power(broken):
    phases = (
        "energised: 2025-02-01\n      phases:\n"
        '        - {from: 2025-01-01, firm: "1 MW"}\n'
        '        - {from: 2025-05-01, firm: "1 MW"}\n'
        '        - {from: 2025-05-01, firm: "99 MW"}\n'
    )
    found = broken.problems(("# energised: 2025-06-01 ", f"{phases}      #"))
    assert [(p.field, p.why[:16]) for p in found] == [
        ("sites.home.connection.phases.0.from", "starts before th"),
        ("sites.home.connection.phases.2.firm", "is more than 4 M"),
        ("sites.home.connection.phases.2.from", "must start after"),
    ]


def test_deliveries_add_up_and_ascend(broken):
    deliveries = (
        "rack_accelerators: 64\n    deliveries:\n"
        "      - {date: 2025-07-01, accelerators: 512}\n"
        "      - {date: 2025-01-01, accelerators: 504}\n"
    )
    found = broken.problems(("rack_accelerators: 64\n", deliveries))
    assert [p.field for p in found] == [
        "fleet.h100.deliveries", "fleet.h100.deliveries.1.date",
    ]  # fmt: skip


def test_a_120_kw_rack_does_not_go_into_an_air_cooled_hall(broken, only):
    problem = only(
        broken.problems(
            ("cooling: liquid", "cooling: air"),
            ('rack_power_max: "90 kW"', 'rack_power_max: "40 kW"'),
            ("rack_accelerators: 64", "rack_accelerators: 96"),
        )
    )
    assert problem.field == "fleet.h100.rack_accelerators"
    assert "rated 122.4 kW" in problem.why
    assert "at most 40 kW per rack" in problem.why
    assert "at most 24 in a rack" in problem.why


def test_all_problems_come_out_at_once(broken):
    broken_lines = [CASES[case] for case in (
        "bare number for a power", "wrong unit", "negative", "NaN", "misspelt key", "unknown site",
        "unknown chip", "unknown class", "a country in words", "a victim left out",
        "a range that falls", "service above the fleet",
    )]  # fmt: skip
    found = broken.problems(*((old, new) for old, new, _, _ in broken_lines))
    for _, _, field, words in broken_lines:
        assert any(p.field.endswith(field) and words in str(p) for p in found), field
    assert len(found) == len(broken_lines) + 1  # the misspelt key is also missing
    lines = [int(p.where.rpartition(":")[2]) for p in found]
    assert lines == sorted(lines)


def test_a_whole_missing_block_hides_nothing_else(broken):
    text = broken.text(('storage: "1 PB"', "storage: 1"))
    start, end = text.index("\nfleet:"), text.index("\nenergy:")
    broken.path.write_text(text[:start] + text[end:], encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_factory(broken.path)
    assert [p.field for p in caught.value.problems] == ["fleet", "sites.home.storage"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "must hold settings"),
        ("name: [\n", "is not valid YAML"),
        ("name: &x a\nsites: *x\n", "anchors"),
        ("name: !!python/object:os.system x\n", "tag"),
        ("? [a]\n: b\n", "a key must be plain text"),
        ("[" * 3000, "nested too deeply"),
        ("name: \x01\n", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_settings_at_all(tmp_path, text, words):
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_factory(path)
    assert any(words in p.why for p in caught.value.problems)
    assert all(str(path) in p.where for p in caught.value.problems)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(BadInput, match="not UTF-8"):
        load_factory(path)


def test_a_file_that_is_not_there_and_a_name_nobody_has(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        load_factory(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="did you mean rotterdam"):
        load_factory("roterdam")


def test_norway_is_a_country(broken):
    assert broken.problems(("country: NL", "country: NO")) == []
