"""The service, or one of its processes: what `gigafactory serve` calls.

Stands beside the HTTP interface because that is one of the processes; the others are the runtime's.
"""

from __future__ import annotations

from pathlib import Path

from gigafactory.engine.errors import EXIT_OK, refuse
from gigafactory.runtime.live.serve import (
    API,
    BOOKS,
    CONTROLLER,
    FEEDS,
    children_of,
    end_with_supervisor,
    run_bookkeeper,
    run_feeder,
    run_gateway,
    stop_on_signals,
    supervise,
)
from gigafactory.runtime.live.settings import Settings
from gigafactory.runtime.live.wiring import run_controller
from gigafactory.web import logs
from gigafactory.web.serve import run as run_api


def run_service(factory: str, path: Path, settings: Settings, only: str | None) -> int:
    """Run the service or one of its processes until told to stop; the exit code.

    Args:
        factory: a bundled name or a path.
        path: of the settings; paths in them are counted from its folder.
        settings: of the service.
        only: name of the process; None for all, watched.

    Raises:
        BadInput: there is no such process, or its settings cannot be used.
    """
    logs.set_up()
    if only is None:
        return supervise(factory, path, settings)
    names = children_of(settings)
    if only not in names:
        raise refuse("--only", "", only, f"is one of {', '.join(names)}")
    if only == API:  # uvicorn hears signals itself
        end_with_supervisor()
        run_api(factory, settings.api, settings.store.full_url(path.parent), where=str(path))
        return EXIT_OK
    stop = stop_on_signals()
    if only == CONTROLLER:
        run_controller(factory, settings, path.parent, stop)
    elif only == BOOKS:
        run_bookkeeper(settings, path, stop)
    elif only == FEEDS:
        run_feeder(factory, settings, path, stop)
    else:
        run_gateway(only, settings, path, stop)
    return EXIT_OK
