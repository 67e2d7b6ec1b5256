"""Secrets and encryption as every adapter's settings name them.

A secret never stands in a settings file: the file names where it is (`{file: path}` or
`{env: NAME}`), it is read when it is needed, and its text form never shows it.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, Text, setting

#: A secret longer than this is a wrong file, not a secret.
_SECRET_BYTES: Final = 65_536


class Secret(Block):
    """Where a secret is. Exactly one of the two is given."""

    file: Text | None = setting("A file whose text, without blanks at its ends, is it.", None)
    env: Text | None = setting("An environment variable that holds it.", None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            why = "needs one of {file: ...} and {env: ...}, and never the secret itself"
            raise PydanticCustomError("secret", "{why}", {"why": why})
        return self

    def read(self, where: str) -> str:
        """The secret itself; do not log it.

        Args:
            where: what it is for, for the reader of a problem.

        Raises:
            BadInput: there is none, or it is empty; the words never show what was found.
        """
        if self.env is not None:
            found = os.environ.get(self.env, "").strip()
            why = "this environment variable is not set or is empty"
        else:
            assert self.file is not None, "one of the two is given"
            why = "this file cannot be read, is empty or is no secret"
            try:
                with Path(self.file).open("rb") as file:
                    raw = file.read(_SECRET_BYTES + 1)
                found = raw.decode().strip() if len(raw) <= _SECRET_BYTES else ""
            except (OSError, UnicodeDecodeError):
                found = ""
        if not found:
            raise BadInput([Problem(where, "secret", self.env or self.file or "", why)])
        return found


def is_secret(told: object) -> bool:
    """Whether a value, as it stands in a file, has the form of a secret's place."""
    return isinstance(told, Mapping) and bool(told) and set(told) <= {"file", "env"}


def rooted(told: Any, folder: Path) -> Any:
    """Settings as they stand in a file, the files of their secrets counted from a folder."""
    if is_secret(told):
        file = told.get("file")
        if isinstance(file, str) and file:
            return {**told, "file": str(folder.absolute() / file)}
        return dict(told)
    if isinstance(told, Mapping):
        return {key: rooted(value, folder) for key, value in told.items()}
    if isinstance(told, list):
        return [rooted(value, folder) for value in told]
    return told


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
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
