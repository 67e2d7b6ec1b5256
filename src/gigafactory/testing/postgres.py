"""A real PostgreSQL in a folder, for tests: started, killed and started again as they like.

Listens on a unix socket and on a free port of the loopback. As root, which PostgreSQL refuses to
run as, it runs as the user `postgres`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

_USER: Final = "postgres"
_START_S: Final = 30.0
_SETTINGS: Final = {
    "shared_buffers": "64MB",
    "max_connections": "60",
    "fsync": "on",
    "synchronous_commit": "on",
    "logging_collector": "off",
    "recovery_init_sync_method": "syncfs",  # one call, not one per file, after a kill
    "log_min_messages": "error",
    "autovacuum_naptime": "30s",
}


def available() -> str:
    """Why none can be started here; empty where one can."""
    missing = [name for name in ("initdb", "postgres") if _program(name) is None]
    if missing:
        return f"the system package postgresql is missing ({', '.join(missing)} not found)"
    if os.geteuid() == 0 and not _has_user():
        return f"root cannot run PostgreSQL, and there is no user {_USER}"
    return ""


def _has_user() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return False
    return True


def _program(name: str) -> str | None:
    found = shutil.which(name)
    if found is None:
        versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        found = str(versions[-1]) if versions else None
    return found


class LocalPostgres:
    """One cluster in a folder of its own, under the system's temporary one: socket paths are short.

    Use it in a `with` statement: it is stopped and its folder removed at the end.

    Args:
        namespace: the network namespace it runs in, as another host would; there it listens on
            every address. Empty for the loopback of this one.

    Attributes:
        port: of the loopback; also part of the socket's name.
    """

    def __init__(self, namespace: str = "") -> None:
        why = available()
        assert not why, why
        self._folder = Path(tempfile.mkdtemp(prefix="gfpg"))
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _USER if os.geteuid() == 0 else None
        self._namespace = namespace
        self.port = _free_port()
        if self._user:
            shutil.chown(self._folder, _USER)
        self._run(
            "initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8",
            "--no-sync", "--locale=C",
        )  # fmt: skip
        if namespace:
            with (self._data / "pg_hba.conf").open("a", encoding="utf-8") as file:
                file.write("host all all 0.0.0.0/0 trust\n")

    @property
    def _data(self) -> Path:
        return self._folder / "d"

    def url(self, database: str = "postgres", *, tcp: bool = False) -> str:
        """The address of a database, by its socket or over the loopback."""
        if tcp:
            return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"
        return f"postgresql://{_USER}@/{database}?host={self._folder}&port={self.port}"

    def __enter__(self) -> LocalPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._process is None, "runs already"
        program = _program("postgres")
        assert program is not None
        settings = [f"-c{key}={value}" for key, value in _SETTINGS.items()]
        address, before, user = "127.0.0.1", list[str](), self._user
        if self._namespace:  # only root enters one, so the user is changed there
            enter = ["ip", "netns", "exec", self._namespace]
            before, user = [*enter, "setpriv", f"--reuid={_USER}", f"--regid={_USER}"], None
            before, address = [*before, "--clear-groups"], "*"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (a system program, by its full path)
                [
                    *before, program, "-D", str(self._data), "-k", str(self._folder),
                    "-h", address, "-p", str(self.port), *settings,
                ],
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                user=user,
            )  # fmt: skip
        self._wait_ready()

    def _wait_ready(self) -> None:
        import psycopg

        until = time.monotonic() + _START_S  # clock-ok: a time limit, no datum
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError as error:
                assert self._process is not None
                ended = self._process.poll() is not None
                if ended or time.monotonic() > until:  # clock-ok: a time limit, no datum
                    log = (self._folder / "log").read_text("utf-8", "replace")[-2000:]
                    self.kill()
                    raise RuntimeError(f"PostgreSQL does not start: {error}\n{log}") from error
                time.sleep(0.02)  # clock-ok: waits for another process
            else:
                return

    def kill(self) -> None:
        """Kill -9 every process of it, as when the power goes; nothing where it does not run."""
        if self._process is None:
            return
        children = _children(self._process.pid)
        self._process.send_signal(signal.SIGKILL)
        for child in children:
            _kill(child)
        self._process.wait()
        self._process = None
        # what a dead server leaves behind would keep the next one from starting
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        """Kill -9 and start again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Stop every process of it where it stands: connections stay open and nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None, "does not run"
        for pid in (self._process.pid, *_children(self._process.pid)):
            _kill(pid, number)

    def cpu_s(self) -> float:
        """Processor time its processes have taken so far, s; that of ended ones included."""
        assert self._process is not None, "does not run"
        pid = self._process.pid
        ticks = sum(_ticks(one, 13, 15) for one in _children(pid)) + _ticks(pid, 13, 17)
        return ticks / os.sysconf("SC_CLK_TCK")

    def make_database(self, name: str) -> str:
        """Make an empty database.

        Returns:
            Its address.
        """
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url(), autocommit=True) as conn:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and end whoever is connected to it."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url(), autocommit=True) as conn:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            conn.execute(drop.format(sql.Identifier(name)))

    def version(self) -> str:
        """Its version, such as 15.8."""
        import psycopg

        with psycopg.connect(self.url()) as conn:
            row = conn.execute("SHOW server_version").fetchone()
        assert row is not None
        return str(row[0]).split()[0]

    def _run(self, name: str, *arguments: str) -> None:
        program = _program(name)
        assert program is not None
        done = subprocess.run(  # noqa: S603  (as above)
            [program, *arguments], check=False, capture_output=True, text=True,
            cwd=self._folder, user=self._user,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr[-2000:]}")


def _children(pid: int) -> list[int]:
    """The processes a process has started, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def _ticks(pid: int, begin: int, end: int) -> int:
    """Clock ticks of a process: user and system, and those of the children it has waited for."""
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    fields = [*stat.partition(" ")[:1], "", *stat.rpartition(")")[2].split()]
    return sum(map(int, fields[begin:end]))


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
