"""Bytes to records and back: envelope, signature, XML, by the official library.

Its message classes and serialiser are used as they are. Its parser is used behind a guard and with
conversion errors told, and what its classes state about themselves (required, pattern, bounds) is
held, since the parser does not. No I/O; importing it needs `gigafactory[serve]`.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import threading
import warnings
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from typing import Any, Final

import shapeshifter_uftp.uftp as uftp
from nacl.bindings import crypto_sign, crypto_sign_open
from nacl.exceptions import BadSignatureError
from nacl.exceptions import ValueError as NaclValueError
from shapeshifter_uftp import transport
from shapeshifter_uftp.logging import handler as library_handler
from xsdata.exceptions import ConverterError, ConverterWarning, ParserError, XmlHandlerError
from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig

from gigafactory.adapters.uftp import reading, writing
from gigafactory.adapters.uftp.guard import Unsafe, guard
from gigafactory.adapters.uftp.settings import Counterpart, UftpSettings
from gigafactory.adapters.uftp.terms import AGR, Record

# The library logs every message, content included, to the terminal; ours is the only log.
logging.getLogger("shapeshifter-uftp").removeHandler(library_handler)
logging.getLogger("shapeshifter-uftp").setLevel(logging.ERROR)

_SIGNATURE_BYTES: Final = 64
_PARSER: Final = XmlParser(
    context=XmlContext(), config=ParserConfig(fail_on_converter_warnings=True)
)
#: One at a time: the parser turns warnings to errors by a switch that all threads share.
_PARSING: Final = threading.Lock()
#: Classes by the name of their root element.
CLASSES: Final[dict[str, Any]] = {
    getattr(getattr(one, "Meta", None), "name", one.__name__): one
    for one in (*uftp.routing_map, uftp.TestMessage, uftp.TestMessageResponse)
} | {"FlexSettlement": reading.LenientSettlement}


@dataclass(frozen=True, slots=True)
class Refused:
    """A post that is not taken.

    Attributes:
        status: HTTP status the specification gives for it.
        why: in words.
        alarm: kind of alarm to raise; empty for none.
        about: what the alarm is about.
    """

    status: int
    why: str
    alarm: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A post that is taken: signed by a counterpart, and a message of the specification.

    Attributes:
        record: the message.
        inner_domain: the sender it names inside.
        digest: SHA-256 of what was signed, hexadecimal; tells a copy from a message that reuses an
            id.
    """

    record: Record
    inner_domain: str
    digest: str


def public_key_of(signing_key: str) -> str:
    """The public half of a signing key, both base64: the last 32 of its 64 bytes."""
    return base64.b64encode(base64.b64decode(signing_key)[32:]).decode()


def open_post(body: bytes, at_ns: int, settings: UftpSettings) -> Opened | Refused:
    """Look a post over, check its signature, read it.

    Args:
        body: the bytes posted; their number is checked before.
        at_ns: received, ns UTC.
        settings: whom we listen to.
    """
    envelope = _read(body, uftp.SignedMessage, "SignedMessage")
    if isinstance(envelope, str):
        return Refused(400, f"the envelope {envelope}")
    sender = settings.counterpart(envelope.sender_domain, str(envelope.sender_role))
    if sender is None:
        about = f"{envelope.sender_domain}/{envelope.sender_role}"
        why = f"{about} is none of our counterparts; nothing was done"
        return Refused(419, why, "unknown_sender", about)
    inner = unsealed(envelope.body, sender)
    if inner is None:
        about = f"{sender.domain}/{sender.role}"
        why = f"a message in the name of {about} is not signed with its key; nothing was done"
        return Refused(401, why, "forged_message", about)
    return _open_inner(inner, sender.domain, sender.role, at_ns)


def unsealed(sealed: bytes, sender: Counterpart) -> bytes | None:
    """What a sender signed; None when it did not."""
    try:
        return bytes(crypto_sign_open(sealed, base64.b64decode(sender.public_key)))
    except (BadSignatureError, NaclValueError, ValueError, TypeError):
        return None


