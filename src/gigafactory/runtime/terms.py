"""On which terms a job ran: the price of an accelerator-hour, and why it is cheaper or first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from gigafactory.factory import Factory, load_factory
from gigafactory.factory.rights import verdicts
from gigafactory.plant import load_catalogue
from gigafactory.policy.rules import Reason
from gigafactory.units import MICRO_EUR_PER_EUR, NS_PER_S

_PRICE: Final = {
    "en": "It costs {price} EUR per accelerator-hour. {why}",
    "nl": "De taak kost {price} euro per accelerator-uur. {why}",
}
_LIST: Final = {
    "en": "That is the list price at the priority of its class.",
    "nl": "Dat is de lijstprijs, met de prioriteit van de klasse.",
}
_REALTIME: Final = "inference_realtime"


def terms_of(
    folder: Path, header: Mapping[str, Any], ask: Mapping[str, int], timezone: str, lang: str
) -> list[str]:
    """The price of a job and the rules behind price and priority, as lines.

    Args:
        folder: of the run.
        header: of its journal.
        ask: what the journal holds of the job's submission.
        timezone: whose local day of submission counts.
        lang: "en" or "nl".

    Returns:
        Nothing for a tenant the factory file does not know. The journal does not tell several
        projects of a tenant and class apart: then the reasons of each are told, by name.
    """
    on = dt.datetime.fromtimestamp(ask["submit_ns"] / NS_PER_S, ZoneInfo(timezone)).date()
    tenant, label = header["tenants"][ask["tenant"]], header["classes"][ask["job_class"]]
    given = _incentives(load_factory(folder / "factory.yaml"), tenant, label, on)
    if given is None:
        return []
    price = f"{ask['price_micro_eur'] / MICRO_EUR_PER_EUR:,.4f}"
    if lang == "nl":
        price = price.translate(str.maketrans(",.", ".,"))
    why = " ".join(dict.fromkeys(reason.text(lang) for reason in given)) or _LIST[lang]
    return [_PRICE[lang].format(price=price, why=why)]


def _incentives(factory: Factory, tenant: str, label: str, on: dt.date) -> list[Reason] | None:
    """Incentives of the admitted projects of a tenant and class; None where there is none."""
    owner = next((t for t in factory.tenants if t.name == tenant), None)
    if owner is None:
        return None
    work = zip(owner.project_names, owner.work, strict=True)
    names = [name for name, one in work if one.job_class == label]
    if label == _REALTIME:
        names = [service.name for service in owner.services]
    found = verdicts(factory, load_catalogue(), on)[tenant]
    let_in = [found[name] for name in names if found[name].admitted]
    return [reason for one in let_in for reason in one.incentives] if let_in else None
