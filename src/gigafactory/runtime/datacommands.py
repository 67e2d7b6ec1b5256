"""Commands about public traces that can be downloaded.

What they need is imported when one is given.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

data_app = typer.Typer(help="Public traces that can be downloaded.", no_args_is_help=True)


@data_app.command("list")
def data_list() -> None:
    """List the public traces that can be downloaded."""
    from gigafactory.adapters import datasets

    for entry in datasets.catalogue().values():
        typer.echo(f"{entry.name:<24} {entry.licence:<14} {entry.title}")


@data_app.command("get")
def data_get(
    name: Annotated[str, typer.Argument(help="A name from the list.")],
    to: Annotated[Path | None, typer.Option(help="Folder; the user's data folder else.")] = None,
    url: Annotated[str | None, typer.Option(help="Another address than the origin's.")] = None,
) -> None:
    """Download a public trace from its origin, resuming and checking it."""
    from tqdm import tqdm

    from gigafactory.adapters import datasets

    bar: Any = None

    def progress(done: int, total: int | None) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, unit="B", unit_scale=True, file=sys.stderr, desc=name)
        bar.update(done - bar.n)

    try:
        fetched = datasets.get(name, to, url=url, progress=progress)
    finally:
        if bar is not None:
            bar.close()
    typer.echo(str(fetched.path))
