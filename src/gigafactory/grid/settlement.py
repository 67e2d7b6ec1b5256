"""Settlement: what markets and contracts pay and charge. Pure functions over periods or blocks.

Costs and revenues have names of their own and are positive in the usual case; a negative price
turns them round. Up lifts the grid's balance (we draw less), down lowers it (we draw more). Every
function is linear in energy, so that a period may be split without changing a sum.

The rules follow `docs/explanation/markets.md`; where a Dutch rule was not verified the docstring
says so and the rule's number is an argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gigafactory.engine.errors import BadInput, Problem, refuse
from gigafactory.grid.calendar import MarketCalendar
from gigafactory.grid.checking import checked
from gigafactory.grid.ports import Direction
from gigafactory.grid.ppa import Ppa
from gigafactory.grid.products import ProductRules

Array = npt.NDArray[np.float64]

#: Regulation states of a Dutch imbalance settlement period: only down, none, only up, both.
REGULATION_STATES: Final = (-1, 0, 1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Imbalance:
    """Imbalance of a party per period, shape [P].

    Attributes:
        short_mwh: taken beyond what was contracted, MWh.
        long_mwh: contracted and not taken, MWh.
        cost_eur: paid for what was short, EUR; negative at a negative price.
        revenue_eur: received for what was long, EUR; negative at a negative price.
    """

    short_mwh: Array
    long_mwh: Array
    cost_eur: Array
    revenue_eur: Array

    @property
    def net_eur(self) -> Array:
        """Revenue less cost, EUR, shape [P]."""
        return self.revenue_eur - self.cost_eur


def imbalance_prices(
    state: npt.ArrayLike,
    *,
    up_eur_per_mwh: npt.ArrayLike,
    down_eur_per_mwh: npt.ArrayLike,
    mid_eur_per_mwh: npt.ArrayLike,
) -> tuple[Array, Array]:
    """Imbalance prices by regulation state: what the short pay and what the long receive.

    State -1 (only down) and +1 (only up): one price for both, that of the direction. State 0: the
    mid price. State 2 (both): dual price; the short pay the higher of the up and the mid price, the
    long receive the lower of the down and the mid price. The states are read in secondary sources
    (comcamenergy.com, tennet.org); the part the mid price plays in state 2 is unverified. A price
    that a state does not use may be nan.

    Args:
        state: regulation state, one of `REGULATION_STATES`, shape [P].
        up_eur_per_mwh: price of energy activated upwards, EUR/MWh, shape [P] or one number.
        down_eur_per_mwh: price of energy activated downwards, EUR/MWh, likewise.
        mid_eur_per_mwh: middle of the lowest up and the highest down bid, EUR/MWh, likewise.

    Returns:
        ``(short_eur_per_mwh, long_eur_per_mwh)``, each shape [P].

    Raises:
        BadInput: an unknown state, or a price missing where its state needs it; all at once.
    """
    states = np.atleast_1d(np.asarray(state))
    names = ("up_eur_per_mwh", "down_eur_per_mwh", "mid_eur_per_mwh")
    up, down, mid = (
        np.broadcast_to(np.asarray(price, dtype=np.float64), states.shape)
        for price in (up_eur_per_mwh, down_eur_per_mwh, mid_eur_per_mwh)
    )
    problems: list[Problem] = []
    unknown = sorted(set(states.tolist()) - set(REGULATION_STATES))
    if unknown:
        why = "regulation states are -1 (down), 0 (none), 1 (up) and 2 (both)"
        problems.append(Problem("imbalance", "state", str(unknown), why))
    needed = ((1, 2), (-1, 2), (0, 2))
    for name, price, of in zip(names, (up, down, mid), needed, strict=True):
        missing = int((np.isin(states, of) & ~np.isfinite(price)).sum())
        if missing:
            why = f"periods of state {of[0]} or {of[1]} lack this price"
            problems.append(Problem("imbalance", name, str(missing), why))
    if problems:
        raise BadInput(problems)
    one = [states == -1, states == 0, states == 1]
    short = np.select(one, [down, mid, up], np.fmax(up, mid))
    long = np.select(one, [down, mid, up], np.fmin(down, mid))
    return np.asarray(short), np.asarray(long)


def settle_imbalance(
    *,
    contracted_mwh: npt.ArrayLike,
    metered_mwh: npt.ArrayLike,
    short_eur_per_mwh: npt.ArrayLike,
    long_eur_per_mwh: npt.ArrayLike,
) -> Imbalance:
    """Settle the imbalance of a party that draws from the grid.

    Imbalance is metered less contracted. Who is short pays the short price, who is long receives
    the long price; with a single price both are the same (see `imbalance_prices`).

    Args:
        contracted_mwh: net energy bought for the period, MWh; negative when sold; shape [P].
        metered_mwh: net energy metered, MWh; import is positive; shape [P].
        short_eur_per_mwh: what the short pay, EUR/MWh, shape [P] or one number.
        long_eur_per_mwh: what the long receive, EUR/MWh, shape [P] or one number.

    Raises:
        BadInput: arrays of unlike length or values that are not finite.
    """
    given: dict[str, npt.ArrayLike] = {
        "contracted_mwh": contracted_mwh,
        "metered_mwh": metered_mwh,
        "short_eur_per_mwh": short_eur_per_mwh,
        "long_eur_per_mwh": long_eur_per_mwh,
    }
    of = checked("imbalance", given, signed=given)
    imbalance = of["metered_mwh"] - of["contracted_mwh"]
    short, long = np.maximum(imbalance, 0.0), np.maximum(-imbalance, 0.0)
    return Imbalance(short, long, short * of["short_eur_per_mwh"], long * of["long_eur_per_mwh"])


@dataclass(frozen=True, slots=True, eq=False)
class FcrPay:
    """What FCR pays per capacity block, shape [B].

    Attributes:
        capacity_eur: for holding the power ready, EUR.
        deduction_eur: taken off for what was not delivered, EUR.
    """

    capacity_eur: Array
    deduction_eur: Array

    @property
    def net_eur(self) -> Array:
        """Paid out, EUR, shape [B]; negative when the deduction is larger."""
        return self.capacity_eur - self.deduction_eur


def fcr_asked_mw(
    deviation_hz: npt.ArrayLike, awarded_mw: npt.ArrayLike, rules: ProductRules
) -> Array:
    """Power that FCR asks for at a frequency, MW; up (draw less) is positive.

    Proportional to the deviation: all of the award at `rules.full_deviation_hz` and beyond, nothing
    within `rules.insensitivity_hz` (SO GL annex V). How fast it must come is not part of this.

    Args:
        deviation_hz: frequency less 50 Hz, any shape.
        awarded_mw: award in force, MW, one number or the same shape.
        rules: of FCR.
    """
    deviation = np.asarray(deviation_hz, dtype=np.float64)
    share = np.clip(-deviation / rules.full_deviation_hz, -1.0, 1.0)
    share = np.where(np.abs(deviation) <= rules.insensitivity_hz, 0.0, share)
    return np.asarray(share * np.asarray(awarded_mw, dtype=np.float64))


def undelivered_share(
    asked_mw: npt.ArrayLike,
    delivered_mw: npt.ArrayLike,
    block: npt.NDArray[np.int64],
    *,
    by: str = "energy",
    tolerance_mw: float = 0.0,
) -> Array:
    """Share of each block's service that was not delivered, 0..1, shape [B].

    Args:
        asked_mw: power asked in each sample, MW; up is positive; shape [S].
        delivered_mw: power delivered, MW, with the same sign; shape [S].
        block: block of each sample, from 0, shape [S]; samples are of equal length.
        by: "seconds" for the share of the block's time with a shortfall, "energy" for the energy
            that was short over the energy asked (0 where none was asked).
        tolerance_mw: shortfall that is let pass, MW.

    Raises:
        BadInput: arrays of unlike length, values that are not finite, an unknown way to count.
    """
    of = checked(
        "delivery",
        {"asked_mw": asked_mw, "delivered_mw": delivered_mw, "tolerance_mw": tolerance_mw},
        signed=("asked_mw", "delivered_mw"),
        periods=len(block),
    )
    asked = np.abs(of["asked_mw"])
    short = np.clip(asked - np.sign(of["asked_mw"]) * of["delivered_mw"], 0.0, asked)
    short = np.where(short > of["tolerance_mw"], short, 0.0)
    count = int(block.max()) + 1 if len(block) else 0
    if by == "seconds":
        missed, whole = (short > 0.0).astype(np.float64), np.ones(len(block))
    elif by == "energy":
        missed, whole = short, asked
    else:
        raise refuse("delivery", "by", by, 'must be "seconds" or "energy"')
    lost = np.bincount(block, missed, count)
    total = np.bincount(block, whole, count)
    return np.minimum(np.divide(lost, total, out=np.zeros(count), where=total > 0.0), 1.0)


def settle_fcr(
    *,
    awarded_mw: npt.ArrayLike,
    price_eur_per_mw: npt.ArrayLike,
    undelivered_share: npt.ArrayLike = 0.0,
    penalty_factor: float = 1.0,
) -> FcrPay:
    """Settle FCR: capacity at the block's price, less a deduction for what was not delivered.

    The price is per MW and block, whatever the block's length (a block has 3 or 5 hours where the
    clocks change). FCR energy is not paid.

    Args:
        awarded_mw: award per block, MW, shape [B].
        price_eur_per_mw: clearing price, EUR/MW for the block, shape [B].
        undelivered_share: of each block, 0..1 (see `undelivered_share`), shape [B] or one number.
        penalty_factor: deduction as a multiple of the capacity pay of the undelivered share: 1
            withholds it, 2 takes as much again. The Dutch value was not found.

    Raises:
        BadInput: negative or not finite values, shares beyond 0..1, arrays of unlike length.
    """
    of = checked(
        "FCR",
        {
            "awarded_mw": awarded_mw,
            "price_eur_per_mw": price_eur_per_mw,
            "undelivered_share": undelivered_share,
            "penalty_factor": penalty_factor,
        },
        shares=("undelivered_share",),
    )
    capacity = of["awarded_mw"] * of["price_eur_per_mw"]
    return FcrPay(capacity, of["penalty_factor"] * of["undelivered_share"] * capacity)


@dataclass(frozen=True, slots=True, eq=False)
class AfrrPay:
    """What aFRR of one direction pays per period, shape [P].

    Attributes:
        undelivered_mwh: activated and not delivered, beyond the tolerance, MWh.
        capacity_eur: for holding the power ready, EUR.
        withheld_eur: capacity pay withheld for what was not delivered, EUR.
        energy_eur: for the energy activated, EUR; down at a positive price is negative: we draw the
            energy and pay for it.
        imbalance: what delivery missed or overshot, settled as imbalance.
    """

    undelivered_mwh: Array
    capacity_eur: Array
    withheld_eur: Array
    energy_eur: Array
    imbalance: Imbalance

    @property
    def net_eur(self) -> Array:
        """Paid out in all, EUR, shape [P]."""
        return self.capacity_eur - self.withheld_eur + self.energy_eur + self.imbalance.net_eur


def settle_afrr(
    direction: Direction,
    *,
    hours: npt.ArrayLike,
    contracted_mw: npt.ArrayLike,
    capacity_eur_per_mw_h: npt.ArrayLike,
    activated_mwh: npt.ArrayLike,
    delivered_mwh: npt.ArrayLike,
    energy_eur_per_mwh: npt.ArrayLike,
    short_eur_per_mwh: npt.ArrayLike,
    long_eur_per_mwh: npt.ArrayLike,
    tolerance_share: float = 0.0,
    penalty_factor: float = 1.0,
) -> AfrrPay:
    """Settle aFRR of one direction.

    Capacity is paid by the hour, energy as activated at the clearing price (pay-as-cleared, Elia's
    terms of 2024). The party's position is corrected by what was *activated*, so a difference from
    that is imbalance. Of what was not delivered the share of the period's capacity pay is withheld;
    the Dutch rule for that was not found.

    Args:
        direction: up or down.
        hours: length of each period, h; like all that follow shape [P] or one number.
        contracted_mw: capacity contracted, MW.
        capacity_eur_per_mw_h: price of capacity, EUR per MW and hour.
        activated_mwh: energy the grid operator's setpoints asked for, MWh.
        delivered_mwh: energy delivered against the baseline, MWh.
        energy_eur_per_mwh: clearing price of activated energy, EUR/MWh.
        short_eur_per_mwh: imbalance price the short pay, EUR/MWh.
        long_eur_per_mwh: imbalance price the long receive, EUR/MWh.
        tolerance_share: undelivered share of the activated energy for which nothing is withheld.
        penalty_factor: capacity pay withheld as a multiple of the undelivered share of it.

    Raises:
        BadInput: a symmetric direction, arrays of unlike length, values not finite or negative.
    """
    if direction is Direction.SYMMETRIC:
        raise refuse("aFRR", "direction", direction, "is sold up and down apart")
    of = checked(
        "aFRR",
        {
            "hours": hours,
            "contracted_mw": contracted_mw,
            "capacity_eur_per_mw_h": capacity_eur_per_mw_h,
            "activated_mwh": activated_mwh,
            "delivered_mwh": delivered_mwh,
            "energy_eur_per_mwh": energy_eur_per_mwh,
            "short_eur_per_mwh": short_eur_per_mwh,
            "long_eur_per_mwh": long_eur_per_mwh,
            "tolerance_share": tolerance_share,
            "penalty_factor": penalty_factor,
        },
        signed=("delivered_mwh", "energy_eur_per_mwh", "short_eur_per_mwh", "long_eur_per_mwh"),
        shares=("tolerance_share",),
    )
    activated, delivered = of["activated_mwh"], of["delivered_mwh"]
    missing = undelivered_mwh(activated, delivered, tolerance_share)
    capacity = of["contracted_mw"] * of["capacity_eur_per_mw_h"] * of["hours"]
    share = np.divide(missing, activated, out=np.zeros_like(missing), where=activated > 0.0)
    # up asks us to draw less: what we did not shed was drawn on top of the corrected position
    drawn = -1.0 if direction is Direction.UP else 1.0
    imbalance = settle_imbalance(
        contracted_mwh=drawn * activated,
        metered_mwh=drawn * delivered,
        short_eur_per_mwh=of["short_eur_per_mwh"],
        long_eur_per_mwh=of["long_eur_per_mwh"],
    )
    energy = -drawn * activated * of["energy_eur_per_mwh"]
    return AfrrPay(missing, capacity, of["penalty_factor"] * share * capacity, energy, imbalance)


def undelivered_mwh(asked_mwh: Array, delivered_mwh: Array, tolerance_share: float = 0.0) -> Array:
    """Energy asked and not delivered, MWh, in the shape given; 0 within the tolerance.

    Args:
        asked_mwh: energy asked, MWh, 0 or more.
        delivered_mwh: energy delivered in the direction asked, MWh; negative if the other way.
        tolerance_share: share of what was asked that may be missing without any of it counting.

    Returns:
        Never more than what was asked, however wrong the delivery.
    """
    missing = np.clip(asked_mwh - delivered_mwh, 0.0, asked_mwh)
    return np.where(missing > tolerance_share * asked_mwh, missing, 0.0)


def activated_share(
    bid_eur_per_mwh: npt.ArrayLike,
    marginal_eur_per_mwh: npt.ArrayLike,
    direction: Direction,
    *,
    at_margin_share: float = 1.0,
) -> Array:
    """Share of an own aFRR energy bid that the merit order activates, 0..1, shape [P].

    Upward bids are called from the cheapest on, downward bids from the one that pays most; there is
    one list per direction. We take the price as given: our own bid does not move the margin.

    Args:
        bid_eur_per_mwh: own bid, EUR/MWh: asked for energy up, offered for energy down; shape [P]
            or one number.
        marginal_eur_per_mwh: price of the last bid activated, EUR/MWh, shape [P]; nan where nothing
            was activated in this direction.
        direction: up or down.
        at_margin_share: of a bid at exactly that price, 0..1.

    Raises:
        BadInput: a symmetric direction, a bid that is not finite, arrays of unlike length.
    """
    problems: list[Problem] = []
    if direction is Direction.SYMMETRIC:
        problems.append(Problem("merit order", "direction", direction, "is up or down"))
    marginal = np.atleast_1d(np.asarray(marginal_eur_per_mwh, dtype=np.float64))
    try:
        of = checked(
            "merit order",
            {"bid_eur_per_mwh": bid_eur_per_mwh, "at_margin_share": at_margin_share},
            signed=("bid_eur_per_mwh",),
            shares=("at_margin_share",),
            periods=len(marginal),
        )
    except BadInput as told:
        raise BadInput([*problems, *told.problems]) from told
    if problems:
        raise BadInput(problems)
    better = marginal - of["bid_eur_per_mwh"]
    if direction is Direction.DOWN:
        better = -better
    # a comparison with nan is false: no activation, no share
    return np.where(better > 0.0, 1.0, np.where(better == 0.0, of["at_margin_share"], 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class PpaPay:
    """What a power purchase agreement costs and brings its buyer per period, shape [P].

    Attributes:
        taken_mwh: energy taken at the contract price, MWh.
        curtailed_mwh: energy on offer that was asked not to be made, MWh.
        energy_eur: paid for the energy taken, EUR.
        curtailment_eur: paid for the energy curtailed, EUR.
        value_eur: what the energy taken is worth day-ahead, EUR.
        guarantees_eur: received for guarantees of origin sold on, EUR.
        retired_mwh: energy whose guarantees of origin were kept and retired, MWh.
    """

    taken_mwh: Array
    curtailed_mwh: Array
    energy_eur: Array
    curtailment_eur: Array
    value_eur: Array
    guarantees_eur: Array
    retired_mwh: Array

    @property
    def cost_eur(self) -> Array:
        """Paid to the seller, EUR, shape [P]."""
        return self.energy_eur + self.curtailment_eur

    @property
    def benefit_eur(self) -> Array:
        """Worth of the energy and the guarantees sold, EUR, shape [P]."""
        return self.value_eur + self.guarantees_eur


def settle_ppa(
    ppa: Ppa,
    calendar: MarketCalendar,
    *,
    capacity_factor: npt.ArrayLike,
    day_ahead_eur_per_mwh: npt.ArrayLike,
    curtailed_mwh: npt.ArrayLike = 0.0,
    keep_guarantees: bool = True,
    guarantee_eur_per_mwh: npt.ArrayLike = 0.0,
) -> PpaPay:
    """Settle a contract over a calendar.

    Pay-as-produced: what the plant makes, less what was curtailed, at the contract price. Baseload:
    the contracted power in every period; what the plant lacks is the seller's to buy. Nothing
    before the first day of the contract, before the plant is commissioned or after the last day.
    Guarantees of origin that come with the energy are kept and retired, or sold on; sold ones may
    not count for carbon (they are not in `PpaPay.retired_mwh`).

    Args:
        ppa: the contract.
        calendar: the market periods.
        capacity_factor: of the technology, 0..1, shape [P]; unused with baseload.
        day_ahead_eur_per_mwh: day-ahead price, EUR/MWh, shape [P].
        curtailed_mwh: energy asked not to be made, MWh, shape [P]; none with baseload.
        keep_guarantees: whether the buyer keeps the guarantees and retires them.
        guarantee_eur_per_mwh: price of a guarantee sold on, EUR/MWh.

    Raises:
        BadInput: arrays of unlike length, values out of bounds, more curtailed than was on offer.
    """
    of = checked(
        f"PPA {ppa.name}",
        {
            "capacity_factor": capacity_factor,
            "day_ahead_eur_per_mwh": day_ahead_eur_per_mwh,
            "curtailed_mwh": curtailed_mwh,
            "guarantee_eur_per_mwh": guarantee_eur_per_mwh,
        },
        signed=("day_ahead_eur_per_mwh",),
        shares=("capacity_factor",),
        periods=calendar.periods,
    )
    offered = ppa.available_mw(calendar, of["capacity_factor"]) * calendar.hours()
    curtailed = of["curtailed_mwh"]
    room = np.zeros_like(offered) if ppa.kind == "baseload" else offered
    beyond = int((curtailed > room * (1.0 + 1e-9)).sum())
    if beyond:
        why = "periods curtail more than the contract has on offer (a baseload contract has none)"
        raise refuse(f"PPA {ppa.name}", "curtailed_mwh", beyond, why)
    taken = np.maximum(offered - curtailed, 0.0)
    nothing = np.zeros_like(taken)
    with_energy = ppa.guaranteed_mwh(taken)
    sold = nothing if keep_guarantees else with_energy
    return PpaPay(
        taken_mwh=taken,
        curtailed_mwh=curtailed,
        energy_eur=ppa.cost_eur(taken, nothing),
        curtailment_eur=ppa.cost_eur(nothing, curtailed),
        value_eur=taken * of["day_ahead_eur_per_mwh"],
        guarantees_eur=sold * of["guarantee_eur_per_mwh"],
        retired_mwh=with_energy - sold,
    )


@dataclass(frozen=True, slots=True)
class Party:
    """Who finances, operates or profits from a plant or contract.

    Attributes:
        name: of the party.
        finance_share: share of the cost it carries, 0..1.
        benefit_share: share of the benefit it gets, 0..1.
        operates: whether it runs the plant, for a fee that the financing parties pay.
    """

    name: str
    finance_share: float
    benefit_share: float
    operates: bool = False


def split_between(
    parties: Sequence[Party],
    *,
    cost_eur: npt.ArrayLike,
    benefit_eur: npt.ArrayLike,
    operated_mwh: npt.ArrayLike = 0.0,
    fee_eur_per_mwh: float = 0.0,
) -> dict[str, Array]:
    """Split cost and benefit between who finances and who operates: each party's net, EUR, [P].

    A party bears its share of cost and operating fee, gets its share of the benefit, and the
    operator gets the fee. The nets add up to benefit less cost.

    Args:
        parties: finance shares add up to 1, so do benefit shares; one party operates.
        cost_eur: to be split, EUR, shape [P] or one number.
        benefit_eur: to be split, EUR, likewise.
        operated_mwh: energy the operator's fee is counted on, MWh, likewise.
        fee_eur_per_mwh: operating fee, EUR/MWh.

    Raises:
        BadInput: shares that do not add up, no or several operators, a name given twice; all.
    """
    problems = _party_faults(parties)
    given: dict[str, npt.ArrayLike] = {
        "cost_eur": cost_eur,
        "benefit_eur": benefit_eur,
        "operated_mwh": operated_mwh,
        "fee_eur_per_mwh": fee_eur_per_mwh,
    }
    try:
        of = checked("split", given, signed=("cost_eur", "benefit_eur"))
    except BadInput as told:
        raise BadInput([*problems, *told.problems]) from told
    if problems:
        raise BadInput(problems)
    fee = of["operated_mwh"] * of["fee_eur_per_mwh"]
    return {
        party.name: party.benefit_share * of["benefit_eur"]
        - party.finance_share * (of["cost_eur"] + fee)
        + (fee if party.operates else 0.0)
        for party in parties
    }


def _party_faults(parties: Sequence[Party]) -> list[Problem]:
    problems: list[Problem] = []

    def wrong(field: str, value: object, why: str) -> None:
        problems.append(Problem("split", field, str(value), why))

    for field in ("finance_share", "benefit_share"):
        shares = [float(getattr(party, field)) for party in parties]
        for party, share in zip(parties, shares, strict=True):
            if not 0.0 <= share <= 1.0:
                wrong(f"{party.name}.{field}", share, "must be from 0 to 1")
        if not abs(sum(shares) - 1.0) <= 1e-9:
            wrong(field, sum(shares), "must add up to 1 over all parties")
    operators = sum(party.operates for party in parties)
    if operators != 1:
        wrong("operates", operators, "exactly one party operates")
    names = [party.name for party in parties]
    if len(set(names)) != len(names):
        wrong("name", ", ".join(names), "each party is named once")
    return problems
