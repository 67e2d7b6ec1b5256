"""Transport rights: the four Dutch forms, restrictions announced on them, the limit that is left.

Firm; fully variable; duration-bound (TDTR, also called ATR85: at least 85 % of the hours of a year,
restrictions announced the day before by 08:30); time-block (TBTR). Source: Stcrt 2024-23594
(ACM/UIT/619367) and gopacs.eu; the figures stand in ``data/tariff.yaml`` with their marks.

A restriction that breaks the rules is not obeyed: it is refused with a reason, as a value, because
it comes from outside and the factory must go on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar, utc_text
from gigafactory.grid.checking import checked
from gigafactory.grid.figures import Figure, bundled, source_rows
from gigafactory.grid.series import SourceRow

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: Hours by which sums of periods may differ from a share of a year through rounding.
_SLACK_H = 1e-6


class Form(StrEnum):
    """The forms of transport right."""

    FIRM = "firm"
    FULLY_VARIABLE = "fully_variable"
    DURATION_BOUND = "duration_bound"  # TDTR, ATR85
    TIME_BLOCK = "time_block"  # TBTR


@dataclass(frozen=True, slots=True)
class RightsRules:
    """What the forms mean on a local day.

    Attributes:
        contract_factor: by form, the share of the tariff on contracted power that is charged.
        duration_bound_guaranteed_share: share of the hours of a year that a duration-bound right
            guarantees, 0..1.
        announcement_time_h: local hour the day before by which a restriction is announced.
        suspension_violations: number of violations from which the right is suspended.
        figures: the figures with their origins, by name.
    """

    contract_factor: Mapping[Form, float]
    duration_bound_guaranteed_share: float
    announcement_time_h: float
    suspension_violations: int
    figures: Mapping[str, Figure]

    def sources(self) -> tuple[SourceRow, ...]:
        """The provenance of every figure, one row each."""
        return source_rows("rights", self.figures)


def rights_on(day: dt.date) -> RightsRules:
    """The rules of the forms of transport right on a local day.

    Raises:
        BadInput: a day before they are known.
    """
    figures = bundled("tariff.yaml")["rights"].on(day)
    return RightsRules(
        {form: figures[f"{form}_contract_factor"].value for form in Form},
        figures["duration_bound_guaranteed_share"].value,
        figures["announcement_time_h"].value,
        round(figures["suspension_violations"].value),
        figures,
    )


@dataclass(frozen=True, slots=True)
class TimeBlock:
    """Local wall-clock time in which a time-block right holds.

    Attributes:
        start_h: first local hour of the block, 0..24.
        end_h: local hour after it; not after midnight.
        weekdays: days of the week, 0 is Monday.
    """

    start_h: float
    end_h: float
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class TransportRight:
    """One right to take power from the grid.

    Attributes:
        name: of the right.
        form: one of the four forms.
        capacity_mw: power, MW.
        blocks: when a time-block right holds; empty for the other forms.
    """

    name: str
    form: Form
    capacity_mw: float
    blocks: tuple[TimeBlock, ...] = ()

    def __post_init__(self) -> None:
        problems: list[Problem] = []

        def wrong(name: str, value: object, why: str) -> None:
            problems.append(Problem(f"transport right {self.name}", name, str(value), why))

        if not (np.isfinite(self.capacity_mw) and self.capacity_mw > 0.0):
            wrong("capacity_mw", self.capacity_mw, "must be above 0")
        if (self.form is Form.TIME_BLOCK) != bool(self.blocks):
            wrong("blocks", len(self.blocks), "belong to a time-block right, which needs some")
        for k, block in enumerate(self.blocks):
            if not 0.0 <= block.start_h < block.end_h <= 24.0:
                wrong(f"blocks.{k}", f"{block.start_h:g} to {block.end_h:g}", "must run in a day")
            if not block.weekdays or not set(block.weekdays) <= set(range(7)):
                wrong(f"blocks.{k}.weekdays", block.weekdays, "must be from 0 (Monday) to 6")
        if problems:
            raise BadInput(problems)

    def holds(self, calendar: MarketCalendar) -> Flags:
        """Periods in which the right holds at all, shape [P]."""
        if self.form is not Form.TIME_BLOCK:
            return np.ones(calendar.periods, dtype=np.bool_)
        held = np.zeros(calendar.periods, dtype=np.bool_)
        for block in self.blocks:
            within = (calendar.local_hour >= block.start_h) & (calendar.local_hour < block.end_h)
            held |= within & np.isin(calendar.local_weekday, block.weekdays)
        return held

    @property
    def week_share(self) -> float:
        """Share of the hours of a common week in which the right holds, 0..1."""
        if self.form is not Form.TIME_BLOCK:
            return 1.0
        # minutes, so that blocks that overlap count once
        week = np.zeros((7, 24 * 60), dtype=np.bool_)
        for block in self.blocks:
            for day in block.weekdays:
                week[day, round(block.start_h * 60) : round(block.end_h * 60)] = True
        return float(week.mean())


@dataclass(frozen=True, slots=True)
class Restriction:
    """An announcement that a right is limited for some time.

    Attributes:
        right: name of the right.
        announced_ns: when it was announced, UTC ns.
        start_ns: begin, UTC ns, at the edge of a market period.
        end_ns: end, UTC ns, likewise.
        limit_mw: power of the right that remains, MW, below its capacity.
    """

    right: str
    announced_ns: int
    start_ns: int
    end_ns: int
    limit_mw: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A restriction that is not obeyed.

    Attributes:
        restriction: what was announced.
        reason: why it does not hold, in words.
    """

    restriction: Restriction
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """What all rights together allow, after the restrictions that hold.

    Attributes:
        limit_mw: power that may be taken, MW, shape [P].
        by_right_mw: the same for each right by name, MW, shape [P] each.
        accepted: the restrictions that hold, in the order they were announced.
        refused: those that do not, with the reason.
        restricted_h: hours restricted by right and local year, those before the calendar included.
    """

    limit_mw: Array
    by_right_mw: Mapping[str, Array]
    accepted: tuple[Restriction, ...]
    refused: tuple[Refusal, ...]
    restricted_h: Mapping[tuple[str, int], float]


