"""A power meter that looks at processes: an independent witness of what a cluster's jobs draw.

Run as a process of its own (``python -m gigafactory.testing.powermeter``). It asks neither the
controller nor the workload manager anything: several times a second it reads the state of every
process under ``/proc`` that belongs to a job, and counts the accelerators of the jobs of which any
process may run. A stopped process (state T, as a suspended job's are) and one that is gone draw
nothing. What it sees it serves as Prometheus text and appends to a file, so that a test can ask
afterwards when the power really fell.

A job is known by ``SLURM_JOB_ID`` in a process's environment, its accelerators by
``GF_METER_GPUS`` or else by ``SLURM_GPUS_ON_NODE`` times ``SLURM_JOB_NUM_NODES``; ``SLURM_CONF``
tells the jobs of one cluster from those of another on the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: States in which a process draws no power: stopped, stopped by a tracer, dead, ended.
_AT_REST = frozenset("TtXxZ")
#: Longer than two lines of the file of readings.
_TAIL_BYTES = 512


@dataclass(frozen=True, slots=True)
class Sight:
    """What the meter saw at one instant.

    Attributes:
        at_ns: when, ns UTC.
        working: accelerators of jobs with a process that may run.
        resting: accelerators of jobs whose processes are all stopped.
        jobs: jobs at work.
        it_w: power, W.
    """

    at_ns: int
    working: int
    resting: int
    jobs: int
    it_w: float

    def line(self) -> str:
        """One line of the file of readings."""
        return f"{self.at_ns} {self.working} {self.resting} {self.jobs} {self.it_w:.1f}\n"

    @classmethod
    def of(cls, line: str) -> Sight:
        """Read a line of the file of readings."""
        at, working, resting, jobs, it = line.split()
        return cls(int(at), int(working), int(resting), int(jobs), float(it))


class ProcessMeter:
    """Reads the processes of the jobs of one cluster.

    Args:
        cluster: value of ``SLURM_CONF`` in its jobs' environment; empty for every job.
        work_w: an accelerator at work, W.
        idle_w: an accelerator at rest, W.
        accelerators: of the cluster, those without a job at rest among them.
    """

    def __init__(self, cluster: str, work_w: float, idle_w: float, accelerators: int) -> None:
        self._cluster, self._work_w, self._idle_w = cluster, work_w, idle_w
        self._accelerators = accelerators
        # a process's environment does not change: read once, known by its number and start
        self._known: dict[tuple[int, str], tuple[str, int] | None] = {}

    def look(self) -> Sight:
        """Read every process now."""
        at = time.time_ns()  # clock-ok: an instrument of its own, outside the product
        alive: dict[tuple[int, str], tuple[str, int] | None] = {}
        working: dict[str, int] = {}
        resting: dict[str, int] = {}
        for pid, state, since in _processes():
            known = (pid, since)
            job = self._known[known] if known in self._known else self._job_of(pid)
            alive[known] = job
            if job is not None:
                (resting if state in _AT_REST else working)[job[0]] = job[1]
        self._known = alive
        busy = sum(working.values())
        still = sum(n for name, n in resting.items() if name not in working)
        it_w = busy * self._work_w + max(self._accelerators - busy, 0) * self._idle_w
        return Sight(at, busy, still, len(working), it_w)

    def _job_of(self, pid: int) -> tuple[str, int] | None:
        """The job a process belongs to, and its accelerators; None for a process of none."""
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return None
        if b"SLURM_JOB_ID=" not in raw:
            return None
        told = dict(
            item.split("=", 1) for item in raw.decode("utf-8", "replace").split("\0") if "=" in item
        )
        if self._cluster and told.get("SLURM_CONF", "") != self._cluster:
            return None
        count = told.get("GF_METER_GPUS")
        if count is None:
            each = int(told.get("SLURM_GPUS_ON_NODE", "0") or 0)
            count = str(each * int(told.get("SLURM_JOB_NUM_NODES", "1") or 1))
        return told["SLURM_JOB_ID"], int(count)


def _processes() -> Iterator[tuple[int, str, str]]:
    """Number, state and start of every process there is."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text("utf-8", "replace")
        except OSError:
            continue  # it ended meanwhile
        rest = text[text.rindex(")") + 2 :].split()
        yield int(entry.name), rest[0], rest[19]


