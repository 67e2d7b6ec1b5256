"""What a linear programme of a site is made of, and over which steps it reaches.

A `SiteShape` says what exists, a `Horizon` how time is cut. Neither holds a number that changes
from window to window: prices, limits, work and states are in `numbers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GroupShape:
    """How a class of work turns accelerators into power and progress.

    Attributes:
        label: the class.
        speed: rising speeds from the slowest allowed to 1.0; one alone when it is never slowed.
        active_w: watts above rest an accelerator draws at each.
        delay_eur_per_gpu_h: cost of one accelerator-hour delayed by a day.
        sheds: share of its active power that may be sold as upward reserve, 0..1.
        rises: whether what it draws below its most (`Numbers.rise_mw`) may be sold as downward
            reserve; otherwise only slowed work may, by the power it lacks to full speed.
        moves: whether its work may be done at another site of the same programme.
    """

    label: str
    speed: tuple[float, ...]
    active_w: tuple[float, ...]
    delay_eur_per_gpu_h: float
    sheds: float = 0.0
    rises: bool = False
    moves: bool = False

    @property
    def segments(self) -> tuple[tuple[float, float], ...]:
        """Per pair of neighbouring speeds: how far apart they are, and W per unit of speed."""
        pairs = zip(pairwise(self.speed), pairwise(self.active_w), strict=True)
        return tuple((v1 - v0, (w1 - w0) / (v1 - v0)) for (v0, v1), (w0, w1) in pairs)


@dataclass(frozen=True, slots=True)
class ReserveShape:
    """Balancing products a site may sell.

    Attributes:
        fcr: whether the battery sells FCR (symmetric, one amount per block).
        afrr_up: whether aFRR up is sold (less import).
        afrr_down: whether aFRR down is sold (more import).
        battery_afrr: whether the battery may carry aFRR beside the load.
        fcr_reservoir_h: hours of full FCR the battery holds both ways. 0.5: the upper end of the
            15 to 30 minutes of SO GL article 156(11), as long as the value in force is not settled.
        afrr_reservoir_h: hours of full aFRR the battery holds for its part of it.
    """

    fcr: bool = False
    afrr_up: bool = False
    afrr_down: bool = False
    battery_afrr: bool = False
    fcr_reservoir_h: float = 0.5
    afrr_reservoir_h: float = 1.0


@dataclass(frozen=True, slots=True)
class SiteShape:
    """What a site has and does not change from window to window.

    Attributes:
        groups: classes of work.
        battery_mw: power of the battery, 0 for none.
        battery_mwh: energy between its bounds.
        charge_efficiency: share stored of what is taken.
        discharge_efficiency: share given of what leaves.
        wear_eur_per_mwh: per MWh discharged.
        contracts: number of power contracts.
        contract_price_eur_per_mwh: price of each.
        contract_curtail_eur_per_mwh: paid per MWh not taken.
        levy_eur_per_mwh: margin and tax on import.
        export_margin_eur_per_mwh: taken off the price of export.
        site_per_it: MW the site draws more per MW of IT, used in every step.
        generators: number of generators.
        reserves: balancing products sold, or none.
        peaks: whether the highest import of a month costs money.
        shares: whether all classes together may run no more than `Numbers.capacity`; otherwise each
            has its own bound alone.
        intraday: whether what was bought day-ahead is given and the rest is traded after it:
            import - export - contracts = bought day-ahead + bought since - sold since.
        contract_firm: whether each contract is taken as it comes (baseload), so that nothing of it
            can be refused; empty where none is.
    """

    groups: tuple[GroupShape, ...]
    battery_mw: float
    battery_mwh: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_eur_per_mwh: float
    contracts: int
    contract_price_eur_per_mwh: tuple[float, ...]
    contract_curtail_eur_per_mwh: tuple[float, ...]
    levy_eur_per_mwh: float
    export_margin_eur_per_mwh: float
    site_per_it: float
    generators: int = 0
    reserves: ReserveShape | None = None
    peaks: bool = False
    shares: bool = True
    intraday: bool = False
    contract_firm: tuple[bool, ...] = ()

    @property
    def firm(self) -> npt.NDArray[np.bool_]:
        """Whether each contract is taken as it comes, [contracts]."""
        return np.array(self.contract_firm or (False,) * self.contracts, np.bool_)

    @property
    def taking_eur_per_mwh(self) -> Array:
        """Cost of taking a MWh of each contract against not taking it, [contracts]."""
        return np.subtract(self.contract_price_eur_per_mwh, self.contract_curtail_eur_per_mwh)

    def stored_eur_per_mwh(self, price_eur_per_mwh: float) -> float:
        """Worth of a MWh in the battery at a price: what giving it brings, less wear and losses."""
        return max(price_eur_per_mwh - self.wear_eur_per_mwh, 0.0) * self.discharge_efficiency


@dataclass(frozen=True, slots=True, eq=False)
class Horizon:
    """How time is cut into steps, and which step follows which.

    A line begins at its first step, whose states come from the right-hand side. In a ring every
    step follows one, and the step that is now is cut from the one before it by its rows: the link
    row is freed and the entry row, which reads the present state from an entry column, is held.

    Attributes:
        hours: length of each step, h, [T]; 0 for a step that is left out.
        before: the step before each, -1 for none, [T].
        ring: the ring each step lies on, -1 on a line, [T]. Each ring has its own entry columns.
        block: block of reserve products each step lies in, -1 for none, [T].
        peak: peak columns a step's import may raise, [T, K]; one row each.
        exits: steps whose state may be handed on to ring 1, ascending; empty with fewer rings.
    """

    hours: Array
    before: Ints
    ring: Ints
    block: Ints
    peak: Ints
    exits: Ints

    def __len__(self) -> int:
        return len(self.hours)

    @property
    def blocks(self) -> int:
        """Number of blocks of reserve products."""
        return int(self.block.max(initial=-1)) + 1

    @property
    def peaks(self) -> int:
        """Number of peak columns."""
        return int(self.peak.max(initial=-1)) + 1

    @property
    def rings(self) -> int:
        """Number of rings; 0 on a line."""
        return int(self.ring.max(initial=-1)) + 1

    @classmethod
    def line(cls, hours: Array, block: Ints | None = None, month: Ints | None = None) -> Horizon:
        """Steps one after another.

        Args:
            hours: length of each step, h, [T].
            block: reserve block of each step, [T]; none without.
            month: month of each step counted from 0, [T]; one without.
        """
        n = len(hours)
        return cls(
            hours=np.asarray(hours, dtype=np.float64),
            before=np.arange(n, dtype=np.int64) - 1,
            ring=np.full(n, -1, np.int64),
            block=np.full(n, -1, np.int64) if block is None else np.asarray(block, np.int64),
            peak=(np.zeros(n, np.int64) if month is None else np.asarray(month, np.int64))[:, None],
            exits=np.zeros(0, np.int64),
        )

    @classmethod
    def circle(cls, slots: int, step_h: float, block: Ints) -> Horizon:
        """One ring of equal steps; two peak columns, for this month and the next.

        Args:
            slots: number of steps.
            step_h: length of a step, h.
            block: reserve block of each slot, [slots].
        """
        at = np.arange(slots, dtype=np.int64)
        return cls(
            hours=np.full(slots, step_h),
            before=(at - 1) % slots,
            ring=np.zeros(slots, np.int64),
            block=np.asarray(block, np.int64),
            peak=np.tile(np.array([0, 1], np.int64), (slots, 1)),
            exits=np.zeros(0, np.int64),
        )

    @classmethod
    def mixed(cls, fine: int, coarse: int, ratio: int, step_h: float, block: Ints) -> Horizon:
        """A ring of short steps that hands its state on to a ring of long ones.

        Args:
            fine: number of short steps, a multiple of `ratio`.
            coarse: number of long ones.
            ratio: short steps per long one; a state is handed on at the end of so many.
            step_h: length of a short step, h.
            block: reserve block of each step, short ones first, [fine + coarse].
        """
        assert fine % ratio == 0, f"{fine} short steps are no multiple of {ratio}"
        short, long = np.arange(fine, dtype=np.int64), np.arange(coarse, dtype=np.int64)
        return cls(
            hours=np.concatenate([np.full(fine, step_h), np.full(coarse, step_h * ratio)]),
            before=np.concatenate([(short - 1) % fine, fine + (long - 1) % coarse]),
            ring=np.repeat(np.array([0, 1], np.int64), [fine, coarse]),
            block=np.asarray(block, np.int64),
            peak=np.tile(np.array([0, 1], np.int64), (fine + coarse, 1)),
            exits=short[ratio - 1 :: ratio],
        )
