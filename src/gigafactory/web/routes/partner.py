"""The energy partner: its own contracts, and the data that were agreed to be shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

from fastapi import Request
from starlette.responses import Response

from gigafactory.factory.contracts import Ppa
from gigafactory.runtime.apisettings import AgreedData, PartnerAccess
from gigafactory.web import shown
from gigafactory.web.desk import SCHEDULE, SETTLEMENT, STATUS, Desk
from gigafactory.web.routes.common import desk_of, open_to, reply, router, who_of
from gigafactory.web.shapes import ContractView, PartnerData

partner_router = router("energy partner")

#: What of a schedule is shared: the limits of a connection are its operator's business.
_AGREED: Final = ("start", "end", "import_mw")
_NOTHING: Final = PartnerAccess(contracts=(), data=())


def _access(request: Request) -> PartnerAccess:
    """What was agreed; an auditor reads all that any partner could be shown.

    A party that the settings no longer name sees nothing.
    """
    desk = desk_of(request)
    if who_of(request).role == "auditor":
        every = tuple(one.name for one in desk.factory.energy.ppas)
        return PartnerAccess(contracts=every, data=get_args(AgreedData))
    return desk.settings.energy_partners.get(who_of(request).party, _NOTHING)


def _contracts(request: Request) -> list[Ppa]:
    access = _access(request)
    return [one for one in desk_of(request).factory.energy.ppas if one.name in access.contracts]


def _settlement(desk: Desk, name: str) -> dict[str, Any]:
    found = desk.part(SETTLEMENT, "contracts", name)
    return dict(found) if isinstance(found, Mapping) else {}


def _terms(one: Ppa) -> dict[str, Any]:
    return {
        "technology": one.technology,
        "form": one.form,
        "capacity_mw": one.capacity_mw,
        "price_eur_per_mwh": one.price_eur_per_mwh,
        "from": one.from_.isoformat(),
        "until": one.until.isoformat(),
        "commissioned": one.commissioned.isoformat(),
        "curtail_eur_per_mwh": one.curtail_eur_per_mwh,
        "guarantees_of_origin": one.guarantees_of_origin,
    }


@partner_router.get(
    "/partner/contracts",
    response_model=list[ContractView],
    summary="Own contracts",
    **open_to("energy_partner", "auditor"),
)
def contracts(request: Request) -> Response:
    """Its contracts; terms and settlement where they were agreed to be shared, else null."""
    desk, agreed = desk_of(request), _access(request).data
    return reply(
        [
            {
                "name": one.name,
                "site": one.site if agreed else None,
                "terms": _terms(one) if "terms" in agreed else None,
                "settlement": _settlement(desk, one.name) if "settlement" in agreed else None,
            }
            for one in _contracts(request)
        ]
    )


@partner_router.get(
    "/partner/data",
    response_model=PartnerData,
    summary="Data agreed to be shared",
    **open_to("energy_partner", "auditor"),
)
def data(request: Request) -> Response:
    """Power and schedule of the sites of its contracts, as far as they were agreed to be shared."""
    desk, agreed = desk_of(request), _access(request).data
    sites: list[dict[str, Any]] = []
    for site in dict.fromkeys(one.site for one in _contracts(request)):
        row: dict[str, Any] = {"site": site}
        if "site_power" in agreed:
            row["power_mw"] = desk.part(STATUS, "points", site, "power_mw")
        if "schedule" in agreed:
            periods = desk.part(SCHEDULE, "points", site)
            row["schedule"] = [
                {name: one[name] for name in _AGREED if name in one}
                for one in (periods if isinstance(periods, list | tuple) else ())
                if isinstance(one, Mapping)
            ]
        if len(row) > 1:
            sites.append(row)
    found = desk.published(STATUS)
    at = None if found is None else shown.stamp(found[0])
    return reply({"agreed": list(agreed), "at": at, "sites": sites})