# --- the process ---------------------------------------------------------------------------------


class _Page(BaseHTTPRequestHandler):
    sight: Sight | None = None

    def do_GET(self) -> None:
        """Serve the latest reading as Prometheus text."""
        sight = type(self).sight
        if sight is None:
            self.send_error(503)
            return
        body = (
            "# HELP gf_meter_it_watts Power of the jobs and of what rests, by their processes.\n"
            "# TYPE gf_meter_it_watts gauge\n"
            f'gf_meter_it_watts{{point="it"}} {sight.it_w:.1f} {sight.at_ns // 1_000_000}\n'
            "# TYPE gf_meter_accelerators gauge\n"
            f'gf_meter_accelerators{{state="working"}} {sight.working}\n'
            f'gf_meter_accelerators{{state="resting"}} {sight.resting}\n'
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing on the terminal."""


def main(arguments: list[str] | None = None) -> None:
    """Measure until told to stop: ``--file`` takes the readings, the port is said on stdout."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--cluster", default="", help="SLURM_CONF of the cluster; empty for all")
    ask.add_argument("--work-w", type=float, default=700.0, help="an accelerator at work, W")
    ask.add_argument("--idle-w", type=float, default=70.0, help="an accelerator at rest, W")
    ask.add_argument("--accelerators", type=int, required=True, help="of the cluster")
    ask.add_argument("--every-s", type=float, default=0.5, help="between readings, s")
    ask.add_argument("--file", type=Path, required=True, help="file of readings, appended to")
    asked = ask.parse_args(arguments)
    page = type("Page", (_Page,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    meter = ProcessMeter(asked.cluster, asked.work_w, asked.idle_w, asked.accelerators)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    with asked.file.open("a", encoding="utf-8") as out:
        while not over.is_set():
            sight = meter.look()
            page.sight = sight  # type: ignore[attr-defined]
            out.write(sight.line())
            out.flush()
            over.wait(asked.every_s)
    server.shutdown()


@dataclass(frozen=True, slots=True)
class RunningMeter:
    """A meter at work.

    Attributes:
        url: where its readings are served.
        file: where they are kept.
        pid: its process.
    """

    url: str
    file: Path
    pid: int

    def sights(self) -> list[Sight]:
        """Every reading so far."""
        whole = self.file.read_text("utf-8").splitlines(keepends=True)
        return [Sight.of(line) for line in whole if line.endswith("\n")]

    def latest(self) -> Sight | None:
        """The latest reading; None before the first."""
        with self.file.open("rb") as file:
            file.seek(max(file.seek(0, 2) - _TAIL_BYTES, 0))
            whole = file.read().decode().rpartition("\n")[0]
        return Sight.of(whole.rpartition("\n")[2]) if whole else None


@contextlib.contextmanager
def power_meter(
    file: Path,
    *,
    accelerators: int,
    cluster: str = "",
    work_w: float = 700.0,
    idle_w: float = 70.0,
    every_s: float = 0.5,
) -> Iterator[RunningMeter]:
    """Run a meter as a process of its own for as long as the block lasts.

    Args:
        file: takes the readings.
        accelerators: of the cluster.
        cluster: value of ``SLURM_CONF`` in its jobs' environment; empty for every job.
        work_w: an accelerator at work, W.
        idle_w: an accelerator at rest, W.
        every_s: between readings, s.
    """
    told = {
        "--cluster": cluster,
        "--work-w": work_w,
        "--idle-w": idle_w,
        "--accelerators": accelerators,
        "--every-s": every_s,
        "--file": file,
    }
    command = [sys.executable, "-m", "gigafactory.testing.powermeter"]
    command += [str(part) for pair in told.items() for part in pair]
    process = subprocess.Popen(  # noqa: S603  (this interpreter, our own module)
        command, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, "the meter did not start"
        yield RunningMeter(f"http://127.0.0.1:{port}/metrics", file, process.pid)
    finally:
        process.terminate()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


if __name__ == "__main__":
    main()
