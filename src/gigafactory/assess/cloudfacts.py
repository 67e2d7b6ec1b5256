"""What a factory and its runs say about sovereignty by themselves: proposals, bounds and caps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gigafactory.assess.cited import cited, framework_data, words
from gigafactory.assess.cloudladder import NAME
from gigafactory.assess.registers.people import load_talent, talent_figures
from gigafactory.assess.results import Evidence, Proof
from gigafactory.assess.subject import Subject
from gigafactory.factory.rights import pool_facts
from gigafactory.plant import load_catalogue
from gigafactory.policy import Exposure, PoolFacts, operator_exposures, thresholds

#: Days from which a run counts as a year.
YEAR_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a criterion without anybody answering it.

    Attributes:
        criterion: its key.
        why: by language.
        evidence: what it rests on.
        answer: an answer that follows; it counts as far as the evidence does. None for none.
        most: the highest answer that can be given; None for no bound.
    """

    criterion: str
    why: Mapping[str, str]
    evidence: Evidence
    answer: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """A level above which the result is not read, whatever the answers say.

    Attributes:
        kind: non_eu_parent or non_eu_supplier.
        seal: the level.
        why: by language, with the path.
        source: why so.
        exposure: who, by which path, under whose law.
    """

    kind: str
    seal: int
    why: Mapping[str, str]
    source: str
    exposure: Exposure = field(default_factory=lambda: Exposure("", ""))


def known_of(subject: Subject) -> tuple[Known, ...]:
    """Everything a factory and its run say about criteria, in no order that matters."""
    found = (*_energy(subject), *_chips(subject), *_chain(subject), *_places(subject))
    return (*found, *_people(subject))


def caps_of(
    pools: Iterable[PoolFacts], levels: Mapping[str, int | None] | None = None
) -> tuple[Cap, ...]:
    """Caps by owners and suppliers outside the EEA: a European region of theirs is within reach.

    The operator's own seat, every owner at any level, and suppliers who can reach data or stop the
    service; one cap a path. Holds for any provider described as a pool.

    Args:
        pools: what is looked at.
        levels: SEAL by kind, where a buyer sets another than the framework file.
    """
    raw = framework_data(NAME)["caps"]
    found: dict[tuple[str, str], Cap] = {}
    for pool in pools:
        parts = {
            "non_eu_parent": operator_exposures(replace(pool, suppliers=())),
            "non_eu_supplier": _suppliers(pool),
        }
        for kind, exposures in parts.items():
            told = (levels or {}).get(kind)
            seal = int(raw[kind]["seal"]) if told is None else told
            for one in exposures:
                why = words(raw[kind], path=one.path, country=one.country, seal=seal)
                found[kind, one.path] = Cap(kind, seal, why, cited(raw[kind]["source"]), one)
    return tuple(found.values())


def _suppliers(pool: PoolFacts) -> tuple[Exposure, ...]:
    """Ways through suppliers alone: what is left when the operator and its owners are taken out."""
    owners = set(operator_exposures(replace(pool, suppliers=())))
    return tuple(one for one in operator_exposures(pool) if one not in owners)


def _why(key: str, **fields: object) -> dict[str, str]:
    return words(framework_data(NAME)["facts"][key], **fields)


def _energy(subject: Subject) -> list[Known]:
    """8.1 from the run's PUE, a ratio of sums; answer 5 asks verification in the EU as well."""
    pue = subject.figure("pue")
    if pue is None:
        return []
    days = int(subject.summary["days_done"])
    # below 1.5 asks a roadmap for answer 3, below 1.2 a verification for answer 5: claims of people
    answer, most = 1, 1
    for limit, proven, highest in ((3.0, 2, 2), (1.5, 2, 3), (1.3, 4, 4), (1.2, 4, 5)):
        if pue < limit:
            answer, most = proven, highest
    whole = days >= YEAR_DAYS
    proof = Proof.LEDGER if whole else Proof.CLAIMED
    why = _why("pue" if whole else "pue_short", pue=pue, days=days)
    return [Known("8.1", why, Evidence(proof, "summary:pue"), answer, most if whole else None)]


