"""How values are written down: canonical JSON, names that sort by time, text that can be kept."""

from __future__ import annotations

import json
import math
import re
import secrets
import threading
from collections.abc import Iterable
from typing import Any, Final

from gigafactory.engine.errors import BadInput, Problem

#: Characters of a name: digits and capitals without those easily mistaken, in ASCII order.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_LENGTH: Final = 26
_HALF: Final = 13
_SHIFTS: Final = tuple(5 * i for i in range(_HALF - 1, -1, -1))
TEXT_MAX: Final = 4_000
KEY_MAX: Final = 255
BODY_MAX: Final = 1 << 20

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
_ID = re.compile(f"[{ALPHABET}]{{{ID_LENGTH}}}")
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


class _Names:
    """Names in the order they were given, also of those given in one instant."""

    def __init__(self) -> None:
        self._at_ns, self._chance = -1, 0
        self._lock = threading.Lock()

    def new(self, at_ns: int) -> str:
        with self._lock:
            drawn = int.from_bytes(secrets.token_bytes(8))  # random-ok: nobody else may give it
            if at_ns == self._at_ns:
                drawn = self._chance + 1 + (drawn >> 16)  # 48 bits further: up, and not guessed
            else:
                drawn >>= 1
            assert drawn < 1 << 65, "more names in one instant than there are"
            self._at_ns, self._chance = at_ns, drawn
        return _base32(at_ns) + _base32(drawn)


_NAMES: Final = _Names()


def new_id(at_ns: int) -> str:
    """A name of 26 characters: the instant, then chance; it sorts by time and cannot be guessed.

    Names that one process gives for the same instant rise in the order they were given.
    """
    return _NAMES.new(at_ns)


def is_id(text: str) -> bool:
    """Whether a text could be a name given by `new_id`; what could not is not looked for."""
    return _ID.fullmatch(text) is not None


def _base32(value: int) -> str:
    assert 0 <= value < 1 << 65, value
    return "".join([ALPHABET[value >> shift & 31] for shift in _SHIFTS])


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
