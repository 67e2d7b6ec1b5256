"""Access-time records and the yearly report to EuroHPC made of them.

A record says what one tenant asked, was granted and used by way of one access mode over a period.
Records are exchanged with other sites of the network as CSV or JSON. Public tables show sums over
enough tenants only.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from gigafactory.assess.cited import cited, framed, framework_data, number, words
from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.policy import AccessRow, access_modes, public_rows, thresholds

NAME: Final = "access"
PERCENT: Final = 100.0
#: Ways to cut the report into rows.
CUTS: Final = ("mode", "group", "member_state", "terms", "union")
_HOURS: Final = ("requested_gpu_h", "granted_gpu_h", "used_gpu_h")


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """What one tenant asked and got by way of one access mode.

    Attributes:
        site: factory that gave the access.
        tenant: who; a pseudonym does.
        group: group of users, as in the factory file.
        member_state: country of the tenant, ISO code.
        mode: access mode.
        union: whether it is access time of the Union.
        free: whether the mode is free of charge for the group.
        period_start, period_end: first and last day.
        requested_gpu_h: asked.
        granted_gpu_h: admitted.
        used_gpu_h: run.
        billed_eur: what was billed for it.
    """

    site: str
    tenant: str
    group: str
    member_state: str
    mode: str
    union: bool
    free: bool
    period_start: dt.date
    period_end: dt.date
    requested_gpu_h: float
    granted_gpu_h: float
    used_gpu_h: float
    billed_eur: float


@dataclass(frozen=True, slots=True)
class Reserved:
    """Resources reserved for Union access, and how far they were kept.

    Attributes:
        nominal_gpu_h: promised.
        held_gpu_h: held by those for whom they are.
        short_gpu_h: asked within them and not had.
    """

    nominal_gpu_h: float
    held_gpu_h: float
    short_gpu_h: float

    @property
    def kept_share(self) -> float:
        """Of what was asked within the reservation, the share that was available."""
        own = min(self.held_gpu_h, self.nominal_gpu_h)
        asked = own + self.short_gpu_h
        return own / asked if asked > 0.0 else 1.0


@dataclass(frozen=True, slots=True)
class AccessReport:
    """The yearly report.

    Attributes:
        records: what it is made of.
        reserved: resources reserved for Union access; None where there are none.
        due: last day on which it may be sent; None without records.
    """

    records: tuple[AccessRecord, ...]
    reserved: Reserved | None
    due: dt.date | None

    def table(self, cut: str, *, public: bool = False) -> tuple[AccessRow, ...]:
        """Sums by one of `CUTS`; for the public only rows of enough tenants."""
        return public_sums(self.records, cut) if public else sums(self.records, cut)

    @property
    def billed_though_free_eur(self) -> float:
        """What was billed under modes that are free for the tenant's group."""
        return sum(one.billed_eur for one in self.records if one.free)


def due_after(period_end: dt.date) -> dt.date:
    """The day on which the report on a calendar year is due: 31 January of the next one."""
    rule = framework_data(NAME)["due"]
    return dt.date(period_end.year + 1, rule["month"], rule["day"])


def access_report(subject: Subject) -> AccessReport:
    """The report of a run, from its summary; empty where the run holds no records."""
    records = records_of(subject)
    end = max((one.period_end for one in records), default=None)
    return AccessReport(records, _reserved(subject), None if end is None else due_after(end))


def access_report_with(subject: Subject, paths: Iterable[Path]) -> AccessReport:
    """The report of a run together with the records of other sites.

    Raises:
        BadInput: with every problem of the files.
    """
    report, problems = access_report(subject), list[Problem]()
    records = list(report.records)
    for path in paths:
        try:
            records += read_records(path)
        except BadInput as bad:
            problems += bad.problems
    if problems:
        raise BadInput(problems)
    seen: set[tuple[str, str, str, dt.date]] = set()
    for one in records:
        key = (one.site, one.tenant, one.mode, one.period_start)
        if key in seen:
            why = f"{one.site} has a record of this tenant, mode and period already"
            raise BadInput([Problem("records", "tenant", one.tenant, why)])
        seen.add(key)
    end = max((one.period_end for one in records), default=None)
    due = None if end is None else due_after(end)
    return AccessReport(tuple(records), report.reserved, due)


