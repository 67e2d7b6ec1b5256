"""The settings of the service's HTTP interface: where it listens, whom it trusts, how much it lets.

They are the block `api` of the service's settings file, and read like every other file: all
problems at once. Whatever is left out is closed: loopback only, no single sign-on, grid operators
and energy partners that see nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Flag, Name, Text, setting
from gigafactory.factory.models import Factory
from gigafactory.factory.quantities import (
    Count,
    DurationS,
    PositiveCount,
    PositiveDurationS,
    PositiveRatio,
)
from gigafactory.factory.reading import Document
from gigafactory.factory.validating import validate

_OURS = "Our assumption, 2026, assumption"

#: Signatures that a token of an identity provider may have: asymmetric ones only, so that nobody
#: can sign with a key that is public.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]

Role = Literal["tenant", "operator", "grid_operator", "energy_partner", "auditor", "admin"]
#: Roles that stand for one party each and see nothing of another's.
PARTY_ROLES: Final = ("tenant", "grid_operator", "energy_partner")
AgreedData = Literal["terms", "site_power", "schedule", "settlement"]


class Tls(Block):
    """The certificate that the service shows."""

    cert: Text = setting("File with the certificate and those above it, PEM.")
    key: Text = setting("File with its private key, PEM; nobody else should be able to read it.")


class Grant(Block):
    """What a value of a claim stands for."""

    value: Text = setting("Value of the claim, such as the name of a group.")
    role: Role = setting("Role that it gives.")
    party: Name | None = setting(
        "Tenant, grid operator or energy partner it stands for; empty for the other roles.", None
    )


class Issuer(Block):
    """An identity provider whose tokens are accepted (OpenID Connect)."""

    issuer: Text = setting("Its name, exactly as the claim `iss` writes it.")
    audience: Text = setting("What the claim `aud` must name: this service.")
    jwks_url: Text = setting("Where its public keys are; https, or http on this machine.")
    algorithms: tuple[Algorithm, ...] = setting("Signatures accepted.", ("RS256", "ES256"))
    leeway_s: DurationS = setting(
        "How far its clock may be off.",
        30.0,
        key="leeway",
        source=f"{_OURS}: clocks kept by NTP are within a second",
    )
    lifetime_s: PositiveDurationS = setting(
        "Longest a token may be valid; a longer one is refused, as it cannot be revoked.",
        3600.0,
        key="lifetime",
        source=f"{_OURS}: an hour",
    )
    timeout_s: PositiveDurationS = setting(
        "How long fetching its keys may take.",
        3.0,
        key="timeout",
        source=f"{_OURS}: callers wait for it",
    )
    refresh_s: PositiveDurationS = setting(
        "How long its keys are kept before they are fetched again.",
        300.0,
        key="refresh",
        source=f"{_OURS}: five minutes",
    )
    claim: Text = setting("Claim whose values decide the role.", "groups")
    grants: tuple[Grant, ...] = setting(
        "What each value gives; the first that fits counts. A token that none fits gets nothing."
    )


class GridOperatorAccess(Block):
    """What a grid operator sees."""

    points: tuple[Name, ...] = setting("Connections that are its own, as the sites are named.")
    channels: tuple[Name, ...] = setting("Channels it speaks on; it reads their messages.", ())


class PartnerAccess(Block):
    """What an energy partner sees: the data agreed, and no other."""

    contracts: tuple[Name, ...] = setting("Power purchase agreements that are its own.")
    data: tuple[AgreedData, ...] = setting(
        "What was agreed to be shared: terms of its contracts, metered power of their sites, the "
        "schedule of these sites, settlement of its contracts.",
        ("terms",),
    )


class Limits(Block):
    """How much one caller may ask."""

    per_caller_per_s: PositiveRatio = setting(
        "Requests a second of one token, in the long run.",
        50.0,
        source=f"{_OURS}: a page that refreshes five views every second, ten times over",
    )
    per_caller_burst: PositiveCount = setting(
        "Requests of one token at once.", 200, source=f"{_OURS}: four seconds' worth"
    )
    per_address_per_s: PositiveRatio = setting(
        "Requests a second from one address, in the long run.",
        500.0,
        source=f"{_OURS}: a whole organisation behind one address",
    )
    per_address_burst: PositiveCount = setting(
        "Requests from one address at once.", 1000, source=f"{_OURS}: two seconds' worth"
    )
    failures_per_min: PositiveRatio = setting(
        "Failed authentications a minute from one address, in the long run.",
        10.0,
        source=f"{_OURS}: a person who mistypes, not a machine that guesses",
    )
    failures_burst: PositiveCount = setting(
        "Failed authentications from one address at once.",
        20,
        source=f"{_OURS}: two minutes' worth",
    )
    body_kb: PositiveCount = setting(
        "Largest body of a request, kB.", 256, source=f"{_OURS}: a script with its settings"
    )
    script_kb: PositiveCount = setting(
        "Largest script of a job, kB.",
        128,
        source=f"{_OURS}: a script starts work, it does not carry its data",
    )
    streams_per_caller: PositiveCount = setting(
        "Event streams that one token keeps open.", 8, source=f"{_OURS}: a few screens"
    )


class ApiSettings(Block):
    """The HTTP interface of the service."""

    host: Text = setting("Address to listen on.", "127.0.0.1")
    port: Count = setting("Port to listen on.", 8460, source=f"{_OURS}: not assigned by IANA")
    workers: PositiveCount = setting(
        "Processes that answer; limits are divided among them, so a caller that keeps one "
        "connection has one process's share. One is bound by its interpreter lock below some 900 "
        "requests a second.",
        1,
        source=f"{_OURS}: one process takes 0.6 to 1.0 ms a request, measured, so it "
        "answers 450 a second; two leave room for peaks",
    )
    tls: Tls | None = setting("The certificate; empty for none.", None)
    behind_proxy: Flag = setting(
        "A proxy in front does TLS; then this may listen beyond loopback without it.", False
    )
    proxies: tuple[Text, ...] = setting(
        "Addresses whose word on the caller's address is taken (X-Forwarded-For).", ()
    )
    metrics: Literal["loopback", "role", "off"] = setting(
        "Who reads /metrics: callers on this machine, operators and auditors, or nobody.",
        "loopback",
    )
    remember_s: DurationS = setting(
        "How long a checked token is remembered; the store remembers it for two seconds more, and "
        "after both a revoked one works nowhere.",
        3.0,
        key="remember",
        source=f"{_OURS}: a balance of revocation and load on the store",
    )
    status_stale_s: PositiveDurationS = setting(
        "Age from which the controller's status is not fresh, so that /readyz says so.",
        30.0,
        key="status_stale",
        source=f"{_OURS}: fifteen ticks",
    )
    walltime_max_s: PositiveDurationS = setting(
        "Longest walltime a job may ask.",
        30.0 * 86_400.0,
        key="walltime_max",
        source=f"{_OURS}: thirty days",
    )
    issuers: tuple[Issuer, ...] = setting(
        "Identity providers; empty for tokens of our own only.", ()
    )
    grid_operators: dict[Name, GridOperatorAccess] = setting("Grid operators by name.", {})
    energy_partners: dict[Name, PartnerAccess] = setting("Energy partners by name.", {})
    limits: Limits = setting("How much one caller may ask.", Limits())


def is_loopback(host: str) -> bool:
    """Whether an address is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_api(settings: ApiSettings, factory: Factory, where: str) -> list[Problem]:
    """Every contradiction between the settings of the interface and with the factory.

    Args:
        settings: of the interface.
        factory: whose sites, contracts and tenants they name.
        where: the file, for the reader.
    """
    return [
        *_check_door(settings, where),
        *_check_issuers(settings, factory, where),
        *_check_parties(settings, factory, where),
    ]


