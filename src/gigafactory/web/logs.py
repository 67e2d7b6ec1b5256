"""Structured logs: one JSON object a line, and no secret in any of them."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any, Final

from gigafactory.web.shown import stamp

ACCESS: Final = "gigafactory.web.access"
HIDDEN: Final = "[hidden]"

#: What a secret looks like: what follows `Bearer`, a token of ours, a JSON Web Token, a private
#: key, the password in a URL, and whatever stands after a telling name, in JSON too.
_QUOTE: Final = r"(?:\\*[\"'])?"
_SECRET: Final = re.compile(
    r"(?P<bearer>(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|\bgf[a-z]*_[A-Za-z0-9_.-]{12,}"
    r"|\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|(?=\")|$)"
    r"|(?P<scheme>\b[a-z][a-z0-9+.-]*://[^\s:/@\"]*:)[^\s@/\"\\]+(?=@)"
    r"|(?P<name>(?i:password|passwd|secret|token|api[_-]?key|authorization)"
    + _QUOTE
    + r"\s*[=:]\s*"
    + _QUOTE
    + r"(?:(?i:bearer|basic)\s+)?)[^\s\"',;&}\\]{4,}",
    re.DOTALL,
)


def redact(text: str) -> str:
    """A text with everything that looks like a secret taken out; JSON stays JSON."""
    return _SECRET.sub(_hide, text)


def _hide(found: re.Match[str]) -> str:
    kept = found["bearer"] or found["scheme"] or found["name"] or ""
    return kept + HIDDEN


class JsonLines(logging.Formatter):
    """A record as one line of JSON without secrets, its traceback included.

    What stands in the record's `fields` stands beside the message.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": stamp(int(record.created * 1000.0) * 1_000_000),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= fields
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return redact(json.dumps(line, ensure_ascii=False))


def set_up(level: int = logging.INFO, stream: Any = None) -> logging.Handler:
    """Send the logs of the house, and of the server it runs on, to a stream as lines of JSON.

    Args:
        level: least severe that is written.
        stream: where to; standard error when left out.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("gigafactory", "uvicorn", "uvicorn.error"):
        log = logging.getLogger(name)
        log.handlers = [handler] if name != "uvicorn.error" else []
        log.propagate = name == "uvicorn.error"
        log.setLevel(level)
    # What libraries log of their requests may carry addresses with keys in them.
    for name in ("httpx", "httpcore", "sqlalchemy", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler
