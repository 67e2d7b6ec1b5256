"""Signatures over messages of a transport that has none of its own.

The envelope is JSON: `payload` (the message as text), `key` (which key signed) and `signature`
(base64). What is signed is the name of this scheme, the topic and the payload's bytes, so that a
message for one topic proves nothing on another. HMAC-SHA256 with a shared secret of 32 bytes or
more, or Ed25519.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from gigafactory.adapters.secrets import Secret
from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.blocks import Block, setting

SCHEME = b"gigafactory-signed-1"
#: A message longer than this is refused unread.
BYTES_MAX = 4096
_SECRET_BYTES_MIN = 32


class KeySettings(Block):
    """A key that signs messages, or proves them."""

    algorithm: Literal["hmac-sha256", "ed25519"] = setting("hmac-sha256 or ed25519.")
    secret: Secret = setting(
        "The key, base64: for hmac-sha256 the shared secret (32 bytes or more); for ed25519 32 "
        "bytes, the sender's public key where messages are proved, ours where they are signed."
    )


class Untrue(Exception):  # noqa: N818  (it says what is wrong)
    """A message that cannot be trusted.

    Attributes:
        malformed: it is no envelope at all; else it is one that proves nothing.
    """

    def __init__(self, why: str, *, malformed: bool = False) -> None:
        self.malformed = malformed
        super().__init__(why)


class Key(Protocol):
    """Something that signs or proves."""

    def sign(self, data: bytes) -> bytes: ...  # noqa: D102
    def proves(self, data: bytes, signature: bytes) -> bool: ...  # noqa: D102


class _Shared:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, data: bytes) -> bytes:
        return hmac.digest(self._secret, data, hashlib.sha256)

    def proves(self, data: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(self.sign(data), signature)


class _Public:
    def __init__(self, public: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._public = Ed25519PublicKey.from_public_bytes(public)

    def sign(self, data: bytes) -> bytes:  # noqa: ARG002  (the shape of a key)
        raise AssertionError("a public key signs nothing")

    def proves(self, data: bytes, signature: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class _Private:
    def __init__(self, private: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(private)

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)

    def proves(self, data: bytes, signature: bytes) -> bool:  # noqa: ARG002  (the shape of a key)
        raise AssertionError("our own key proves nobody else's message")


def read_key(settings: KeySettings, where: str, *, signs: bool) -> Key:
    """Read a key.

    Args:
        settings: where it is.
        where: what it is for, for a problem.
        signs: whether it is to sign; else it proves.

    Raises:
        BadInput: it is not there, no base64, or of a wrong length.
    """
    text = settings.secret.read(where)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    shared = settings.algorithm == "hmac-sha256"
    if len(raw) < _SECRET_BYTES_MIN or (not shared and len(raw) != _SECRET_BYTES_MIN):
        size = "32 bytes or more" if shared else "32 bytes"
        why = f"must be {size}, in base64"
        raise BadInput([Problem(where, "secret", settings.algorithm, why)])
    if shared:
        return _Shared(raw)
    return _Private(raw) if signs else _Public(raw)


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    payload: str
    key: str
    signature: str


def _signed(topic: str, payload: str) -> bytes:
    return b"\n".join((SCHEME, topic.encode(), payload.encode()))


def seal(topic: str, payload: str, key_name: str, key: Key) -> bytes:
    """Wrap and sign a payload."""
    signature = base64.b64encode(key.sign(_signed(topic, payload))).decode()
    return _Envelope(payload=payload, key=key_name, signature=signature).model_dump_json().encode()


def unseal(topic: str, body: bytes, keys: dict[str, Key]) -> str:
    """The payload of a message, proved.

    Raises:
        Untrue: too long, no envelope, signed by nobody known, or not signed so.
    """
    if len(body) > BYTES_MAX:
        raise Untrue(f"{len(body)} bytes, more than {BYTES_MAX}", malformed=True)
    try:
        envelope = _Envelope.model_validate_json(body)
        data = _signed(topic, envelope.payload)
        signature = base64.b64decode(envelope.signature, validate=True)
    except (ValidationError, ValueError):
        raise Untrue("no envelope of payload, key and signature", malformed=True) from None
    key = keys.get(envelope.key)
    if key is None:
        raise Untrue("signed with a key nobody gave us")
    if not key.proves(data, signature):
        raise Untrue("the signature does not fit")
    return envelope.payload
