"""Runs the HTTP interface on uvicorn."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from gigafactory.adapters.store import Store
from gigafactory.factory.loading import load_factory
from gigafactory.runtime.apisettings import ApiSettings, read_api
from gigafactory.web import logs
from gigafactory.web.api import create_app

#: Suites of TLS 1.2 with forward secrecy and authenticated encryption; TLS 1.3 has its own.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: Connections and requests at once in a process; more are turned away with 503.
_AT_ONCE: Final = 1024
#: A process that gives no sign of life for so long is replaced; a machine that is overloaded for
#: some seconds is no reason to break off what its processes are answering.
_SILENT_S: Final = 30


def config(app: Any, settings: ApiSettings) -> uvicorn.Config:
    """How uvicorn is to run: logs of ours, no word on what it is, TLS 1.2 at least.

    Args:
        app: the application, or what makes it.
        settings: of the interface.
    """
    tls = settings.tls
    made = _Hardened(
        app,
        host=settings.host,
        port=settings.port,
        factory=not isinstance(app, FastAPI),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=",".join(settings.proxies),
        limit_concurrency=_AT_ONCE,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=10,
        timeout_worker_healthcheck=_SILENT_S,
        h11_max_incomplete_event_size=16_384,
        ws="none",
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ciphers=_CIPHERS,
    )
    made.workers = settings.workers
    return made


class _Hardened(uvicorn.Config):
    """No TLS below 1.2, whatever the machine's own settings are."""

    def load(self) -> None:
        """Load, with the floor put under TLS."""
        super().load()
        if self.ssl is not None:
            self.ssl.minimum_version = ssl.TLSVersion.TLSv1_2


def run(
    factory_file: str | Path,
    api: Mapping[str, Any] | ApiSettings,
    store_url: str,
    *,
    where: str = "settings",
) -> None:
    """Serve until told to stop (SIGINT, SIGTERM).

    Args:
        factory_file: a bundled name or a path.
        api: the block `api` of the service's settings, as plain values or read already.
        store_url: of the store, its password included.
        where: the settings file, for the reader.

    Raises:
        BadInput: the settings contradict themselves or the factory; every problem at once.
        StoreTrouble: the store cannot be opened.
    """
    factory = load_factory(factory_file)
    settings = api if isinstance(api, ApiSettings) else read_api(api, factory, where)
    logs.set_up()
    # what is wrong with it is told here, and it is migrated once
    Store.open(store_url).close()  # write-ok: the store is an adapter, and writes for itself
    if settings.workers == 1:
        uvicorn.Server(config(application(factory_file, settings, store_url), settings)).run()
        return
    with tempfile.TemporaryDirectory(prefix="gf-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # where processes add up their counts
        made = config(partial(application, factory_file, settings, store_url), settings)
        sock = made.bind_socket()
        Multiprocess(made, sockets=[sock]).run()


def application(factory_file: str | Path, settings: ApiSettings, store_url: str) -> FastAPI:
    """The application of one process, with a store of its own that closes with it."""
    logs.set_up()
    store = Store.open(store_url)  # write-ok: the store is an adapter, and writes for itself
    app = create_app(load_factory(factory_file), settings, store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            store.close()

    app.router.lifespan_context = lifespan
    return app
