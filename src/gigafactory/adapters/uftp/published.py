"""What the runtime publishes in the store for the gateway: plan, least import, meter. Pure.

One document of kind `flexibility`, by site: begin of the first ISP and power per ISP. The plan is
import at the connection as now planned; it may or may not know of orders taken a moment ago.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gigafactory.adapters.uftp.terms import Grant
from gigafactory.units import NS_PER_MIN

#: The store's name for it (`Store.publish`).
KIND: Final = "flexibility"


def site_body(
    begin_ns: int,
    isp_min: int,
    *,
    baseline_w: Sequence[int],
    least_w: Sequence[int],
    metered_begin_ns: int = 0,
    metered_w: Sequence[int] = (),
) -> dict[str, Any]:
    """What is published of one site.

    Args:
        begin_ns: begin of the first ISP of plan and least import, ns UTC.
        isp_min: length of an ISP, minutes.
        baseline_w: planned import per ISP, W.
        least_w: least import that can be reached per ISP, W.
        metered_begin_ns: begin of the first ISP metered, ns UTC.
        metered_w: mean import per ISP, W, of whole ISPs that have passed.
    """
    return {
        "begin_ns": begin_ns,
        "isp_min": isp_min,
        "baseline_w": list(baseline_w),
        "least_w": list(least_w),
        "metered_begin_ns": metered_begin_ns,
        "metered_w": list(metered_w),
    }


def grant_of(
    published: tuple[int, Mapping[str, Any]] | None, site: str, now_ns: int, stale_ns: int
) -> tuple[Grant, str]:
    """What is published of a site, and why it cannot be relied on; empty when it can.

    A plan that is too old says nothing of the future; what was metered stays true.

    Args:
        published: instant and body from `Store.published`; None when there is none.
        site: which.
        now_ns: the present instant.
        stale_ns: oldest plan that counts.
    """
    if published is None or site not in published[1]:
        return Grant(), f"nothing is published of what {site} can give"
    at_ns, body = published[0], published[1][site]
    try:
        step_ns = int(body["isp_min"]) * NS_PER_MIN
        plan = _by_start(body["begin_ns"], step_ns, body["baseline_w"])
        least = _by_start(body["begin_ns"], step_ns, body["least_w"])
        metered = _by_start(body["metered_begin_ns"], step_ns, body["metered_w"])
    except (KeyError, TypeError, ValueError) as error:
        return Grant(), f"what is published of {site} cannot be read: {error!r}"
    if now_ns - at_ns > stale_ns:
        return Grant(at_ns, {}, {}, metered), f"what is published of {site} is too old"
    return Grant(at_ns, plan, least, metered), ""


def _by_start(begin_ns: Any, step_ns: int, powers_w: Any) -> dict[int, int]:
    begin = int(begin_ns)
    return {begin + k * step_ns: round(float(power)) for k, power in enumerate(powers_w)}