def _chips(subject: Subject) -> list[Known]:
    """3.5, 5.2 and 6.5 from the countries of the accelerators' vendors."""
    catalogue, eea = load_catalogue(), thresholds().eea
    names = sorted({pool.chip for pool in subject.factory.fleet})
    foreign = [name for name in names if catalogue[name].origin not in eea]
    if not foreign:
        return []
    fields = {
        "chips": ", ".join(foreign),
        "countries": ", ".join(sorted({catalogue[name].origin for name in foreign})),
    }
    why, evidence = _why("chips_foreign", **fields), Evidence(Proof.FACTORY, "factory:fleet")
    found = [Known(key, why, evidence, None, most) for key, most in (("3.5", 4), ("5.2", 3))]
    homes = {subject.factory.sites[pool.site].place.country for pool in subject.factory.fleet}
    hosted = homes <= eea
    why = _why("chips_hosted", **fields) if hosted else why
    return [*found, Known("6.5", why, evidence, 2 if hosted else 1, 3 if hosted else 1)]


def _chain(subject: Subject) -> list[Known]:
    """1.1, 2.1, 2.2 and 2.3 from whose law binds the operator and from its owners."""
    pools = pool_facts(subject.factory, load_catalogue())
    pool = pools[0]  # the chain is the operator's, the same for every pool
    if not pool.jurisdictions:
        return []
    eea = thresholds().eea
    told = Evidence(Proof.FACTORY, "factory:governance")
    outside = [country for country in pool.jurisdictions if country not in eea]
    inside = [country for country in pool.jurisdictions if country in eea]
    found = []
    if outside:
        why = _why("law_outside", countries=", ".join(outside))
        found.append(Known("2.1", why, told, None, 2 if inside else 1))
    else:
        why = _why("law_eea", countries=", ".join(inside))
        found.append(Known("2.1", why, replace(told, proof=Proof.CLAIMED), 3))
    owners = operator_exposures(replace(pool, suppliers=()))
    every = operator_exposures(pool)
    if owners:
        why = _why("chain_reached", path=owners[0].path, country=owners[0].country)
        found.append(Known("1.1", why, told, None, 2 if inside else 1))
    else:
        why = _why("chain_free", operator=pool.operator)
        found.append(Known("1.1", why, replace(told, proof=Proof.CLAIMED), 4))
    if every:
        why = _why("chain_reached", path=every[0].path, country=every[0].country)
        found += [Known(key, why, told, None, 4) for key in ("2.2", "2.3")]
    return found


def _places(subject: Subject) -> list[Known]:
    """3.4 from where the sites lie."""
    eea = thresholds().eea
    away = [name for name, site in subject.factory.sites.items() if site.place.country not in eea]
    if not away:
        return []
    why = _why("sites_outside", sites=", ".join(away))
    return [Known("3.4", why, Evidence(Proof.FACTORY, "factory:sites"), None, 3)]


def _people(subject: Subject) -> list[Known]:
    """4.3 from the talent register: how many of those in critical roles are based in the Union.

    An example counts neither way. Answer 5 asks clearance as well, which the register does not say.
    """
    register = load_talent(subject)
    share = talent_figures(register).critical_eu_share if register is not None else None
    if register is None or register.example or share is None:
        return []
    steps = ((1.0, 4), (0.5, 3), (1e-9, 2))
    answer = next((number for least, number in steps if share >= least), 1)
    verified = register.verified_by is not None
    proof = Proof.VERIFIED if verified else Proof.CLAIMED
    told = Evidence(proof, "register:talent", dated=register.counted)
    why = _why("people", share=100.0 * share)
    most = None if not verified else 5 if answer == 4 else answer
    return [Known("4.3", why, told, answer, most)]


__all__ = ["YEAR_DAYS", "Cap", "Known", "caps_of", "known_of"]
