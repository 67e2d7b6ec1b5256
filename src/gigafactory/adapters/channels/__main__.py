"""Run one channel from the service's settings.

::

    python -m gigafactory.adapters.channels --settings serve.yaml --name afrr

Reads of the settings only `store` and this channel; the service checks the whole file. Ends on
SIGTERM or SIGINT, with 0; with 2 where the settings cannot be used.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from gigafactory.adapters.channels.running import AnySettings, channel_settings, run
from gigafactory.adapters.secrets import Secret
from gigafactory.adapters.store import Store, StoreTrouble
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK, BadInput, refuse
from gigafactory.factory.reading import Document, read_document
from gigafactory.factory.validating import validate


def read(path: Path, name: str) -> tuple[AnySettings, str]:
    """A channel's settings, and the URL of the store with its password in it.

    Raises:
        BadInput: with the problems found.
    """
    document = read_document(path, str(path))
    if document.problems:
        raise BadInput(document.problems)
    channels = document.data.get("channels")
    told = channels.get(name) if isinstance(channels, Mapping) else None
    if not isinstance(told, Mapping):
        known = ", ".join(map(str, channels)) if isinstance(channels, Mapping) else "none"
        raise refuse(str(path), f"channels.{name}", None, f"is not there; known: {known}")
    points = told.get("points")
    if not isinstance(points, list) or len(points) != 1:
        why = "a channel of its own process speaks about one connection"
        raise refuse(str(path), f"channels.{name}.points", points, why)
    options = told.get("options") or {}
    if not isinstance(options, Mapping):
        raise refuse(str(path), f"channels.{name}.options", options, "must be a block of settings")
    found = channel_settings(name, str(told.get("kind")), str(points[0]), options, str(path))
    return found, _store_url(document.data.get("store"), str(path))


def _store_url(told: Any, where: str) -> str:
    url = told.get("url") if isinstance(told, Mapping) else None
    if not isinstance(url, str):
        raise refuse(where, "store.url", None, "is missing; give sqlite:///... or postgresql://...")
    if told.get("password") is None:
        return url
    document = Document(f"{where}: store.password", told["password"])
    secret, problems, _ = validate(document, Secret)
    if problems or secret is None:
        raise BadInput(problems)
    parts = urlsplit(url)
    password = quote(secret.read(f"{where}: store"), safe="")
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username or ''}:{password}@{host}").geturl()


def main(given: Sequence[str] | None = None) -> int:
    """Run a channel; the exit code says how it went."""
    made = argparse.ArgumentParser(prog="python -m gigafactory.adapters.channels")
    made.add_argument("--settings", type=Path, required=True)
    made.add_argument("--name", required=True)
    said = made.parse_args(given)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings, url = read(said.settings, said.name)
        store = Store.open(url)
        try:
            run(settings, store, stop)
        finally:
            store.close()
    except BadInput as bad:
        for problem in bad.problems:
            sys.stderr.write(f"{problem}\n")
        return EXIT_BAD_INPUT
    except StoreTrouble as away:
        sys.stderr.write(f"the store is away: {away.why}\n")
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    raise SystemExit(main())
