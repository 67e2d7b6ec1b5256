"""The reference page of the HTTP interface, made from its own description."""

from __future__ import annotations

from typing import Any, Final

from gigafactory.factory.describing import settings_rows
from gigafactory.runtime.apisettings import ApiSettings
from gigafactory.web.api import described
from gigafactory.web.problems import KINDS
from gigafactory.web.routes.common import PAGE, PAGE_MAX

_HEAD: Final = f"""# The HTTP interface

The service answers over HTTP under `/v1`. `/v1/openapi.json`, for anyone with a token, describes
every field; this page says what there is and who may use it.
[Who could attack it, and what stops them](../explanation/security.md).

- **Token**: `Authorization: Bearer <token>`: one that the administrator made, or one of an identity
  provider named in the settings. Without a valid one the answer is 401, with a role that may not
  403, and what is another party's is 404 like what does not exist.
- **Changes** (POST, DELETE) carry an `Idempotency-Key` of 8 to 200 visible characters. The same
  request with the same key gives the same answer and changes nothing more; another one is 409.
  A token's secret is the exception: it is shown once.
- **Lists** come in pages of {PAGE}, at most {PAGE_MAX} (`limit`). Give `next` as `after` until it
  is null.
- **Errors** are problem details (RFC 9457, `application/problem+json`) with every problem found in
  `problems`: field, value, and what would be right. What has the wrong shape is told first, then
  what breaks a rule.
- **Limits**: `RateLimit-Limit`, `-Remaining` and `-Reset` come with each answer; beyond them the
  answer is 429, and `Retry-After` says how long to wait.
- **Trouble**: 503 when the store cannot be reached. A change may have been made then; ask again
  with the same key.
"""


def api_markdown() -> str:
    """The page."""
    schema = described()
    lines = [_HEAD]
    for tag in schema["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        lines += ["| request | roles | meaning |", "|---|---|---|"]
        for path, methods in schema["paths"].items():
            lines += [
                _row(method, path, told)
                for method, told in methods.items()
                if tag["name"] in told["tags"]
            ]
        lines.append("")
    lines += [
        "## Kinds of problem",
        "",
        "| type `urn:gigafactory:problem:` | meaning |",
        "|---|---|",
    ]
    lines += [f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items()]
    lines += ["", "## Settings", "", "The block `api` of the service's settings file.", ""]
    lines += settings_rows(ApiSettings)
    return "\n".join(lines)


def _row(method: str, path: str, told: dict[str, Any]) -> str:
    roles = ", ".join(told.get("x-roles", ["all, without a token"]))
    first = str(told["description"]).split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
    return f"| `{method.upper()} {path}` | {roles} | {first} |"