def _open_inner(inner: bytes, party: str, role: str, at_ns: int) -> Opened | Refused:
    try:
        root = guard(inner)
    except Unsafe as unsafe:
        return Refused(400, f"the message {unsafe}", "bad_message", f"{party}/{role}")
    found = CLASSES.get(root)
    if found is None:
        return Refused(400, f"{root[:60]} is no message of the specification")
    message = _read(inner, found, root)
    if isinstance(message, str):
        return Refused(400, f"the message {message}")
    try:
        record = reading.record(message, party, role, at_ns)
    except ValueError as error:
        return Refused(400, f"the message cannot be read: {error}")
    return Opened(record, message.sender_domain, hashlib.sha256(inner).hexdigest())


def _read(document: bytes, model: Any, root: str) -> Any:
    """A document as a class of the library, or as text what is wrong with it."""
    try:
        if guard(document) != root:
            return f"is no {root}"
    except Unsafe as unsafe:
        return str(unsafe)
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("error", ConverterWarning)
        try:
            message = _PARSER.from_bytes(document, model)
        except (
            ParserError,
            ConverterError,
            ConverterWarning,
            XmlHandlerError,
            TypeError,
            ValueError,
            ArithmeticError,
        ) as error:
            return f"does not comply with the schema: {str(error)[:300]}"
    wrong = schema_faults(message)
    return f"does not comply with the schema: {'; '.join(wrong[:5])}" if wrong else message


def schema_faults(message: Any, where: str = "") -> list[str]:
    """What a message holds that its class forbids: required, pattern, bounds, fraction digits."""
    wrong: list[str] = []
    for one in fields(message):
        value, rule = getattr(message, one.name), one.metadata
        name = f"{where}{rule.get('name', one.name)}"
        if value is None:
            if rule.get("required"):
                wrong.append(f"{name} is missing")
            continue
        if isinstance(value, list):
            for k, item in enumerate(value):
                if is_dataclass(item):
                    wrong += schema_faults(item, f"{name}[{k}].")
            continue
        pattern = rule.get("pattern")
        if pattern and not re.fullmatch(pattern, str(value)):
            wrong.append(f"{name} has not the form it must have")
        low, high = rule.get("min_inclusive"), rule.get("max_inclusive")
        if (low is not None and value < low) or (high is not None and value > high):
            wrong.append(f"{name} is out of bounds")
        digits = rule.get("fraction_digits")
        if digits is not None and -Decimal(value).as_tuple().exponent > digits:  # type: ignore[operator]
            wrong.append(f"{name} has more than {digits} decimals")
    return wrong


def sealed_post(record: Record, settings: UftpSettings, signing_key: str) -> bytes:
    """A record of ours as bytes to post: XML, signed, in its envelope."""
    message = writing.message(record, settings)
    wrong = schema_faults(message)
    assert not wrong, f"our own {record.head.kind} breaks the schema: {wrong}"
    xml = transport.to_xml(message).encode()
    envelope = uftp.SignedMessage(
        sender_domain=settings.domain,
        sender_role=uftp.UsefRole(AGR),
        body=crypto_sign(xml, base64.b64decode(signing_key)),
    )
    return str(transport.to_xml(envelope)).encode()


def reopened(body: bytes, party: str, role: str, at_ns: int) -> Opened:
    """A stored post as a record; its signature was checked, or made, when it was stored.

    Args:
        body: the bytes as stored.
        party: domain of the counterpart, sender or recipient.
        role: its role.
        at_ns: received or written, ns UTC.
    """
    envelope = _read(body, uftp.SignedMessage, "SignedMessage")
    assert not isinstance(envelope, str), f"a stored message {envelope}"
    opened = _open_inner(envelope.body[_SIGNATURE_BYTES:], party, role, at_ns)
    assert isinstance(opened, Opened), f"a stored message is refused: {opened}"
    return opened
