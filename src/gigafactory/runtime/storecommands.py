"""Commands about the service's store and its tokens, given by whoever runs the machine.

What they need is imported when one is given: the store's libraries belong to the extra `serve`.
"""

from __future__ import annotations

import datetime as dt
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gigafactory.engine.clock import WallClock
from gigafactory.engine.errors import EXIT_FAILED, BadInput, Problem, refuse
from gigafactory.units import NS_PER_S

if TYPE_CHECKING:
    from gigafactory.adapters.store import Store

store_app = typer.Typer(help="The service's store: backup, restore, check.", no_args_is_help=True)
token_app = typer.Typer(help="Tokens of the service's API.", no_args_is_help=True)

_URL_HELP = (
    "sqlite:///FILE or postgresql://USER@HOST/DATABASE (a password comes from PGPASSWORD or a "
    "password file); or the service's settings, a file that ends in .yaml."
)
#: Names of backups that `--folder` writes; they sort by time.
_BACKUP = "store-%Y%m%dT%H%M%SZ.backup"
Url = Annotated[str, typer.Argument(envvar="GIGAFACTORY_STORE", help=_URL_HELP)]


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store, for as long as a command takes.

    Raises:
        BadInput: the address is none, or the extra `serve` is not installed.
    """
    try:
        from gigafactory.adapters.store import Store
    except ImportError as error:
        why = f'needs {error.name}: pip install "gigafactory[serve]"'
        raise refuse("store", "", None, why) from None
    store = Store.open(_address(url))
    try:
        yield store
    finally:
        store.close()


def _address(url: str) -> str:
    """The address of a store, also where the service's settings are named."""
    if "://" in url or not url.endswith((".yaml", ".yml")):
        return url
    from gigafactory.runtime.live.settings import load_settings

    path = Path(url)
    return load_settings(path).store.full_url(path.parent)


def _who() -> str:
    try:
        return f"shell/{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name
        return "shell"


