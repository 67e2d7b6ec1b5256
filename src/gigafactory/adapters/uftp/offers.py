"""What to offer on a request, from what the site can give and the price asked. Pure functions.

Only less import is offered: a request for more import is accepted as a message and gets no offer.
Headroom beyond the request's bounds stays unoffered; an ISP that would fall short of the request's
least bound is offered in part, since a part helps too.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal

from gigafactory.adapters.uftp.days import Day, Span, joined
from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.adapters.uftp.terms import Option, Request
from gigafactory.units import NS_PER_S, WH_PER_MWH

_STEP_EUR = Decimal("0.0001")


def option_for(
    request: Request, room_w: Mapping[int, int], day: Day, settings: UftpSettings, now_ns: int
) -> Option | None:
    """The option to offer on a request; None when nothing can be.

    Args:
        request: accepted, not expired.
        room_w: less import that can still be promised, W by ISP.
        day: the request's.
        settings: price, least power, share of the room that is offered.
        now_ns: the present instant; ISPs that begin too soon are left out.
    """
    soonest = now_ns + round(settings.lead_s * NS_PER_S)
    powers: dict[int, int] = {}
    for one in request.wanted:
        if not one.requested or one.low_w >= 0:
            continue
        for isp in range(one.start, one.start + one.duration):
            give = min(int(max(room_w.get(isp, 0), 0) * settings.offered), -one.low_w)
            if day.start_ns(isp) > soonest and give >= max(settings.least_mw * 1e6, 1.0):
                powers[isp] = -give
    if not powers:
        return None
    spans = joined(powers)
    price = priced_eur(spans, settings.isp_min, settings.price_eur_per_mwh)
    return Option("1", price, Decimal(str(settings.least_factor)), spans)


def priced_eur(spans: tuple[Span, ...], isp_min: int, price_eur_per_mwh: float) -> Decimal:
    """Price of less import, EUR, rounded up to a hundredth of a cent."""
    energy_wh = sum(
        (Decimal(-one.power_w * one.duration * isp_min) / 60 for one in spans), Decimal(0)
    )
    price = energy_wh / WH_PER_MWH * Decimal(str(price_eur_per_mwh))
    return price.quantize(_STEP_EUR, ROUND_CEILING)


def expiry_ns(option: Option, day: Day, settings: UftpSettings, now_ns: int) -> int:
    """Until when an offer stands: no longer than set, than the lead before its first ISP allows."""
    first = day.start_ns(min(one.start for one in option.spans))
    latest = first - round(settings.lead_s * NS_PER_S)
    return max(min(now_ns + round(settings.valid_s * NS_PER_S), latest), now_ns)
