"""In a real browser: no error, no request; a whole year in time and size."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gigafactory.report import write_report
from gigafactory.testing.run_folder import write_run_folder

pytestmark = pytest.mark.slow

#: Hosts the browser itself asks when it starts, whatever the page.
HOUSEKEEPING = {"clients2.google.com", "update.googleapis.com", "accounts.google.com"}


def _browse(
    chromium: str, tmp_path: Path, page: Path, *what: str
) -> subprocess.CompletedProcess[str]:
    command = [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves this machine
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--v=0"),
        *(f"--log-net-log={tmp_path / 'net.json'}", *what, page.as_uri()),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_the_page_opens_without_errors_or_requests(
    chromium: str, copy: Path, tmp_path: Path, lang: str
) -> None:
    page = tmp_path / "report.html"
    page.write_bytes(write_report(copy, lang).read_bytes())
    done = _browse(chromium, tmp_path, page, "--dump-dom")
    assert "</html>" in done.stdout
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    net = json.loads((tmp_path / "net.json").read_text("utf-8"))
    asked = {
        event["params"]["url"]
        for event in net["events"]
        if isinstance(event.get("params"), dict) and "url" in event["params"]
    }
    outside = {urlsplit(url).hostname for url in asked} - {None, ""} - HOUSEKEEPING
    assert outside == set(), "the page asked for something"


def test_the_check_would_notice_a_request(chromium: str, made_up: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    html = (made_up / "report.html").read_text("utf-8")
    page.write_text(html.replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'), "utf-8")
    done = _browse(chromium, tmp_path, page, "--dump-dom")
    assert any(
        "CONSOLE" in line and "Content Security" in line for line in done.stderr.splitlines()
    )


def test_the_page_prints(chromium: str, made_up: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.pdf"
    _browse(chromium, tmp_path, made_up / "report.html", f"--print-to-pdf={out}")
    whole = out.read_bytes()
    assert whole.startswith(b"%PDF")
    assert 5 <= whole.count(b"/Type /Page\n") <= 25


def test_a_year_with_millions_of_jobs_is_told_in_seconds(tmp_path: Path) -> None:
    folder = write_run_folder(tmp_path / "year-1", days=366, jobs=2_200_000)
    code = "import sys,pathlib,gigafactory.report as r; r.write_report(pathlib.Path(sys.argv[1]))"
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    spent = time.perf_counter() - begun
    assert spent <= 8.0, f"{spent:.1f} s"
    assert (folder / "report.html").stat().st_size <= 2_000_000
