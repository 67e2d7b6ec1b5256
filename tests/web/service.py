"""The service's interface in one process, with a token for each role and a still clock."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from gigafactory.adapters.store import Store
from gigafactory.adapters.store.records import Role
from gigafactory.engine.clock import SimClock
from gigafactory.factory import Factory, load_factory
from gigafactory.grid.ports import GridOrder, OrderKind
from gigafactory.runtime.apisettings import ApiSettings, Limits, read_api
from gigafactory.units import NS_PER_S
from gigafactory.web.api import create_app

#: Noon of a day on which the demonstration tenants' papers count.
NOW_NS: Final = int(dt.datetime(2025, 6, 3, 12, tzinfo=dt.UTC).timestamp()) * NS_PER_S
#: Who the tokens stand for.
PARTIES: Final = {
    "tenant": "delta-lab",
    "grid_operator": "tennet",
    "energy_partner": "north-sea-power",
}
ROLES: Final = ("tenant", "operator", "grid_operator", "energy_partner", "auditor", "admin")
#: No limit that a test could meet by chance.
WIDE: Final = {
    "per_caller_per_s": 100_000,
    "per_caller_burst": 100_000,
    "per_address_per_s": 100_000,
    "per_address_burst": 100_000,
}
SETTINGS: Final[dict[str, Any]] = {
    "limits": WIDE,
    "grid_operators": {
        "tennet": {"points": ["maasvlakte"], "channels": ["afrr"]},
        "stedin": {"points": ["maasvlakte"], "channels": ["gopacs"]},
        "nobody": {"points": []},
    },
    "energy_partners": {
        "north-sea-power": {
            "contracts": ["north-sea"],
            "data": ["terms", "site_power", "schedule", "settlement"],
        },
        "shy-power": {"contracts": ["north-sea"], "data": ["terms"]},
        "no-power": {"contracts": []},
    },
}
JOB: Final = {
    "name": "a-job",
    "job_class": "research",
    "accelerators": 8,
    "walltime_s": 3600,
    "script": "#!/bin/sh\ntrue\n",
}


def settings(factory: Factory, **changes: Any) -> ApiSettings:
    """Settings with some of them changed."""
    limits = {**WIDE, **changes.pop("limits", {})}
    return read_api({**SETTINGS, "limits": limits, **changes}, factory, "test")


class Service:
    """The application, called without a network.

    Args:
        url: of its store.
        fetch: gets the keys of identity providers.
        changes: settings that differ.
    """

    def __init__(
        self,
        url: str,
        fetch: Mapping[str, Callable[[], Mapping[str, Any]]] | None = None,
        **changes: Any,
    ) -> None:
        self.factory = load_factory("rotterdam")
        self.clock = SimClock(NOW_NS)
        self.url = url
        self.store = Store.open(url)
        self.app = create_app(
            self.factory,
            settings(self.factory, **changes),
            self.store,
            clock=self.clock,
            fetch=fetch,
        )
        self.secrets = {role: self.token(role, PARTIES.get(role, "")) for role in ROLES}
        self._loop = asyncio.new_event_loop()
        self._keys = 0

    def close(self) -> None:
        """Let go of everything."""
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        self.store.close()

    def token(self, role: str, party: str = "", expires_ns: int | None = None) -> str:
        """The secret of a new token."""
        made = self.store.add_token(
            f"{role}-{party}", Role(role), party, expires_ns, self.clock.now_ns(), "test"
        )
        return made[1]

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.wait_until(self.clock.now_ns() + int(seconds * NS_PER_S))

    def key(self) -> str:
        """A key that was not used before."""
        self._keys += 1
        return f"key-{self._keys:06d}"

    def call(
        self,
        method: str,
        path: str,
        role: str | None = None,
        *,
        secret: str = "",
        key: str | None = None,
        address: str = "127.0.0.1",
        headers: Mapping[str, str | bytes] | None = None,
        **given: Any,
    ) -> httpx.Response:
        """One request, by a role or with a secret; changes get a fresh key unless one is given."""
        sent: dict[str, str | bytes] = dict(headers or {})
        secret = secret or (self.secrets[role] if role else "")
        if secret:
            sent["Authorization"] = f"Bearer {secret}"
        if method in {"POST", "DELETE"} and key != "":
            sent.setdefault("Idempotency-Key", key or self.key())

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(
                self.app, client=(address, 1), raise_app_exceptions=False
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                return await client.request(method, path, headers=sent, **given)

        return self._loop.run_until_complete(ask())

    def get(self, path: str, role: str | None = None, **given: Any) -> httpx.Response:
        """Read something."""
        return self.call("GET", path, role, **given)

    def post(self, path: str, role: str | None = None, **given: Any) -> httpx.Response:
        """Change something."""
        return self.call("POST", path, role, **given)

    def submit(self, role: str = "tenant", secret: str = "", **changes: Any) -> str:
        """Hand in a job; its id."""
        answer = self.post("/v1/work", role, secret=secret, json={**JOB, **changes})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def sqlite_url(folder: Path) -> str:
    """A store in a folder."""
    return f"sqlite:///{folder / 'store.db'}"


def order(source: str, key: str, *, point: str = "maasvlakte", hours: float = 1.0) -> GridOrder:
    """A limit in force from now on."""
    end_ns = NOW_NS + int(hours * 3600) * NS_PER_S
    return GridOrder(key, source, OrderKind.LIMIT, point, 200.0, NOW_NS, NOW_NS, NOW_NS, end_ns)


__all__ = [
    "JOB",
    "NOW_NS",
    "PARTIES",
    "ROLES",
    "Limits",
    "Service",
    "order",
    "settings",
    "sqlite_url",
]