@store_app.command("backup")
def backup(
    url: Annotated[
        str | None, typer.Argument(envvar="GIGAFACTORY_STORE", help=_URL_HELP, show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(help="File to write; one there is replaced.", show_default=False),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="The service's settings, in place of the address.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Folder to write a file in that is named by the time.")
    ] = None,
    keep: Annotated[
        int, typer.Option(help="Newest files kept in the folder; 0 for all of them.")
    ] = 0,
) -> None:
    """Write everything in a store to one file and read it back, while the store is in use."""
    if settings is not None:  # which name the address: the only argument is the file
        file = Path(url) if file is None and folder is None and url is not None else file
        url = None
    problems = _unclear(url, file, settings, folder, keep)
    if problems:
        raise BadInput(problems)
    now = dt.datetime.fromtimestamp(WallClock().now_ns() // NS_PER_S, dt.UTC)
    to = file if folder is None or file is not None else folder / now.strftime(_BACKUP)
    assert to is not None, "one of the two is given"
    with opened(str(settings) if settings is not None else url or "") as store:
        from gigafactory.adapters.store.dumping import check as check_backup

        _make(folder)
        store.backup(to)
        revision, rows = check_backup(to)
    held = sum(rows.values())
    size = to.stat().st_size
    typer.echo(f"Wrote {to}, {size:,} bytes; read back: revision {revision}, {held:,} rows.")
    if folder is not None and keep:
        _drop(folder, keep)


def _make(folder: Path | None) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise refuse(str(folder), "", None, f"cannot be made: {error.strerror}") from None


def _unclear(
    url: str | None, file: Path | None, settings: Path | None, folder: Path | None, keep: int
) -> list[Problem]:
    """What is wrong with how a backup is asked for."""
    found = []
    if (url is None) == (settings is None):
        why = "give either the address of the store or --settings"
        found.append(Problem("backup", "url", "", why))
    if (file is None) == (folder is None):
        found.append(Problem("backup", "file", "", "give either a file or --folder"))
    if keep < 0 or (keep and folder is None):
        found.append(Problem("backup", "--keep", str(keep), "is 1 or more, and needs --folder"))
    return found


def _drop(folder: Path, keep: int) -> None:
    """Take away all but the newest backups of a folder; called once a new one is checked."""
    there = sorted(p for p in folder.glob("store-*.backup") if _dated(p.name))
    for old in there[:-keep]:
        old.unlink(missing_ok=True)
        typer.echo(f"Removed {old}.")


def _dated(name: str) -> bool:
    try:
        dt.datetime.strptime(name, _BACKUP).replace(tzinfo=dt.UTC)
    except ValueError:
        return False
    return True


@store_app.command("restore")
def restore(
    url: Url,
    file: Annotated[Path, typer.Argument(help="A backup, of either engine.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Let go of what is in the store.")
    ] = False,
) -> None:
    """Take everything from a backup; the store must be empty, and the service stopped."""
    with opened(url) as store:
        store.restore(file, replace=replace)
        _tell(store)


@store_app.command("check")
def check(url: Url) -> None:
    """Check that a store answers and that its audit trail is one unbroken chain."""
    with opened(url) as store:
        problems = store.verify_audit()
        for problem in problems:
            typer.echo(str(problem), err=True)
        if problems:
            raise typer.Exit(EXIT_FAILED)
        _tell(store)
    typer.echo("The audit trail is one unbroken chain and agrees with its anchors.")
    typer.echo("Without a copy of an anchor kept elsewhere, this shows damage, not forgery.")


@store_app.command("migrate")
def migrate(url: Url) -> None:
    """Make a store, or bring it to the revision this version knows, and keep what is in it."""
    with opened(url) as store:
        _tell(store)


def _tell(store: Store) -> None:
    revision, rows = store.extent()
    held = ", ".join(f"{count:,} {table}" for table, count in rows.items() if count)
    typer.echo(f"Revision {revision}. Rows: {held or 'none'}.")


@token_app.command("add")
def add(
    url: Url,
    label: Annotated[str, typer.Option(help="What it is for, in your words.")],
    role: Annotated[
        str,
        typer.Option(help="tenant, operator, grid_operator, energy_partner, auditor or admin."),
    ],
    party: Annotated[
        str, typer.Option(help="For whom it speaks: a tenant, grid operator or energy partner.")
    ] = "",
    days: Annotated[int, typer.Option(help="How long it is valid; 0 for ever.")] = 90,
) -> None:
    """Make a token; its secret is printed once and cannot be shown again."""
    with opened(url) as store:
        from gigafactory.adapters.store.records import Role

        if role not in set(Role):
            raise refuse("--role", "", role, f"is one of {', '.join(Role)}")
        if days < 0:
            raise refuse("--days", "", days, "is 0 or more")
        now_ns = WallClock().now_ns()
        expires_ns = now_ns + days * 86_400 * NS_PER_S if days else None
        token, secret = store.add_token(label, Role(role), party, expires_ns, now_ns, _who())
    typer.echo(f"Token {token.id}, {token.role}{f' {party}' if party else ''}:", err=True)
    typer.echo(secret)


@token_app.command("list")
def list_tokens(url: Url) -> None:
    """List every token ever made, without secrets."""
    with opened(url) as store:
        for token in store.tokens():
            until = "for ever" if token.expires_ns is None else f"until {_day(token.expires_ns)}"
            used = "never used" if token.used_ns is None else f"used {_day(token.used_ns)}"
            state = until if token.revoked_ns is None else f"revoked {_day(token.revoked_ns)}"
            typer.echo(
                f"{token.id}  {token.role:<14} {token.party or '-':<20} {state}, {used}  "
                f"{token.label}"
            )


@token_app.command("revoke")
def revoke(
    url: Url, name: Annotated[str, typer.Argument(help="The token's name, from the list.")]
) -> None:
    """Take a token back for good."""
    with opened(url) as store:
        if not store.revoke_token(name, WallClock().now_ns(), _who()):
            raise refuse("token", "", name, "is no token, or was revoked before")
    typer.echo(f"Revoked {name}; every process refuses it within two seconds.")


def _day(at_ns: int) -> str:
    return dt.datetime.fromtimestamp(at_ns // NS_PER_S, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
