"""The power budget: licences beyond it lie in a reservation that nobody may use.

A licence is a kilowatt. The reservation takes all of them but the budget, so work that is yet to
start finds no more than the budget; work that runs is never stopped for it. Changing a reservation
needs no rights over the cluster's configuration and takes effect at the controller's next look.
"""

from __future__ import annotations

import re

from gigafactory.adapters.slurm.command import Answer, Commands
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.jobs.ports import Outcome, Receipt

_TOTAL = re.compile(r"\bTotal=(\d+)")
_HELD = re.compile(r"\bLicenses=(\S+)")


def set_budget(power_kw: int, settings: SlurmSettings, commands: Commands) -> Receipt:
    """Leave so many kilowatts to work that is yet to start and to what runs, together.

    Args:
        power_kw: the budget, kW; beyond all licences it means no limit.
        settings: the site's.
        commands: runs Slurm's commands.
    """
    key = f"budget-{power_kw}"
    if power_kw < 0:
        return Receipt(key, Outcome.REFUSED, "a budget is 0 kW or more")
    if not settings.licence:
        return Receipt(key, Outcome.REFUSED, "this cluster keeps no licences for power")
    limit_s = settings.write_limit_s
    shown = commands.run(["scontrol", "show", "licenses", settings.licence], limit_s)
    total = _TOTAL.search(shown.out)
    if shown.trouble:
        return Receipt(key, Outcome.UNKNOWN, shown.trouble)
    if total is None:
        return Receipt(key, Outcome.REFUSED, f"the cluster has no licence {settings.licence}")
    apart_kw = max(0, int(total[1]) - power_kw)
    there = commands.run(["scontrol", "show", "reservation", settings.reservation], limit_s)
    if there.trouble:
        return Receipt(key, Outcome.UNKNOWN, there.trouble)
    if f"ReservationName={settings.reservation}" in there.out:
        held = _HELD.search(there.out)
        if held is not None and held[1] == f"{settings.licence}:{apart_kw}":
            return Receipt(key, Outcome.ACCEPTED)
        return _receipt(key, commands.run(_command("update", apart_kw, settings), limit_s))
    if apart_kw == 0:
        return Receipt(key, Outcome.ACCEPTED)
    creating = [
        *_command("create", apart_kw, settings),
        *("StartTime=now", "Duration=UNLIMITED", "Users=root", "NodeCnt=0", "Flags=ANY_NODES"),
    ]
    return _receipt(key, commands.run(creating, limit_s))


def _command(verb: str, apart_kw: int, settings: SlurmSettings) -> list[str]:
    name = f"ReservationName={settings.reservation}"
    licences = f"Licenses={settings.licence}:{apart_kw}"
    return ["scontrol", verb, *(["reservation"] if verb == "create" else []), name, licences]


def _receipt(key: str, answer: Answer) -> Receipt:
    if answer.trouble:
        return Receipt(key, Outcome.UNKNOWN, answer.trouble)
    if answer.exit_code == 0:
        return Receipt(key, Outcome.ACCEPTED)
    said = " ".join(answer.err.split())
    return Receipt(key, Outcome.REFUSED, said or "Slurm gave no reason")
