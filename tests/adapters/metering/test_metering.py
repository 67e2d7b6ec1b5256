"""Meters tell what they read, say what is not good about it, and leave out what is not there."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gigafactory.adapters.metering import (
    Bounds,
    Judge,
    MeterSettings,
    Sample,
    open_meter,
    pool_sums,
    read_page,
)
from gigafactory.adapters.metering.dcgm import DcgmMeter
from gigafactory.testing.contracts.plant import check_meter, check_silent_meter
from gigafactory.testing.powermeter import power_meter
from gigafactory.units import NS_PER_S
from tests.conftest import missing

NOW = 1_764_000_000 * NS_PER_S


class _Server:
    """A page on loopback whose text, status and slowness a test sets."""

    def __init__(self) -> None:
        self.text, self.status, self.wait_s = "", 200, 0.0
        outer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(outer.wait_s)
                body = outer.text.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/metrics"


@pytest.fixture
def page() -> Iterator[_Server]:
    server = _Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


def _open(settings: dict[str, Any], now_ns: Callable[[], int] = lambda: NOW) -> Any:
    return open_meter(TypeAdapter(MeterSettings).validate_python(settings), now_ns)


def _scrape(url: str, **point: Any) -> Any:
    of = {"metric": "it_watts", "factor": 1e-6, "most": 1.0, **point}
    return _open({"kind": "page", "url": url, "points": {"it": of}, "timeout": "0.3 s"})


# --- a page ---------------------------------------------------------------------------------------


def test_samples_with_its_labels_are_summed_and_the_oldest_dates_them(page: _Server) -> None:
    ms = NOW // 1_000_000
    page.text = (
        f'it_watts{{hall="1",rack="a"}} 1000 {ms - 1000}\n'
        f'it_watts{{hall="1",rack="b"}} 500 {ms}\nit_watts{{hall="2"}} 9000 {ms}\n'
    )
    meter = _scrape(page.url, labels={"hall": "1"})
    (reading,) = meter.read(("it",), NOW)
    assert (reading.value, reading.unit, reading.good) == (pytest.approx(0.0015), "MW", True)
    assert reading.taken_ns == NOW - NS_PER_S
    meter.close()


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("", 200, "no sample came"),
        ("other 1\n", 200, "no sample came"),
        ("it_watts 1\n", 500, "answers 500"),
        ("it_watts{ 1\n", 200, "no exposition page"),
        ("it_watts NaN\n", 200, "no sample came"),
    ],
)
def test_what_is_not_there_is_left_out_and_says_why(
    page: _Server, text: str, status: int, said: str
) -> None:
    page.text, page.status = text, status
    meter = _scrape(page.url)
    assert meter.read(("it", "other"), NOW) == ()
    assert said in meter.judge.why["it"]
    meter.close()


def test_a_page_that_hangs_is_given_up(page: _Server) -> None:
    page.wait_s = 1.0
    meter = _scrape(page.url)
    begun = time.monotonic()
    assert meter.read(("it",), NOW) == ()
    assert time.monotonic() - begun < 0.9
    assert "does not answer" in meter.judge.why["it"]
    meter.close()


def test_nobody_at_home_is_no_exception() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        meter = _scrape(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert meter.read(("it",), NOW) == ()
        meter.close()


# --- judging --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "age_s", "good", "said"),
    [
        (5.0, 0.0, True, ""),
        (5.0, 10.0, True, ""),
        (5.0, 10.1, False, "old"),
        (5.0, -2.0, True, ""),
        (5.0, -2.1, False, "future"),
        (-0.1, 0.0, False, "outside"),
        (10.1, 0.0, False, "outside"),
        (10.0, 0.0, True, ""),
    ],
)
def test_age_and_bounds(value: float, age_s: float, good: bool, said: str) -> None:
    judge = Judge({"it": Bounds("MW", most=10.0)})
    sample = Sample("it", NOW - round(age_s * NS_PER_S), value)
    (reading,) = judge.readings(("it",), {"it": sample}, NOW)
    assert reading.good is good
    assert said in judge.why["it"]


def _steps(judge: Judge, steps: int, still: float, moving: Callable[[int], float]) -> bool:
    good = True
    for k in range(steps):
        at = NOW + k * NS_PER_S
        samples = {"a": Sample("a", at, still), "b": Sample("b", at, moving(k))}
        good = judge.readings(("a", "b"), samples, at)[0].good
    return good


def test_a_meter_that_stands_still_while_another_moves_is_stuck() -> None:
    bounds = {n: Bounds("MW", most=10.0, stuck_after=5) for n in "ab"}
    assert not _steps(Judge(bounds), 6, 3.3, lambda k: 1.0 + k / 10)
    assert _steps(Judge(bounds), 6, 3.3, lambda _: 4.4), "when all stand still, none is suspected"
    assert _steps(Judge(bounds), 6, 0.0, lambda k: 1.0 + k / 10), "nought may stand still"
    assert _steps(Judge(bounds), 4, 3.3, lambda k: 1.0 + k / 10)


@pytest.mark.slow
@given(st.text(max_size=200))
def test_no_page_makes_more_than_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        read_page(text)


# --- exporters of accelerators --------------------------------------------------------------------


def _gpus(node: str, watts: list[float], ms: int, xid: int = 0) -> str:
    lines = []
    for k, power in enumerate(watts):
        labels = f'gpu="{k}",UUID="GPU-{node}-{k}",Hostname="{node}",modelName="NVIDIA H100"'
        lines.append(f"DCGM_FI_DEV_POWER_USAGE{{{labels}}} {power} {ms}")
        lines.append(f"DCGM_FI_DEV_XID_ERRORS{{{labels}}} {xid if k == 1 else 0} {ms}")
    return "\n".join(lines) + "\n"


def test_pools_are_summed_and_what_is_missing_is_named() -> None:
    ms = NOW // 1_000_000
    pages = {
        "n1": (read_page(_gpus("n1", [600.0] * 4, ms)), ""),
        "n2": (read_page(_gpus("n2", [500.0] * 3, ms - 500, xid=79)), ""),
        "n3": ([], "does not answer"),
    }
    sums = pool_sums({"a": ["n1"], "b": ["n2", "n3"]}, 4, pages, NOW)
    assert (sums["a"].power_w, sums["a"].reported, sums["a"].missing) == (2400.0, 4, ())
    assert (sums["b"].power_w, sums["b"].reported) == (1500.0, 3)
    assert [(m.node, m.accelerators) for m in sums["b"].missing] == [("n2", 1), ("n3", 4)]
    assert sums["b"].faults == ("n2/1",)
    assert sums["b"].taken_ns == NOW - NS_PER_S // 2


def test_an_accelerator_shown_twice_counts_once() -> None:
    ms = NOW // 1_000_000
    twice = _gpus("n1", [600.0] * 2, ms) + _gpus("n1", [650.0] * 2, ms)
    sums = pool_sums({"a": ["n1"]}, 2, {"n1": (read_page(twice), "")}, NOW)
    assert sums["a"].power_w == 1300.0


def test_a_pool_with_a_silent_node_is_read_and_not_good(page: _Server) -> None:
    page.text = _gpus("n1", [700.0] * 8, NOW // 1_000_000)
    meter = _open(
        {
            "kind": "dcgm",
            "urls": {"n1": page.url, "n2": "http://127.0.0.1:9/"},
            "pools": {"a": ["n1"], "b": ["n1", "n2"], "c": ["n2"]},
            "timeout": "0.5 s",
        }
    )
    assert isinstance(meter, DcgmMeter)
    a, b = meter.read(("a", "b", "c"), NOW)
    assert (a.point, a.good, a.value) == ("a", True, pytest.approx(0.0056))
    assert (b.point, b.good) == ("b", False)
    assert "8 accelerators did not report" in meter.judge.why["b"]
    meter.close()


# --- a real server --------------------------------------------------------------------------------


@pytest.fixture
def prometheus() -> str:
    found = shutil.which("prometheus")
    if found is None:
        why = "the system package prometheus is missing; `make system` lists and installs it"
        missing(why)
    return found


@pytest.mark.slow
def test_a_real_prometheus_is_read_and_a_dead_exporter_is_stale(
    prometheus: str, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with power_meter(
        tmp_path / "readings", accelerators=64, cluster="no cluster", every_s=0.1
    ) as source:
        target = source.url.removeprefix("http://").removesuffix("/metrics")
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n"
            f"- job_name: it\n  static_configs: [{{targets: ['{target}']}}]\n"
        )
        command = [prometheus, f"--config.file={tmp_path / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={tmp_path / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{port}"]
        with (tmp_path / "log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log)
        of = {"selector": 'gf_meter_it_watts{point="it"}', "factor": 1e-6, "most": 1.0}
        points = {
            "it": {**of, "stale": "1 s", "expected": 1},
            "two": {**of, "stale": "60 s", "expected": 2},
            "none": {**of, "selector": "no_such_series"},
        }
        settings = {"kind": "prometheus", "url": f"http://127.0.0.1:{port}", "points": points}
        meter = _open(settings, time.time_ns)
        try:
            until = time.monotonic() + 20.0
            while len(got := meter.read(("it", "two", "none"), time.time_ns())) < 2:
                assert time.monotonic() < until, (tmp_path / "log").read_text()
                time.sleep(0.1)
            it, two = got
            assert (it.point, it.value, it.good) == ("it", pytest.approx(64 * 70e-6), True)
            assert (two.point, two.good) == ("two", False), "one series of two is not whole"
            assert "not whole" in meter.judge.why["two"]
            source_died = time.monotonic()
            subprocess.run(["kill", "-9", str(source.pid)], check=True)
            while any(reading.good for reading in meter.read(("it",), time.time_ns())):
                assert time.monotonic() - source_died < 5.0
                time.sleep(0.1)
            assert meter.judge.why["it"]
        finally:
            server.kill()
            server.wait()
            meter.close()


@pytest.mark.slow
def test_a_page_of_a_real_meter_holds_to_the_contract(tmp_path: Path) -> None:
    with power_meter(
        tmp_path / "readings", accelerators=64, cluster="no cluster", every_s=0.1
    ) as source:
        points = {
            "it": {"metric": "gf_meter_it_watts", "factor": 1e-6},
            "busy": {"metric": "gf_meter_accelerators", "labels": {"state": "working"}},
        }
        meter = _open({"kind": "page", "url": source.url, "points": points}, time.time_ns)
        until = time.monotonic() + 10.0
        while not meter.read(("it",), time.time_ns()):
            assert time.monotonic() < until
            time.sleep(0.05)
        check_meter(meter, ("it", "busy"), time.time_ns)
    check_silent_meter(meter, ("it", "busy"), time.time_ns)
    meter.close()
