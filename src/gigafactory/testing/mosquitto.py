"""A real MQTT broker (mosquitto) on this machine for tests: a free port, one user, killable.

It needs the system package `mosquitto`. Everything it writes lies in the folder given; nothing is
kept over a restart but its port and its user.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

_PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def available() -> str:
    """The path of mosquitto; empty when it is not installed."""
    both = shutil.which("mosquitto", path=_PATHS), shutil.which("mosquitto_passwd", path=_PATHS)
    return both[0] if both[0] and both[1] else ""


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class LocalBroker:
    """A broker on 127.0.0.1.

    Args:
        folder: where its files go.
        user: the only name it knows.
        password: its password.
        namespace: the network namespace it runs in, as another host would; empty for this one.
        more: further lines of its settings, such as another listener.
    """

    def __init__(
        self,
        folder: Path,
        user: str = "plant",
        password: str = "for-tests",  # noqa: S107
        *,
        namespace: str = "",
        more: str = "",
    ) -> None:
        self._enter = ["ip", "netns", "exec", namespace] if namespace else []
        self.folder, self.user, self.password = folder, user, password
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        passwords = folder / "passwords"
        tool = shutil.which("mosquitto_passwd", path=_PATHS)
        assert tool is not None, "ask available() first"
        subprocess.run(  # noqa: S603  (our own arguments)
            [tool, "-b", "-c", str(passwords), user, password], check=True, capture_output=True
        )
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\n"
            f"password_file {passwords}\npersistence false\nset_tcp_nodelay true\n"
            f"{'user root' if os.geteuid() == 0 else ''}\n{more}",
            encoding="utf-8",
        )

    def start(self, wait_s: float = 10.0) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  (our own arguments)
                [*self._enter, available(), "-c", str(self._config)], stdout=log, stderr=log
            )
        until = time.monotonic() + wait_s  # clock-ok: waits for a real process
        while time.monotonic() < until:  # clock-ok: waits for a real process
            if self._process.poll() is not None:
                break
            if self._enter:  # its loopback is not ours: it says itself that it listens
                if "running" in self._log():
                    return
                time.sleep(0.02)  # clock-ok: waits for a real process
                continue
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
                    return
            except OSError:
                time.sleep(0.02)  # clock-ok: waits for a real process
        log_text = self._log()
        self.stop()
        raise RuntimeError(f"mosquitto did not start: {log_text[-500:]}")

    def _log(self) -> str:
        return (self.folder / "mosquitto.log").read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Kill it as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10.0)
            self._process = None

    def stop(self) -> None:
        """End it; nothing happens when it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def __enter__(self) -> LocalBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
