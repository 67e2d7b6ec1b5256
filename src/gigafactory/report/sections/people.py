"""Chapters on who used the factory: tenants and missions.

Public figures about fewer than three parties would tell about one of them, so missions with fewer
than three tenants are shown together, and joined by the smallest shown one where that is still
too few (the rule of at least three, as in Delegated Regulation (EU) 2024/1364 on data-centre
reporting).
"""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from gigafactory.report.sections.tell import Section, Table, Teller

#: The least number of tenants behind a public figure.
LEAST_TENANTS = 3
#: Tenants named one by one; the others are added up.
_NAMED = 25
_COLUMNS = (
    "jobs",
    "allocated_gpu_s",
    "cost_micro_eur",
    "energy_wh",
    "co2_location_mg",
    "co2_market_mg",
    "water_ml",
)


def tenants_section(tell: Teller, public: bool) -> Section:
    """Who used what: one row per tenant (unless public), one per mission.

    Args:
        tell: the run and the language.
        public: leave out the table that names tenants.

    Returns:
        The chapter.
    """
    section, voice = tell.section("tenants"), tell.voice
    lost = [
        name for name in tell.frame.receipts.missing if name in (*_COLUMNS, "tenant", "mission")
    ]
    if lost:
        section.notes.append(voice.markup("note.missing", columns=", ".join(lost)))
    if public:
        section.notes.append(voice.markup("tenants.public"))
    else:
        section.lead.append(voice.markup("tenants.lead"))
        section.tables.append(_tenant_table(tell))
    section.tables.append(_mission_table(tell))
    section.notes.append(voice.markup("missions.rule", least=LEAST_TENANTS))
    return section


def _held(cell: Mapping[str, float]) -> float:
    return cell.get("allocated_gpu_s", 0.0)


def _added(cells: list[Mapping[str, float]]) -> dict[str, float]:
    names = sorted({name for cell in cells for name in cell})
    return {name: sum(cell.get(name, 0.0) for cell in cells) for name in names}


def _numbers(tell: Teller, cell: Mapping[str, float], whole: float, by: str) -> list[Markup]:
    """The columns of a row, with the share of the accelerator-hours after the hours themselves."""
    out: list[Markup] = []
    for name in _COLUMNS:
        source = f"jobs:{'job' if name == 'jobs' else name} jobs:{by}"
        out.append(tell.found(cell.get(name), source))
        if name == "allocated_gpu_s":
            out.append(tell.share(_held(cell) / whole if whole > 0 else None, source))
    return out


def _tenant_table(tell: Teller) -> Table:
    voice = tell.voice
    by_tenant = {key[0]: cell for key, cell in tell.frame.receipts.by("tenant").items()}
    ordered = sorted(by_tenant, key=lambda name: (-_held(by_tenant[name]), name))
    whole = sum(_held(cell) for cell in by_tenant.values())
    rows: list[list[Markup | str]] = [
        [name or voice.say("tenants.unnamed"), *_numbers(tell, by_tenant[name], whole, "tenant")]
        for name in ordered[:_NAMED]
    ]
    if len(ordered) > _NAMED:
        rest = _added([by_tenant[name] for name in ordered[_NAMED:]])
        label = voice.say("tenants.others", count=voice.number(len(ordered) - _NAMED))
        rows.append([label, *_numbers(tell, rest, whole, "tenant")])
    everything = _added(list(by_tenant.values()))
    rows.append([voice.say("table.total"), *_numbers(tell, everything, whole, "tenant")])
    return Table(voice.say("tenants.table"), _heads(tell, "tenant"), rows, total=True)


def _heads(tell: Teller, first: str) -> list[str]:
    names = ("jobs", "hours", "share", "cost", "energy", "co2_location", "co2_market", "water")
    return [tell.voice.say(f"tenants.{name}") for name in (first, *names)]


def mission_groups(
    tenants: Mapping[str, frozenset[str]], size: Mapping[str, float]
) -> list[list[str]]:
    """Group missions so that every group is served by at least three tenants.

    Args:
        tenants: by mission, its tenants.
        size: by mission, how much it used; decides which mission joins a group that is too small.

    Returns:
        Groups of mission names: single ones in name order, then the joint one if there is any. A
        joint group may stay below three tenants only when it holds every mission.
    """
    alone = [name for name in sorted(tenants) if len(tenants[name]) >= LEAST_TENANTS]
    joint = [name for name in sorted(tenants) if name not in alone]
    while joint and alone and _too_few(joint, tenants):
        smallest = min(alone, key=lambda name: (size[name], name))
        alone.remove(smallest)
        joint = sorted([*joint, smallest])
    return [[name] for name in alone] + ([joint] if joint else [])


def _too_few(group: list[str], tenants: Mapping[str, frozenset[str]]) -> bool:
    served = frozenset[str]().union(*(tenants[name] for name in group))
    return len(served) < LEAST_TENANTS


def _mission_table(tell: Teller) -> Table:
    voice = tell.voice
    rows_by = tell.frame.receipts.by("mission", "tenant")
    tenants: dict[str, frozenset[str]] = {}
    cells: dict[str, list[Mapping[str, float]]] = {}
    for (mission, tenant), cell in rows_by.items():
        tenants[mission] = tenants.get(mission, frozenset()) | {tenant}
        cells.setdefault(mission, []).append(cell)
    sums = {mission: _added(held) for mission, held in cells.items()}
    whole = sum(_held(cell) for cell in sums.values())
    rows: list[list[Markup | str]] = []
    for group in mission_groups(tenants, {name: _held(cell) for name, cell in sums.items()}):
        label = ", ".join(voice.named("mission", name or "none") for name in group)
        if _too_few(group, tenants):
            rows.append([label, *[voice.say("missions.withheld")] * (len(_COLUMNS) + 1)])
        else:
            cell = _added([sums[name] for name in group])
            rows.append([label, *_numbers(tell, cell, whole, "mission")])
    return Table(voice.say("missions.table"), _heads(tell, "mission"), rows)