def _check_door(settings: ApiSettings, where: str) -> Iterator[Problem]:
    if not is_loopback(settings.host) and settings.tls is None and not settings.behind_proxy:
        yield Problem(
            where,
            "api.host",
            settings.host,
            "is not loopback, and there is no TLS: tokens would cross the network in clear. Give "
            "api.tls, or say api.behind_proxy: true where a proxy does TLS",
        )
    if settings.tls is not None:
        for name, file in (("cert", settings.tls.cert), ("key", settings.tls.key)):
            if not Path(file).is_file():
                yield Problem(where, f"api.tls.{name}", file, "is not a file that can be read")
    if not settings.port <= 65_535:
        yield Problem(where, "api.port", str(settings.port), "must be at most 65535")
    if settings.proxies and not settings.behind_proxy:
        why = "has no effect without api.behind_proxy: true; leave it out, or say so"
        yield Problem(where, "api.proxies", ", ".join(settings.proxies), why)
    if settings.behind_proxy and settings.metrics == "loopback":
        why = "would open /metrics to all that comes by a proxy on this machine; say role or off"
        yield Problem(where, "api.metrics", settings.metrics, why)
    if settings.limits.script_kb > settings.limits.body_kb:
        why = f"must be at most the body, api.limits.body_kb = {settings.limits.body_kb}"
        yield Problem(where, "api.limits.script_kb", str(settings.limits.script_kb), why)