@dataclass(frozen=True, slots=True)
class TransportRights:
    """All rights of a connection, and the rules they are under.

    Attributes:
        rights: the rights; their powers add up.
        rules: what the forms mean.
    """

    rights: tuple[TransportRight, ...]
    rules: RightsRules = field(repr=False)

    def __post_init__(self) -> None:
        names = [right.name for right in self.rights]
        if len(set(names)) != len(names):
            raise refuse("transport rights", "name", ", ".join(names), "each is named once")

    @property
    def capacity_mw(self) -> float:
        """Power of all rights together, MW."""
        return sum(right.capacity_mw for right in self.rights)

    def limits(
        self,
        calendar: MarketCalendar,
        restrictions: Sequence[Restriction] = (),
        *,
        restricted_before_h: Mapping[str, float] | None = None,
    ) -> Limits:
        """The limit per market period, with the restrictions that hold.

        Restrictions are judged in the order they were announced, each as a whole. A firm or
        time-block right takes none. A duration-bound right takes those announced in time (for the
        first local day they touch), until 15 % of the hours of a local year are restricted; a
        period that is restricted in part counts in full, and twice restricted once. A fully
        variable right takes any announced before it begins (that no earlier hour holds for it is
        our assumption).

        Args:
            calendar: the market periods.
            restrictions: what was announced.
            restricted_before_h: hours already restricted in the calendar's first year before it
                begins, by right.

        Raises:
            BadInput: a restriction that names no right, lies outside the calendar, does not begin
                and end with a market period or restricts nothing; every problem at once.
        """
        by_name = {right.name: right for right in self.rights}
        problems = [
            p for k, one in enumerate(restrictions) for p in _faults(k, one, by_name, calendar)
        ]
        if problems:
            raise BadInput(problems)
        by_right = {
            right.name: np.where(right.holds(calendar), right.capacity_mw, 0.0)
            for right in self.rights
        }
        years = np.array([date.year for date in calendar.local_dates])[calendar.day_of]
        first = calendar.local_dates[0].year
        used = {(name, int(year)): 0.0 for name in by_name for year in np.unique(years)}
        for name, hours in (restricted_before_h or {}).items():
            used[name, first] = hours
        hit = {name: np.zeros(calendar.periods, dtype=np.bool_) for name in by_name}
        accepted: list[Restriction] = []
        refused: list[Refusal] = []
        for one in sorted(restrictions, key=lambda one: one.announced_ns):
            span = slice(*np.searchsorted(calendar.start_ns, [one.start_ns, one.end_ns]).tolist())
            fresh = np.zeros(calendar.periods, dtype=np.bool_)
            fresh[span] = ~hit[one.right][span]
            added = {
                int(year): float(calendar.hours()[fresh & (years == year)].sum())
                for year in np.unique(years[span])
            }
            reason = self._reason(by_name[one.right], one, calendar, used, added)
            if reason:
                refused.append(Refusal(one, reason))
                continue
            accepted.append(one)
            hit[one.right] |= fresh
            for year, hours in added.items():
                used[one.right, year] += hours
            part = by_right[one.right]
            part[span] = np.minimum(part[span], one.limit_mw)
        whole = sum(by_right.values(), np.zeros(calendar.periods))
        return Limits(whole, by_right, tuple(accepted), tuple(refused), used)

    def _reason(
        self,
        right: TransportRight,
        one: Restriction,
        calendar: MarketCalendar,
        used: Mapping[tuple[str, int], float],
        added: Mapping[int, float],
    ) -> str:
        """Why a restriction does not hold; empty when it does."""
        if right.form in {Form.FIRM, Form.TIME_BLOCK}:
            return f"a {right.form} right may not be restricted by announcement"
        if right.form is Form.FULLY_VARIABLE:
            late = one.announced_ns > one.start_ns
            return "announced after it began" if late else ""
        day = int(calendar.day_of[calendar.period_at(one.start_ns)])
        hour, minute = divmod(round(self.rules.announcement_time_h * 60), 60)
        deadline = calendar.local_ns(day - 1, hour, minute)
        if one.announced_ns > deadline:
            told, due = utc_text(one.announced_ns), utc_text(deadline)
            return f"announced at {told}, due by {due} (the day before by {hour:02}:{minute:02})"
        for year, hours in added.items():
            most = (1.0 - self.rules.duration_bound_guaranteed_share) * hours_of_year(year)
            if used[right.name, year] + hours > most + _SLACK_H:
                already = used[right.name, year]
                return (
                    f"would restrict {already + hours:g} h of {year}, "
                    f"of which {most:g} h may be restricted"
                )
        return ""

    def suspended(self, violations: int) -> bool:
        """Whether that many violations of a limit lead to suspension of the right."""
        return violations >= self.rules.suspension_violations