def records_of(subject: Subject) -> tuple[AccessRecord, ...]:
    """Records of a run by tenant and access mode; none without a run that keeps them."""
    rows = subject.summary.get("access_time") or []
    if not rows:
        return ()
    start = dt.date.fromisoformat(str(subject.summary["start"]))
    end = start + dt.timedelta(days=int(subject.summary["days_done"]) - 1)
    factory, modes = subject.factory, access_modes()
    tenants = {tenant.name: tenant for tenant in factory.tenants}
    kinds = {group.name: group.kind for group in factory.policy.quota_groups}
    found = []
    for row in rows:
        tenant = tenants.get(row["tenant"])
        group = tenant.group if tenant else "unknown"
        quota = tenant.quota.group if tenant and tenant.quota else None
        mode = modes.get(row["access"])
        found.append(
            AccessRecord(
                site=factory.name,
                tenant=row["tenant"],
                group=group,
                member_state=tenant.country if tenant else "unknown",
                mode=row["access"],
                union=kinds.get(quota or "") == "union_access",
                free=mode is not None and group in mode.free_for,
                period_start=start,
                period_end=end,
                requested_gpu_h=float(row["requested_gpu_h"]),
                granted_gpu_h=float(row["granted_gpu_h"]),
                used_gpu_h=float(row["used_gpu_h"]),
                billed_eur=float(row["billed_eur"]),
            )
        )
    return tuple(found)


def _reserved(subject: Subject) -> Reserved | None:
    names = {g.name for g in subject.factory.policy.quota_groups if g.kind == "union_access"}
    rows = [row for row in subject.summary.get("shares") or [] if row["node"] in names]
    if not rows:
        return None
    parts = ("nominal_gpu_h", "held_gpu_h", "short_gpu_h")
    return Reserved(*(sum(float(row[key]) for row in rows) for key in parts))


_KEYS: Final[Mapping[str, Callable[[AccessRecord], str]]] = {
    "mode": lambda one: one.mode,
    "group": lambda one: one.group,
    "member_state": lambda one: one.member_state,
    "terms": lambda one: "free" if one.free else "paid",
    "union": lambda one: "union_access" if one.union else "not_union",
}


def _groups(records: Iterable[AccessRecord], cut: str) -> dict[str, list[AccessRecord]]:
    groups: dict[str, list[AccessRecord]] = {}
    for one in records:
        groups.setdefault(_KEYS[cut](one), []).append(one)
    return groups


def _tenants(records: Iterable[AccessRecord]) -> int:
    return len({one.tenant for one in records})


def _sum(name: str, records: Sequence[AccessRecord]) -> AccessRow:
    """A sum of records; a tenant of several sites or modes counts once."""
    hours = {key: sum(getattr(one, key) for one in records) for key in _HOURS}
    return AccessRow(name=name, members=_tenants(records), waiting_gpu_h=0.0, **hours)


def sums(records: Iterable[AccessRecord], cut: str) -> tuple[AccessRow, ...]:
    """Sums of records by one of `CUTS`, in order of name."""
    return tuple(_sum(name, mine) for name, mine in sorted(_groups(records, cut).items()))


def public_sums(records: Iterable[AccessRecord], cut: str) -> tuple[AccessRow, ...]:
    """Sums that may be shown to everybody: each of enough different tenants.

    What has too few goes together under "other", with the smallest of the rest where it is still
    too few, so that nothing is found by taking what is shown from the total. Where all goes
    together the row is called "all"; where all together are too few there is none.
    """
    least = thresholds().members_min
    groups = _groups(records, cut)
    shown = {name: mine for name, mine in groups.items() if _tenants(mine) >= least}
    rest = [one for name, mine in groups.items() if name not in shown for one in mine]
    while rest and _tenants(rest) < least and shown:
        rest += shown.pop(min(shown, key=lambda name: (_tenants(shown[name]), name)))
    rows = [_sum(name, mine) for name, mine in sorted(shown.items())]
    if _tenants(rest) >= least:
        rows.append(_sum("other" if shown else "all", rest))
    return tuple(rows)


def access_lines(report: AccessReport, lang: str, *, public: bool = False) -> list[str]:
    """The report as lines for a terminal: a table per cut.

    Args:
        report: the report.
        lang: en or nl.
        public: only rows of enough tenants.
    """
    raw = framework_data(NAME)
    names = {**raw["words"], **{m.name: {"en": m.title_en, "nl": m.title_nl}
                                for m in access_modes().values()}}  # fmt: skip
    heads = raw["columns"]
    if not report.records:
        return [raw["texts"]["no_records"][lang]]
    lines = []
    for cut in CUTS:
        title = raw["cuts"][cut][lang]
        lines += ["", f"{title:<44}" + "".join(f"{h[lang]:>14}" for h in heads.values())]
        for row in report.table(cut, public=public):
            name = names.get(row.name, {}).get(lang, row.name)
            hours = (row.requested_gpu_h, row.granted_gpu_h, row.used_gpu_h)
            cells = [f"{row.members:>14}", *(f"{number(h, lang):>14}" for h in hours)]
            lines.append(f"{name[:43]:<44}" + "".join(cells))
    if report.reserved is not None:
        one = report.reserved
        fields = {"nominal": one.nominal_gpu_h, "share": one.kept_share * PERCENT}
        lines += ["", words(raw["texts"]["reserved"], **fields)[lang]]
    if report.due is not None:
        lines.append(words(raw["texts"]["report"], due=report.due)[lang])
    return lines[1:]


