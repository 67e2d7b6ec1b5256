"""An open-loop generator of requests, in a process of its own: a constant rate come what may.

Each request has an instant at which it is due, and its time counts from that instant: one that
could not be sent because earlier ones were slow has waited, and says so (no coordinated omission).

Reads a plan as JSON from standard input, writes what it measured as JSON to standard output::

    {"port": 1, "seconds": 10, "connections": 64, "streams": [
        {"name": "read", "per_s": 400, "requests": ["GET /v1/work HTTP/1.1\\r\\n...", ...]}]}

In a request `{n}` is replaced by a running number, for keys that are used once.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from typing import Any

from tests.web.shape_of_load import quantiles


class Connection(asyncio.Protocol):
    """One kept connection that carries one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[int] | None = None
        self._buffer = b""
        self._left = -1
        self._status = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, data: bytes) -> asyncio.Future[int]:
        assert self.transport is not None
        self.waiting = asyncio.get_running_loop().create_future()
        self._buffer, self._left = b"", -1
        self.transport.write(data)
        return self.waiting

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._left < 0:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            self._status = int(head[9:12])
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            self._left = end + 4 + length
        if len(self._buffer) >= self._left and self.waiting and not self.waiting.done():
            self.waiting.set_result(self._status)

    def connection_lost(self, _: Exception | None) -> None:
        self.transport = None
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(0)


class Generator:
    """Sends what is due over a few kept connections."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        self.times: dict[str, list[float]] = {one["name"]: [] for one in plan["streams"]}
        self.statuses: dict[str, dict[str, int]] = {one["name"]: {} for one in plan["streams"]}
        self.number = int(plan.get("first", 0))
        self.late_s = 0.0

    async def connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(Connection, "127.0.0.1", self.plan["port"])
        return made[1]

    async def one(self, name: str, text: str, due: float) -> None:
        connection = await self.free.get()
        if connection.transport is None:
            connection = await self.connect()
        self.number += 1
        status = await connection.send(text.replace("{n}", str(self.number)).encode())
        self.times[name].append(time.perf_counter() - due)
        counts = self.statuses[name]
        counts[str(status)] = counts.get(str(status), 0) + 1
        self.free.put_nowait(connection)

    async def run(self) -> dict[str, Any]:
        for _ in range(self.plan["connections"]):
            self.free.put_nowait(await self.connect())
        due = sorted(
            (i / stream["per_s"], at, i)
            for at, stream in enumerate(self.plan["streams"])
            for i in range(math.floor(stream["per_s"] * self.plan["seconds"]))
        )
        tasks: set[asyncio.Task[None]] = set()
        begin, cpu = time.perf_counter() + 0.1, time.process_time()
        for offset, at, i in due:
            stream = self.plan["streams"][at]
            wait = begin + offset - time.perf_counter()
            if wait > 0.0005:
                await asyncio.sleep(wait)
            self.late_s = max(self.late_s, time.perf_counter() - begin - offset)
            text = stream["requests"][i % len(stream["requests"])]
            task = asyncio.create_task(self.one(stream["name"], text, begin + offset))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.wait_for(asyncio.gather(*tasks), 150.0)
        took_s = time.perf_counter() - begin
        every = [t for times in self.times.values() for t in times]
        return {
            "took_s": round(took_s, 3),
            "sent_late_ms_max": round(self.late_s * 1000.0, 1),
            "cpu_s": round(time.process_time() - cpu, 2),
            "all": quantiles(every),
            **{
                name: {**quantiles(times), "statuses": self.statuses[name]}
                for name, times in self.times.items()
            },
        }


def main() -> None:
    """Run the plan."""
    sys.stdout.write(json.dumps(asyncio.run(Generator(json.load(sys.stdin)).run())))


if __name__ == "__main__":
    main()