def _check_issuers(settings: ApiSettings, factory: Factory, where: str) -> Iterator[Problem]:
    for i, issuer in enumerate(settings.issuers):
        at = f"api.issuers.{i}"
        url = urlsplit(issuer.jwks_url)
        local = url.scheme == "http" and is_loopback(url.hostname or "")
        if url.scheme != "https" and not local:
            why = "must be https; http only on this machine, else anybody could swap the keys"
            yield Problem(where, f"{at}.jwks_url", issuer.jwks_url, why)
        if not issuer.algorithms:
            yield Problem(where, f"{at}.algorithms", "", "is empty; name at least one")
        for j, grant in enumerate(issuer.grants):
            yield from _check_grant(grant, settings, factory, where, f"{at}.grants.{j}")
    names = [issuer.issuer for issuer in settings.issuers]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(where, "api.issuers", name, "stands there twice")


def _check_grant(
    grant: Grant, settings: ApiSettings, factory: Factory, where: str, at: str
) -> Iterator[Problem]:
    if why := party_problem(grant.role, grant.party or "", settings, factory):
        yield Problem(where, f"{at}.party", grant.party or "", why)


def party_problem(role: str, party: str, settings: ApiSettings, factory: Factory) -> str:
    """What is wrong with a role for a party; empty when nothing is."""
    known: dict[str, list[str]] = {
        "tenant": [tenant.name for tenant in factory.tenants],
        "grid_operator": list(settings.grid_operators),
        "energy_partner": list(settings.energy_partners),
    }
    if role not in PARTY_ROLES:
        return f"must be empty: the role {role} stands for nobody" if party else ""
    names = known[role]
    if not party:
        return f"is missing: the role {role} stands for a party"
    if party not in names:
        shown = ", ".join(names[:12]) or "none"
        return f"is not known as {role.replace('_', ' ')}; known: {shown}"
    return ""


def _check_parties(settings: ApiSettings, factory: Factory, where: str) -> Iterator[Problem]:
    contracts = {ppa.name for ppa in factory.energy.ppas}
    for name, operator in settings.grid_operators.items():
        for point in operator.points:
            if point not in factory.sites:
                why = f"is no site of the factory; known: {', '.join(factory.sites)}"
                yield Problem(where, f"api.grid_operators.{name}.points", point, why)
    for name, partner in settings.energy_partners.items():
        for contract in partner.contracts:
            if contract not in contracts:
                why = f"is no contract of the factory; known: {', '.join(sorted(contracts))}"
                yield Problem(where, f"api.energy_partners.{name}.contracts", contract, why)


class _Holder(Block):
    """The part of the service's settings file that this module reads."""

    api: ApiSettings = setting("The HTTP interface.")


def read_api(raw: Mapping[str, Any], factory: Factory, where: str) -> ApiSettings:
    """Read the block `api` of the service's settings.

    Args:
        raw: the block as plain values.
        factory: whose sites, contracts and tenants it names.
        where: the file, for the reader.

    Raises:
        BadInput: with every problem found.
    """
    found, problems, guessed = validate(Document(where, {"api": dict(raw)}), _Holder)
    if found is not None and not guessed:
        problems += check_api(found.api, factory, where)
    if problems or found is None:
        raise BadInput(problems)
    return found.api
