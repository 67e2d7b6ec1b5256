"""Run the GOPACS gateway by itself: `python -m gigafactory.adapters.uftp SETTINGS`.

The file holds `store` (its URL) and `gopacs` (the gateway's block). The service runs the same with
its own settings file.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from gigafactory.adapters.uftp.settings import UftpSettings
from gigafactory.engine.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_OK, BadInput
from gigafactory.factory.blocks import Block, Text, setting
from gigafactory.factory.validating import load_checked


class Standalone(Block):
    """Settings of the gateway by itself."""

    store: Text = setting("URL of the service's store.")
    gopacs: UftpSettings = setting("The gateway.")


def main(arguments: list[str] | None = None) -> int:
    """Run until interrupted; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gigafactory.adapters.uftp")
    parser.add_argument("settings", type=Path, help="a YAML file with `store` and `gopacs`")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = load_checked(given.settings, str(given.settings), Standalone)
        from gigafactory.adapters.store import Store, StoreTrouble
        from gigafactory.adapters.uftp.process import run
    except BadInput as bad:
        sys.stderr.write(f"{bad}\n")
        return EXIT_BAD_INPUT
    except ModuleNotFoundError as missing:
        needs = 'GOPACS needs more packages: pip install "gigafactory[serve]"'
        sys.stderr.write(f"{needs} ({missing.name} is missing)\n")
        return EXIT_BAD_INPUT
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    try:
        store = Store.open(settings.store)
        run(settings.gopacs, store, stop)
    except BadInput as bad:
        sys.stderr.write(f"{bad}\n")
        return EXIT_BAD_INPUT
    except StoreTrouble as trouble:
        sys.stderr.write(f"the store is away: {trouble}\n")
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
