"""What every channel's settings share: secrets, TLS, how old and how large an order may be.

A secret never stands in a settings file: the file names where it is (`{file: path}` or
`{env: NAME}`), it is read when it is needed, and its text form never shows it.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Name, Text, setting
from gigafactory.factory.quantities import DurationS, PositiveDurationS, PositivePowerMW

#: A secret longer than this is a wrong file, not a secret.
_SECRET_BYTES = 65_536


class Secret(Block):
    """Where a secret is. Exactly one of the two is given."""

    file: Text | None = setting("A file whose text, without blanks at its ends, is it.", None)
    env: Text | None = setting("An environment variable that holds it.", None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise PydanticCustomError("secret", "give either file: or env:, and never the secret")
        return self

    def read(self, where: str) -> str:
        """The secret itself.

        Args:
            where: what it is for, for the reader of a problem.

        Raises:
            BadInput: there is none, or it is empty; the words never show what was found.
        """
        if self.env is not None:
            found = os.environ.get(self.env, "").strip()
            why = "this environment variable is not set or is empty"
        else:
            assert self.file is not None
            why = "this file cannot be read, is empty or is no secret"
            try:
                raw = Path(self.file).read_bytes()
                found = raw.decode().strip() if len(raw) <= _SECRET_BYTES else ""
            except (OSError, UnicodeDecodeError):
                found = ""
        if not found:
            raise BadInput([Problem(where, "secret", self.env or self.file or "", why)])
        return found


class Tls(Block):
    """Encryption. The other side's certificate is always checked; nothing here turns that off."""

    ca: Text | None = setting("Certificates trusted, a PEM file; none: the system's own.", None)
    certificate: Text | None = setting("Our own certificate, a PEM file, where asked for.", None)
    key: Text | None = setting("The key of our certificate, a PEM file.", None)

    def context(self, where: str) -> ssl.SSLContext:
        """A client's context: TLS 1.2 at least, host name and chain checked.

        Raises:
            BadInput: a file is missing or is no PEM.
        """
        try:
            made = ssl.create_default_context(cafile=self.ca)
            made.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.certificate is not None:
                made.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError):
            given = ", ".join(filter(None, (self.ca, self.certificate, self.key)))
            why = "cannot be used: missing, unreadable, or no certificate and key in PEM form"
            raise BadInput([Problem(where, "tls", given, why)]) from None
        return made


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself, so that plain text does not leave it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _port(value: int) -> int:
    if not 1 <= value <= 65_535:
        raise PydanticCustomError("port", "must be a port, from 1 to 65535")
    return value


Port = Annotated[int, AfterValidator(_port)]


class ChannelSettings(Block):
    """What every channel needs to know."""

    name: Name = setting("The channel, as orders name their source: `afrr`, `openadr`, ...")
    point: Name = setting("The connection it speaks about, as the factory file names its site.")
    power_mw_max: PositivePowerMW = setting(
        "An order of more, either way, is absurd and refused: the contracted power.",
        key="power_max",
    )
    age_s_max: PositiveDurationS = setting(
        "A message issued longer ago than this when it comes is stale.",
        10.0,
        key="age_max",
        source="assumption, 2026: two and a half cycles of a setpoint every 4 s",
    )
    ahead_s_max: DurationS = setting(
        "A message issued further in the future than this by our clock is refused.",
        2.0,
        key="ahead_max",
        source="assumption, 2026: clocks kept by NTP or better differ by far less",
    )
    begins_s_max: PositiveDurationS = setting(
        "An order that begins further ahead than this is refused.",
        691_200.0,
        key="begins_max",
        source="assumption, 2026: eight days",
    )
    lasts_s_max: PositiveDurationS = setting(
        "An order that lasts longer than this is refused.",
        2_678_400.0,
        key="lasts_max",
        source="assumption, 2026: 31 days",
    )
    silent_s: PositiveDurationS = setting(
        "Without a sound message for so long the channel is in trouble.",
        12.0,
        key="silent",
        source="assumption, 2026: three setpoints missed, one every 4 s",
    )