# --- adoption -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Adoption:
    """How widely a factory is used, as counts that show nobody.

    Attributes:
        users: tenants that used it.
        first_time: of these, who ran such work nowhere before; None where too few to tell.
        by_sector, by_country, by_group: tenants by name; too small ones together under "other".
    """

    users: int
    first_time: int | None
    by_sector: Mapping[str, int]
    by_country: Mapping[str, int]
    by_group: Mapping[str, int]


def adoption(subject: Subject) -> Adoption:
    """Distinct users of a run by sector, country and group, and first-time users."""
    used = {row["tenant"] for row in subject.summary.get("access_time") or []
            if row["used_gpu_h"] > 0.0}  # fmt: skip
    tenants = [tenant for tenant in subject.factory.tenants if tenant.name in used]
    least = thresholds().members_min
    first = sum(tenant.ran_before == ("nowhere",) for tenant in tenants)
    hidden = 0 < first < least or 0 < len(tenants) - first < least

    def counts(of: Iterable[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for name in of:
            found[name] = found.get(name, 0) + 1
        rows = [AccessRow(name, n, 0.0, 0.0, 0.0, 0.0) for name, n in sorted(found.items())]
        return {row.name: row.members for row in public_rows(rows)}

    return Adoption(
        users=len(tenants),
        first_time=None if hidden else first,
        by_sector=counts(tenant.field for tenant in tenants),
        by_country=counts(tenant.country for tenant in tenants),
        by_group=counts(tenant.group for tenant in tenants),
    )


# --- exchange of records --------------------------------------------------------------------------

_COLUMNS: Final = tuple(one.name for one in fields(AccessRecord))


def _plain(record: AccessRecord) -> dict[str, Any]:
    found = asdict(record)
    for key in ("period_start", "period_end"):
        found[key] = found[key].isoformat()
    return found


def records_csv(records: Sequence[AccessRecord]) -> str:
    """Records as CSV; numbers are written so that they read back as they were."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in records:
        row = _plain(one)
        writer.writerow({k: str(v).lower() if isinstance(v, bool) else v for k, v in row.items()})
    return out.getvalue()


def records_json(records: Sequence[AccessRecord]) -> str:
    """Records as JSON."""
    document = {"format": 1, "records": [_plain(one) for one in records]}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def records_text(records: Sequence[AccessRecord], suffix: str) -> str:
    """The text of a file of records; its ending says which form: ".json" or ".csv"."""
    return records_json(records) if suffix == ".json" else records_csv(records)


def read_records(path: Path) -> tuple[AccessRecord, ...]:
    """Read records of this or another site.

    Raises:
        BadInput: with every problem of the file.
    """
    try:
        text = path.read_text("utf-8")
        rows = _rows(text, path.suffix)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        why = f"cannot be read as {path.suffix.removeprefix('.') or 'csv'}: {error}"
        raise BadInput([Problem(str(path), "", "", why)]) from None
    problems: list[Problem] = []
    found = []
    for k, row in enumerate(rows):
        where = f"{path}: record {k + 1}"
        before = len(problems)
        values = {name: _value(name, row.get(name), where, problems) for name in _COLUMNS}
        problems += [
            Problem(where, str(name), "", f"no such column; they are {', '.join(_COLUMNS)}")
            for name in row
            if name not in _COLUMNS
        ]
        if len(problems) == before and values["period_end"] < values["period_start"]:
            why = "ends before it begins"
            problems.append(Problem(where, "period_end", str(values["period_end"]), why))
        if len(problems) == before:
            found.append(AccessRecord(**values))
    if problems:
        raise BadInput(problems)
    return tuple(found)


def _rows(text: str, suffix: str) -> list[dict[str, Any]]:
    if suffix != ".json":
        return list(csv.DictReader(io.StringIO(text)))
    document = json.loads(text)
    rows = document.get("records") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it should hold an object with a list called records")
    return rows


def _value(name: str, raw: Any, where: str, problems: list[Problem]) -> Any:
    """A value of a record by its column; what is wrong is added to the problems."""
    try:
        if name.startswith("period_"):
            return dt.date.fromisoformat(str(raw))
        if name in ("union", "free"):
            return {"true": True, "false": False}[str(raw).lower()]
        if name in (*_HOURS, "billed_eur"):
            if isinstance(raw, bool):
                raise ValueError
            number = float(raw)
            if not math.isfinite(number) or (number < 0.0 and name != "billed_eur"):
                raise ValueError
            return number
        if not isinstance(raw, str) or not raw.strip():
            raise ValueError
        return raw
    except (KeyError, TypeError, ValueError):
        kinds = {"union": "true or false", "free": "true or false"}
        kind = "a day such as 2025-12-31" if name.startswith("period_") else "a number of 0 or more"
        if name not in (*_HOURS, "billed_eur") and not name.startswith("period_"):
            kind = kinds.get(name, "a text")
        problems.append(Problem(where, name, "" if raw is None else str(raw), f"must be {kind}"))
        return None


# --- as an assessment -----------------------------------------------------------------------------


def assess_access(subject: Subject) -> Assessment:
    """The report as an assessment.

    Scores: `requested_gpu_h`, `granted_gpu_h`, `used_gpu_h`, `union_used_share`, `users`.
    """
    raw, report = framework_data(NAME), access_report(subject)
    findings = [_records(report, subject), _free(report), _kept(report), _report(report)]
    scores = {name: sum(getattr(one, name) for one in report.records) for name in _HOURS}
    used = scores["used_gpu_h"]
    union = sum(one.used_gpu_h for one in report.records if one.union)
    if used > 0.0:
        scores["union_used_share"] = union / used
    scores["users"] = float(adoption(subject).users)
    texts = [
        words(raw["texts"]["note_public"], least=thresholds().members_min),
        words(raw["texts"]["note_price"]),
    ]
    return framed(NAME, findings, texts, scores=scores if report.records else {})


def _made(key: str, grade: Grade, why: Mapping[str, str], **more: Any) -> Finding:
    raw = framework_data(NAME)
    proof = Proof.MISSING if grade is Grade.UNVERIFIED else Proof.LEDGER
    return Finding(
        criterion=key,
        group=NAME,
        title=words(raw["criteria"][key]),
        grade=grade,
        formula=raw["formulas"][key],
        source=more.pop("source", cited(raw["source"])),
        evidence=(Evidence(proof, "summary:access_time"),),
        why=why,
        **more,
    )


def _records(report: AccessReport, subject: Subject) -> Finding:
    texts = framework_data(NAME)["texts"]
    if not report.records:
        key = "no_records" if subject.summary else "no_run"
        return _made("records", Grade.UNVERIFIED, words(texts[key]))
    hours = {
        name.removesuffix("_gpu_h"): sum(getattr(one, name) for one in report.records)
        for name in _HOURS
    }
    tenants = len({one.tenant for one in report.records})
    why = words(texts["records"], records=len(report.records), tenants=tenants, **hours)
    return _made("records", Grade.MET, why, value=float(len(report.records)), unit="records")


def _free(report: AccessReport) -> Finding:
    texts = framework_data(NAME)["texts"]
    if not report.records:
        return _made("free", Grade.UNVERIFIED, words(texts["no_records"]))
    billed = report.billed_though_free_eur
    grade = Grade.MET if billed <= 0.0 else Grade.UNMET
    why = words(texts["free"], billed=billed)
    return _made("free", grade, why, value=billed, unit="EUR", threshold=0.0)


def _kept(report: AccessReport) -> Finding:
    raw = framework_data(NAME)
    texts, rule = raw["texts"], raw["kept"]
    if report.reserved is None:
        return _made("reserved", Grade.UNVERIFIED, words(texts["no_reserve"]))
    share = report.reserved.kept_share
    fields = {"nominal": report.reserved.nominal_gpu_h, "share": share * PERCENT}
    grade = Grade.MET if share >= float(rule["share"]) else Grade.UNMET
    why = words(texts["reserved"], **fields)
    source = cited(rule["source"])
    more = {"value": share, "unit": "share", "threshold": float(rule["share"]), "source": source}
    return _made("reserved", grade, why, **more)


def _report(report: AccessReport) -> Finding:
    texts = framework_data(NAME)["texts"]
    if report.due is None:
        return _made("report", Grade.UNVERIFIED, words(texts["no_records"]))
    return _made("report", Grade.UNVERIFIED, words(texts["report"], due=report.due))


__all__ = [
    "CUTS",
    "AccessRecord",
    "AccessReport",
    "Adoption",
    "Reserved",
    "access_lines",
    "access_report",
    "access_report_with",
    "adoption",
    "assess_access",
    "due_after",
    "read_records",
    "records_csv",
    "records_json",
    "records_of",
    "records_text",
    "sums",
]
