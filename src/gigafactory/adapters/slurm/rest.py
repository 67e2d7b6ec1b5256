"""Handing jobs over by slurmrestd, for a site whose controller has no Slurm commands at hand.

By a unix socket (no token) or by TCP with a JSON Web Token. slurmrestd answers a refused request
with status 200 and `errors` in the body; that is a refusal here. What it cannot do in any version
known here (suspend, requeue, reservations, nodes) stays with `scontrol`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gigafactory.adapters.slurm.actions import job_power_kw
from gigafactory.adapters.slurm.settings import RestSettings, SlurmSettings
from gigafactory.engine.errors import refuse
from gigafactory.jobs.ports import WorkOrder

#: Versions of the data parser this was tried with; another one may mean other things by a name.
VERSIONS = frozenset({"v0.0.38"})


@dataclass(frozen=True, slots=True)
class Handed:
    """What came of handing a job over.

    Attributes:
        job: Slurm's number for it; empty where it was not taken.
        why: why not.
        lost: whether no answer came, so that it may have been taken all the same.
    """

    job: str
    why: str = ""
    lost: bool = False


class RestClient:
    """A slurmrestd.

    Args:
        rest: where it listens.
        settings: the site's.

    Raises:
        BadInput: the version is not one known here, or there is nowhere to connect to.
    """

    def __init__(self, rest: RestSettings, settings: SlurmSettings) -> None:
        if rest.version not in VERSIONS:
            known = ", ".join(sorted(VERSIONS))
            raise refuse("slurm", "rest.version", rest.version, f"must be one of: {known}")
        if bool(rest.socket) == bool(rest.url):
            raise refuse("slurm", "rest", "", "needs either a socket or a url, not both")
        self._at, self._settings = rest, settings

    def submit(
        self, order: WorkOrder, script: str, tag: str, environment: Mapping[str, str]
    ) -> Handed:
        """Hand a job over, held."""
        return self._post("job/submit", self._asked(order, script, tag, environment))

    def cancel(self, job: str) -> Handed:
        """End a job for good."""
        return self._call("DELETE", f"job/{job}", None)

    def set_priority(self, job: str, priority: int) -> Handed:
        """Set Slurm's own priority of a job that is not held."""
        return self._post(f"job/{job}", {"priority": priority})

    def _asked(
        self, order: WorkOrder, script: str, tag: str, environment: Mapping[str, str]
    ) -> dict[str, Any]:
        settings = self._settings
        nodes = max(1, order.nodes)
        job: dict[str, Any] = {
            "name": order.name or order.key,
            "comment": tag,
            "partition": settings.partitions[order.pool],
            "hold": True,
            "requeue": True,
            "nodes": nodes,
            "tres_per_node": f"gres:{settings.gres}:{order.accelerators // nodes}",
            "time_limit": max(1, math.ceil(order.walltime_s / 60.0)),
            "current_working_directory": settings.work_folder,
            "standard_output": settings.output,
            "open_mode": "append",
            "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin", **environment},
        }
        power_kw = job_power_kw(order.accelerators, order.pool, settings)
        if power_kw:
            job["licenses"] = f"{settings.licence}:{power_kw}"
        if settings.qos:
            job["qos"] = settings.qos
        if settings.account:
            job["account"] = settings.account
        return {"script": script, "job": job}

    def _post(self, path: str, body: object) -> Handed:
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: object) -> Handed:
        try:
            import httpx
        except ImportError:
            return Handed("", 'slurmrestd needs httpx: pip install "gigafactory[serve]"')
        url = f"{self._at.url.rstrip('/') or 'http://slurmrestd'}/slurm/{self._at.version}/{path}"
        transport = httpx.HTTPTransport(uds=self._at.socket) if self._at.socket else None
        try:
            headers = self._headers()
        except OSError as trouble:
            return Handed("", f"the token of slurmrestd cannot be read: {trouble.strerror}")
        try:
            with httpx.Client(
                transport=transport, timeout=self._settings.write_limit_s, trust_env=False
            ) as client:
                answer = client.request(method, url, json=body, headers=headers)
        except httpx.ConnectError as trouble:
            return Handed("", f"slurmrestd cannot be reached: {trouble}")
        except httpx.HTTPError as trouble:
            return Handed("", f"slurmrestd gave no answer: {trouble}", lost=True)
        return _read(answer.status_code, answer.content)

    def _headers(self) -> dict[str, str]:
        if not self._at.token_file:
            return {}
        token = Path(self._at.token_file).read_text(encoding="utf-8").strip()
        return {"X-SLURM-USER-NAME": self._settings.user, "X-SLURM-USER-TOKEN": token}


def _read(status: int, content: bytes) -> Handed:
    """Read an answer; also one of status 200 may be a refusal."""
    import json

    try:
        body = json.loads(content or b"{}")
    except ValueError:
        body = {}
    errors = body.get("errors") or [] if isinstance(body, dict) else []
    if errors:
        said = "; ".join(str(e.get("error") or e.get("description") or e) for e in errors)
        return Handed("", f"slurmrestd refused: {said}")
    if status >= 500:
        return Handed("", f"slurmrestd answered with status {status}", lost=True)
    if status >= 400:
        return Handed("", f"slurmrestd refused with status {status}")
    return Handed(str(body.get("job_id", "")))
