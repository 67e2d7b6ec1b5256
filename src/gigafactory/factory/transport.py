"""What a site's connection gives beside its firm right: non-firm rights, tariff, congestion.

Everything here is optional; what a file leaves out is not there. `firm` (with its phases) stays the
firm right; rights listed here are held beside it and their powers add up.
"""

from __future__ import annotations

from typing import Annotated, Literal

from gigafactory.factory.blocks import Day, Flag, Name, SourcedBlock, setting
from gigafactory.factory.quantities import (
    CostEURPerKW,
    CostEURPerMWh,
    CostEURPerYear,
    Figure,
    PositiveDurationS,
    PositivePowerMW,
    Ratio,
    Share,
)

RightForm = Literal["firm", "fully_variable", "duration_bound", "time_block"]
CallBaseline = Literal["last_metered", "similar_days"]
OrderBaseline = Literal["similar_days", "schedule"]
TariffLevel = Literal["hv", "ehv"]

#: A local hour of the day on the clock of the site.
HourOfDay = Annotated[float, Figure(low=0, high=24, unit="h")]
Weekday = Annotated[int, Figure(low=0, high=6, whole=True)]
Month = Annotated[int, Figure(low=1, high=12, whole=True)]
PerYear = Annotated[float, Figure(low=0, high=366, unit="per year")]
HoursPerYear = Annotated[float, Figure(low=0, high=8784, unit="h per year")]

_OURS = "Our assumption, 2026, assumption"


class HoursBlock(SourcedBlock):
    """Local hours in which a time-block right holds."""

    start_h: HourOfDay = setting("First local hour, 0 to 24.", key="start")
    end_h: HourOfDay = setting("Local hour after the last; not after midnight.", key="end")
    weekdays: tuple[Weekday, ...] = setting(
        "Days of the week, 0 is Monday.",
        (0, 1, 2, 3, 4, 5, 6),
        source="Every day, 2026, assumption: a block without days holds on all of them",
    )


class HeldRight(SourcedBlock):
    """A transport right held beside the firm one."""

    name: Name = setting("Name of the right.")
    form: RightForm = setting(
        "firm; fully_variable; duration_bound (TDTR, also called ATR85); time_block (TBTR)."
    )
    capacity_mw: PositivePowerMW = setting("Power of the right.", key="capacity")
    from_: Day | None = setting(
        "First local day of the right; empty when it is held before any run.", None, key="from"
    )
    blocks: tuple[HoursBlock, ...] = setting(
        "When a time-block right holds; only for that form.", ()
    )


class TariffTerms(SourcedBlock):
    """The transport tariff; its figures are those of the bundled dated data unless given here."""

    charged: Flag = setting("Whether the bill is made and paid.", True)
    level: TariffLevel | None = setting(
        "Tariff of high (hv) or extra-high voltage (ehv); empty: by the voltage.", None
    )
    contract_eur_per_kw: CostEURPerKW | None = setting(
        "Contracted power, per year; empty: the bundled figure.", None, key="contract"
    )
    peak_eur_per_kw: CostEURPerKW | None = setting(
        "Highest quarter of a month, per month; empty: the bundled figure.", None, key="peak"
    )
    fixed_eur_per_year: CostEURPerYear | None = setting(
        "Standing charge; empty: the bundled figure.", None, key="fixed"
    )


class CallPattern(SourcedBlock):
    """When the simulated grid operator calls: days are drawn by chance from the congestion seed."""

    per_year: PerYear = setting("Days with a call, mean of many years.")
    months: tuple[Month, ...] = setting(
        "Months in which they fall.", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), source=_OURS
    )
    weekdays: tuple[Weekday, ...] = setting(
        "Days of the week, 0 is Monday.", (0, 1, 2, 3, 4, 5, 6), source=_OURS
    )
    start_h: HourOfDay = setting("First local hour in which a call may lie.", key="start")
    end_h: HourOfDay = setting("Local hour by which it has ended.", key="end")
    duration_s: PositiveDurationS = setting(
        "How long a call lasts, whole quarters of an hour.", key="duration"
    )


class RestrictionPattern(SourcedBlock):
    """Restrictions of the non-firm rights, as the simulated grid operator announces them."""

    calls: CallPattern = setting("When they fall.")
    remaining: Share = setting("What is left of a right.", 0.0, source=_OURS)
    late: Share = setting(
        "Share of the announcements that come after the time they are due; the rules refuse them.",
        0.0,
        source=_OURS,
    )


class SteeringContract(SourcedBlock):
    """A capacity-steering contract: take less at short notice, paid for what is delivered."""

    capacity_mw: PositivePowerMW = setting("Less import than the baseline.", key="capacity")
    price_eur_per_mwh: CostEURPerMWh = setting("Paid per MWh delivered.", key="price")
    hours_max: HoursPerYear = setting("Most hours called in a calendar year.")
    notice_s: PositiveDurationS = setting("From the call to its begin.", key="notice")
    penalty: Ratio = setting(
        "Charged per MWh missing, times the price.", 1.0, source=_OURS + ": what is paid is lost"
    )
    tolerance: Share = setting(
        "Share of what was asked that may be missing without a charge.", 0.0, source=_OURS
    )
    baseline: CallBaseline = setting(
        "What delivery is proved against: last_metered (before the call) or similar_days (mean of "
        "the last five).",
        "last_metered",
    )
    calls: CallPattern = setting("When the simulated venue calls.")


class RedispatchTerms(SourcedBlock):
    """Offers of less import to redispatch: a located order after the day-ahead auction."""

    capacity_mw: PositivePowerMW = setting("Most that is offered at once.", key="capacity")
    margin_eur_per_mwh: CostEURPerMWh = setting(
        "Asked above what it costs the plan.", 10.0, key="margin", source=_OURS
    )
    price_max_eur_per_mwh: CostEURPerMWh = setting(
        "Highest price the venue pays; what it pays at most on a day is drawn below it.",
        key="price_max",
    )
    published_h: HourOfDay = setting(
        "Local hour of the day before at which the need is told, after the auction's results.",
        15.0,
        key="published",
        source=_OURS + ": day-ahead results are out at 13:00",
    )
    penalty: Ratio = setting(
        "Charged per MWh missing, times the price.", 1.0, source=_OURS + ": what is paid is lost"
    )
    tolerance: Share = setting(
        "Share of what was asked that may be missing without a charge.", 0.0, source=_OURS
    )
    baseline: OrderBaseline = setting(
        "What delivery is proved against: similar_days (mean of the last five) or schedule (the "
        "own plan when the offer is made).",
        "similar_days",
    )
    calls: CallPattern = setting("When the simulated venue has a need.")


class Congestion(SourcedBlock):
    """What the grid operator may ask of the site; in a run a simulated venue asks it."""

    restrictions: RestrictionPattern | None = setting(
        "Restrictions of non-firm rights; empty for none but those of a scenario.", None
    )
    steering: SteeringContract | None = setting(
        "A capacity-steering contract; empty for none.", None
    )
    redispatch: RedispatchTerms | None = setting("Offers to redispatch; empty for none.", None)
