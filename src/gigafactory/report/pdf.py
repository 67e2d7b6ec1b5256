"""A page of this room on paper: printed by a library where it is installed, else by a browser.

WeasyPrint (the optional extra `pdf`) comes first: it needs no browser, and the same page gives the
same bytes. Chromium is the fallback; the day it stamps on its file is taken off again. Neither
loads anything from elsewhere: the page names nothing to load.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gigafactory.report.palette import COLOURS, variable

#: Names under which a browser that can print may be installed.
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_SECONDS_MOST: Final = 120
_NEITHER: Final = (
    "no PDF was written: install the extra with pip install 'gigafactory[pdf]' (it needs the "
    "system library pango), or install chromium; the page itself stands at {page}"
)
#: The style of `page/report.css` and `page/statement.css` for drawings, said inside of them.
_DRAWN: Final = (
    "text{font-size:8.6px;font-family:var(--sans);fill:var(--ink)}.soft{fill:var(--soft)}"
    ".strong{font-weight:700}.held{fill:var(--alarm)}"
)
_STAMPS: Final = re.compile(rb"/(CreationDate|ModDate) ?\(D:[^)]*\)")


@dataclass(frozen=True, slots=True)
class NotPrinted:
    """Why there is no PDF, in a sentence for the user."""

    why: str


def print_pdf(page: Path) -> Path | NotPrinted:
    """Print a page as PDF beside it.

    Args:
        page: an HTML file of this room.

    Returns:
        The PDF, or why there is none.
    """
    part = page.with_suffix(".pdf.part")
    for press in _presses():
        why = press(page, part)
        if why is not None:
            part.unlink(missing_ok=True)
            return NotPrinted(f"no PDF was written: {why}; the page itself stands at {page}")
        path = page.with_suffix(".pdf")
        os.replace(part, path)  # noqa: PTH105  (atomic: a reader never sees half a file)
        return path
    return NotPrinted(_NEITHER.format(page=page))


def _presses() -> list[Callable[[Path, Path], str | None]]:
    """What can print here, the best first."""
    found: list[Callable[[Path, Path], str | None]] = []
    if find_spec("weasyprint") is not None:
        found.append(_weasyprint)
    if any(map(shutil.which, BROWSERS)):
        found.append(_browser)
    return found


def plain_colours(html: str) -> str:
    """A page whose drawings carry the colours of paper and the sizes of their text themselves.

    A browser takes them from the page's style; WeasyPrint does not do so inside of drawings.
    """
    light: Mapping[str, str] = {variable(name): pair[0] for name, pair in COLOURS.items()}
    light = {**light, "var(--sans)": "'DejaVu Sans',sans-serif"}

    def coloured(drawing: re.Match[str]) -> str:
        found = drawing[0]
        if 'class="flow"' in found:
            found = found.replace("><title", f"><style>{_DRAWN}</style><title", 1)
        return re.sub(r"var\(--[a-z0-9-]+\)", lambda m: light.get(m[0], m[0]), found)

    return re.sub(r"<svg .*?</svg>", coloured, html, flags=re.DOTALL)


def _weasyprint(page: Path, out: Path) -> str | None:
    try:
        import weasyprint
    except OSError as error:  # the library is there and what it draws with is not
        return f"WeasyPrint lacks a system library ({' '.join(str(error).split())[:120]})"
    html = plain_colours(page.read_text("utf-8"))
    weasyprint.HTML(string=html, base_url=None).write_pdf(out)
    return None


def _browser(page: Path, out: Path) -> str | None:
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer"),
            "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves this machine
            *("--disable-background-networking", "--disable-sync", "--disable-component-update"),
            *(f"--user-data-dir={profile}", f"--print-to-pdf={out}"),
            # a browser refuses to guard itself as root; the page is ours and runs nothing
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            page.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(  # noqa: S603  (a browser found by name, our own page)
                command, capture_output=True, timeout=_SECONDS_MOST, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{browser} failed ({type(error).__name__})"
    if done.returncode or not out.is_file():
        return f"{browser} ended with code {done.returncode}"
    out.write_bytes(_STAMPS.sub(_unstamped, out.read_bytes()))
    return None


def _unstamped(stamp: re.Match[bytes]) -> bytes:
    """A stamp of the same length that says no day, so that places in the file stay right."""
    begin = b"/" + stamp[1] + stamp[0][len(stamp[1]) + 1 : stamp[0].index(b"D:") + 2]
    rest = len(stamp[0]) - len(begin) - 1
    return begin + b"19700101000000+00'00'"[:rest].ljust(rest, b"0") + b")"


__all__ = ["BROWSERS", "NotPrinted", "plain_colours", "print_pdf"]
