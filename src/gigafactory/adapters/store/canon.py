"""How values are written down: canonical JSON, names that sort by time, text that can be kept."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterable
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem

#: Characters of a name: digits and capitals without those easily mistaken, in ASCII order.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_LENGTH: Final = 26
_HALF: Final = 13
TEXT_MAX: Final = 4_000
KEY_MAX: Final = 255
BODY_MAX: Final = 1 << 20

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_UNKEPT = re.compile("[\0\ud800-\udfff]")


def to_text(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII, so that equal values are equal text.

    Raises:
        BadInput: it holds what JSON has no word for (nan, an object), or is over a mebibyte.
    """
    try:
        text = _encode(dict(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput([Problem("body", "", "", f"is not plain JSON: {error}")]) from None
    if len(text) > BODY_MAX:
        raise BadInput([Problem("body", "", "", f"is over {BODY_MAX:,} characters")])
    return text


def from_text(text: str) -> dict[str, Any]:
    """The value of canonical JSON."""
    value: dict[str, Any] = json.loads(text)
    return value


def new_id(at_ns: int) -> str:
    """A name of 26 characters: the instant, then chance; it sorts by time and cannot be guessed."""
    chance = int.from_bytes(secrets.token_bytes(8))  # random-ok: a name nobody else may give
    return _base32(at_ns) + _base32(chance)


def _base32(value: int) -> str:
    assert 0 <= value < 1 << 65, value
    return "".join(ALPHABET[value >> (5 * i) & 31] for i in range(_HALF - 1, -1, -1))


def check_texts(where: str, **texts: str) -> None:
    """Refuse text that one of the engines cannot keep, or that is longer than anybody needs.

    Raises:
        BadInput: every text with a NUL, half a character, or too many of them.
    """
    problems = list(_wrong(where, texts.items()))
    if problems:
        raise BadInput(problems)


def _wrong(where: str, texts: Iterable[tuple[str, str]]) -> Iterable[Problem]:
    for name, text in texts:
        limit = KEY_MAX if name.endswith(("key", "id", "tenant", "party", "channel")) else TEXT_MAX
        if len(text) > limit:
            yield Problem(where, name, text[:40], f"is longer than {limit:,} characters")
        elif _UNKEPT.search(text):
            yield Problem(where, name, ascii(text[:40]), "holds a character that cannot be kept")


def check_finite(where: str, **numbers: float) -> None:
    """Refuse numbers that are none.

    Raises:
        BadInput: every nan or infinity.
    """
    wrong = [
        Problem(where, name, str(number), "is no finite number")
        for name, number in numbers.items()
        if not math.isfinite(number)
    ]
    if wrong:
        raise BadInput(wrong)
