"""Look the pinned dependencies up among known vulnerabilities.

Exits with 1 when one is known. Exits with 0 when none is, and also when that cannot be found out
from here, which it then says: a build without a way out must not pass for a checked one. Whether a
service answers at all is tried on a release whose weaknesses everybody knows.

Usage: ``.venv/bin/python tools/audit.py``
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Has had published weaknesses since 2019; a service that knows none of them knows nothing.
KNOWN_WEAK = "jinja2==2.10"
#: Advisory services, in the order they are asked.
SERVICES = ("pypi", "osv")
LIMIT_S = 300


def look_up(requirements: Path, service: str) -> list[dict[str, Any]] | None:
    """What a service says of each dependency; None when it does not answer."""
    command = [
        sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--format", "json",
        "--no-deps", "--disable-pip", "--timeout", "10", "-s", service, "-r", str(requirements),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def main(lock: Path = ROOT / "requirements.lock") -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory() as folder:
        weak = Path(folder) / "weak.txt"
        weak.write_text(KNOWN_WEAK + "\n", encoding="utf-8")
        answering = [
            one for one in SERVICES if any(row.get("vulns") for row in look_up(weak, one) or [])
        ]
    rows = look_up(lock, answering[0]) if answering else None
    if rows is None:
        print("audit: NOT CHECKED: no advisory service can be reached from here")
        return 0
    bad = [row for row in rows if row.get("vulns")]
    for row in bad:
        for one in row["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "no release yet"
            print(f"audit: {row['name']} {row['version']}: {one['id']}, mended in {fixed}")
    skipped = [row["name"] for row in rows if "skip_reason" in row]
    if skipped:
        print(f"audit: NOT CHECKED: {', '.join(skipped)}")
    print(f"audit: {len(rows) - len(skipped)} of {len(rows)} dependencies checked, {len(bad)} weak")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
