"""Settings of the GOPACS gateway, as they stand in the service's settings file.

The library is not needed to read them, so that a file can be checked where it is not installed.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from gigafactory.adapters.secrets import Secret, is_loopback
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Flag, Name, Text, setting
from gigafactory.factory.quantities import (
    CostEURPerMWh,
    DurationS,
    Figure,
    PositiveCount,
    PositiveDurationS,
    PositivePowerMW,
    PowerMW,
    Share,
)
from gigafactory.factory.transport import HoursPerYear, RightForm

#: The patterns of the specification (Shapeshifter UFTP 3.1.0), as in its XSD.
DOMAIN = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}")
ENTITY = re.compile(r"ea1\.[0-9]{4}-[0-9]{2}\..{1,244}:.{1,244}|ean\.[0-9]{12,34}")
EAN = re.compile(r"[Ee][0-9]{18}")
_KEY_BYTES = 32
_SIGNING_BYTES = 64
_OURS = "Our choice, 2026, assumption"

MinutesOfHour = Annotated[int, Figure(low=5, high=60, whole=True, unit="min")]
Port = Annotated[int, Figure(low=0, high=65_535, whole=True)]
SmallestFactor = Annotated[float, Figure(low=0.01, high=1.0)]


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise PydanticCustomError("form", "{why}", {"why": f"must be {what}"})
        return text

    return AfterValidator(check)


def _public_key(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _KEY_BYTES:
        why = "must be a public signing key: 32 bytes in base64"
        raise PydanticCustomError("form", "{why}", {"why": why})
    return text


def _endpoint(text: str) -> str:
    if not text.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        why = "must begin with https:// (http:// only for this machine itself)"
        raise PydanticCustomError("form", "{why}", {"why": why})
    return text


Domain = Annotated[str, _matching(DOMAIN, "an internet domain in small letters, such as tso.nl")]
EntityAddress = Annotated[
    str, _matching(ENTITY, "an entity address: ean.... or ea1.yyyy-mm....:...")
]
MeterPoint = Annotated[str, _matching(EAN, "E and 18 digits")]
PublicKey = Annotated[str, AfterValidator(_public_key)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]


class OAuth(Block):
    """Client credentials asked for by a counterpart before it takes a message."""

    url: Endpoint = setting("Where tokens are given.")
    client_id: Text = setting("Our name there.")
    client_secret: Secret = setting("Where our secret there is read from.")


class Counterpart(Block):
    """Someone we exchange messages with; no one else is listened to."""

    domain: Domain = setting("Its internet domain, as in its messages.")
    role: Literal["DSO", "CRO"] = setting("Grid operator (DSO) or common reference (CRO).")
    endpoint: Endpoint = setting("Where its messages are delivered.")
    public_key: PublicKey = setting("Its public signing key, base64, got outside this protocol.")
    oauth: OAuth | None = setting("Client credentials; empty: none are asked for.", None)


class Contract(Block):
    """A contract under which orders come without a request."""

    id: Text = setting("ContractID as in its messages.")
    kind: Literal["csc", "atr"] = setting(
        "csc: capacity steering, less import than the baseline. atr: restriction of a transport "
        "right (TDTR, ATR85) held beside the firm one."
    )
    dso: Domain = setting("Domain of the grid operator it is with.")
    capacity_mw: PositivePowerMW = setting(
        "csc: most power that may be called; atr: power of the right.", key="capacity"
    )
    notice_s: DurationS = setting(
        "csc: least time from the order to its first ISP.", 0.0, key="notice", source=_OURS
    )
    hours_max: HoursPerYear | None = setting(
        "csc: most hours called in a calendar year; empty: no limit.", None
    )
    form: RightForm = setting("atr: form of the right.", "duration_bound")
    restricted_before_h: HoursPerYear = setting(
        "atr: hours of this year restricted before the gateway kept count.",
        0.0,
        key="restricted_before",
    )


class UftpSettings(Block):
    """The GOPACS gateway: who we are, whom we trust, what we offer and at what price."""

    domain: Domain = setting("Our internet domain, as in our messages.")
    signing_key: Secret = setting("Where our private signing key is read from (64 bytes, base64).")
    host: Text = setting("Address the server binds.", "127.0.0.1")
    port: Port = setting("Port the server binds; 0: any free one.", 8080)
    tls_cert: str = setting("File of our TLS certificate; empty: none.", "")
    tls_key: str = setting("File of its private key.", "")
    behind_proxy: Flag = setting(
        "Whether another address than this machine's own may be bound without TLS, because "
        "something before the gateway ends TLS.",
        False,
    )
    path: Text = setting("Path messages are posted to.", "/shapeshifter/api/v3/message")
    version: Literal["3.0.0", "3.1.0"] = setting("Version of the specification we write.", "3.1.0")
    counterparts: tuple[Counterpart, ...] = setting("Whom we exchange messages with.")
    dns: Flag = setting(
        "Whether keys and endpoints of others are looked up in DNS. Not built: must be false.",
        False,
    )

    site: Name = setting("Site of the factory file the connection belongs to.")
    congestion_point: EntityAddress = setting("The congestion point.")
    connection: EntityAddress = setting("Our connection at it.")
    meter: MeterPoint | None = setting("EAN of the meter; empty: no metering is sent.", None)
    firm_mw: PowerMW = setting("Firm transport right of the connection.", key="firm")
    isp_min: MinutesOfHour = setting("Length of an ISP.", 15)
    timezone: Text = setting("Time zone of the market.", "Europe/Amsterdam")
    contracts: tuple[Contract, ...] = setting("Contracts under which orders come unasked.", ())

    prognosis: Flag = setting("Whether D-prognoses are sent and are the baseline.", True)
    revise_s: DurationS = setting(
        "Where the plan of ISPs to come has moved by more than `least`, a new prognosis is sent, "
        "at most this often.",
        900.0,
        key="revise",
        source=_OURS,
    )
    baseline_reference: str = setting("Name of the agreed baseline where it is no prognosis.", "")
    offers: Literal["automatic", "operator", "none"] = setting(
        "What becomes of a request: offered at once, offered once an operator accepts it, or not.",
        "automatic",
    )
    price_eur_per_mwh: CostEURPerMWh = setting("Asked per MWh of less import.", key="price")
    offered: Share = setting("Most of the headroom that is offered.", 1.0)
    least_mw: PowerMW = setting("Less than this is not offered.", 0.1, key="least", source=_OURS)
    least_factor: SmallestFactor = setting("Least activation factor of an offer.", 1.0)
    valid_s: PositiveDurationS = setting(
        "Longest time an offer stands.", 4 * 3600.0, key="valid", source=_OURS
    )
    lead_s: DurationS = setting(
        "Least time from an order to its first ISP.", 900.0, key="lead", source=_OURS
    )

    tolerance_mw: PowerMW = setting(
        "Difference of power per ISP let pass in a settlement.", 0.05, key="tolerance", source=_OURS
    )
    bytes_max: PositiveCount = setting("Largest message taken, bytes.", 2_000_000)
    per_minute_max: PositiveCount = setting("Most posts taken from one address in a minute.", 600)
    age_s: PositiveDurationS = setting(
        "Oldest message taken, by its own time stamp.", 24 * 3600.0, key="age", source=_OURS
    )
    ahead_s: DurationS = setting(
        "Most that a time stamp may lie in the future.", 60.0, key="ahead", source=_OURS
    )
    stale_s: PositiveDurationS = setting(
        "What the runtime has published serves no longer than this.", 900.0, key="stale"
    )
    answer_s: PositiveDurationS = setting(
        "An alarm is raised when a message of ours has no answer after this.",
        3600.0,
        key="answer",
        source="Shapeshifter UFTP 3.1.0, transport: at least one hour for routine messages, "
        "2026, published",
    )
    retry_first_s: PositiveDurationS = setting(
        "First wait before a delivery is tried again; it doubles.",
        1.0,
        key="retry_first",
        source=_OURS,
    )
    retry_most_s: PositiveDurationS = setting(
        "Longest wait between tries.", 300.0, key="retry_most", source=_OURS
    )
    retry_count: PositiveCount = setting(
        "Tries after which an alarm is raised; trying goes on, but for what is refused for good.",
        5,
        source=_OURS,
    )
    timeout_s: PositiveDurationS = setting(
        "Longest wait for a counterpart to take a message.", 10.0, key="timeout", source=_OURS
    )
    poll_s: PositiveDurationS = setting(
        "How often the store is looked at.", 0.5, key="poll", source=_OURS
    )

    @model_validator(mode="after")
    def _agree(self) -> UftpSettings:
        pairs = [(one.domain, one.role) for one in self.counterparts]
        problems = []
        if len(set(pairs)) != len(pairs):
            problems.append("each counterpart is named once by domain and role")
        operators = {one.domain for one in self.counterparts if one.role == "DSO"}
        if not operators:
            problems.append("counterparts need at least one with the role DSO")
        problems += [
            f"contract {one.id} is with {one.dso}, which is no counterpart with the role DSO"
            for one in self.contracts
            if one.dso not in operators
        ]
        if len({one.id for one in self.contracts}) != len(self.contracts):
            problems.append("each contract is named once")
        if 60 % self.isp_min:
            problems.append("isp_min must divide an hour: 5, 15, 30 or 60")
        if bool(self.tls_cert) != bool(self.tls_key):
            problems.append("tls_cert and tls_key belong together")
        if not is_loopback(self.host) and not (self.tls_cert or self.behind_proxy):
            problems.append(f"host {self.host} needs tls_cert and tls_key, or behind_proxy")
        if self.dns:
            problems.append("dns is not built: name keys and endpoints under counterparts")
        if not self.prognosis and not self.baseline_reference:
            problems.append("without prognosis, baseline_reference names the agreed baseline")
        if problems:
            raise PydanticCustomError("uftp", "{why}", {"why": "; ".join(problems)})
        return self

    @property
    def operators(self) -> tuple[Counterpart, ...]:
        """The grid operators."""
        return tuple(one for one in self.counterparts if one.role == "DSO")

    @property
    def references(self) -> tuple[Counterpart, ...]:
        """The common references."""
        return tuple(one for one in self.counterparts if one.role == "CRO")

    def counterpart(self, domain: str, role: str) -> Counterpart | None:
        """The counterpart of a domain and role; None when there is none."""
        for one in self.counterparts:
            if (one.domain, one.role) == (domain, role):
                return one
        return None

    def contract(self, name: str | None, dso: str) -> Contract | None:
        """The contract of a name with a grid operator; None when there is none."""
        for one in self.contracts:
            if (one.id, one.dso) == (name, dso):
                return one
        return None


def signing_key(settings: UftpSettings) -> str:
    """Our private signing key, base64.

    Raises:
        BadInput: it is not there or no key.
    """
    where = "gopacs signing_key"
    text = settings.signing_key.read(where)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SIGNING_BYTES:
        raise BadInput([Problem(where, "", "", "must be 64 bytes in base64 (a crypto_sign key)")])
    return text
