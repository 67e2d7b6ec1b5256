"""One HTTP GET: bounded, without redirects, its trouble in words that hold no key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gigafactory.adapters.feeds.feed import Unsound

_BYTES_MAX = 8_000_000


def fetch(
    httpx: Any, url: str, query: Mapping[str, Any], headers: Mapping[str, str], timeout_s: float
) -> str:
    """The text of an answer.

    Raises:
        Unsound: no answer, another status than 200, or too long.
    """
    try:
        with (
            httpx.Client(timeout=timeout_s, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, params=dict(query), headers=dict(headers)) as answer,
        ):
            if answer.status_code != 200:
                raise Unsound(f"answered {answer.status_code}")
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > _BYTES_MAX:
                    raise Unsound(f"an answer of more than {_BYTES_MAX} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unsound(f"no answer ({type(error).__name__})") from None
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Unsound("an answer that is no text") from None