def violations(import_mw: npt.ArrayLike, limit_mw: Array, tolerance_mw: float = 0.0) -> int:
    """How often import went above the limit: stretches of neighbouring periods, each counted once.

    That a stretch is one violation is our reading; the decision says "violations".

    Args:
        import_mw: mean power taken per period, MW, shape [P].
        limit_mw: from `Limits.limit_mw`, MW, shape [P].
        tolerance_mw: excess that is let pass, MW.

    Raises:
        BadInput: unlike lengths, values that are not finite or negative.
    """
    of = checked("transport rights", {"import_mw": import_mw}, periods=len(limit_mw))
    above = of["import_mw"] > limit_mw + tolerance_mw
    return int(above[:1].sum() + (above[1:] & ~above[:-1]).sum())


def hours_of_year(year: int) -> float:
    """Hours of a local calendar year: 8,760 or 8,784 (the two clock changes cancel out)."""
    return (dt.date(year + 1, 1, 1) - dt.date(year, 1, 1)).days * 24.0


def _faults(
    k: int,
    one: Restriction,
    rights: Mapping[str, TransportRight],
    calendar: MarketCalendar,
) -> list[Problem]:
    problems: list[Problem] = []

    def wrong(name: str, value: object, why: str) -> None:
        problems.append(Problem(f"restriction {k}", name, str(value), why))

    right = rights.get(one.right)
    if right is None:
        wrong("right", one.right, f"must be one of {', '.join(rights)}")
    elif not 0.0 <= one.limit_mw < right.capacity_mw:
        wrong("limit_mw", one.limit_mw, f"must be from 0 to below {right.capacity_mw:g} MW")
    if one.end_ns <= one.start_ns:
        wrong("end_ns", utc_text(one.end_ns), f"must come after {utc_text(one.start_ns)}")
    for name in ("start_ns", "end_ns"):
        at = getattr(one, name)
        if not calendar.begin_ns <= at <= calendar.end_ns:
            wrong(name, utc_text(at), "lies outside the calendar")
        elif (at - calendar.begin_ns) % int(calendar.start_ns[1] - calendar.start_ns[0]):
            wrong(name, utc_text(at), "must be at the edge of a market period")
    return problems
