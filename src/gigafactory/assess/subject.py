"""What is assessed: a factory, its dossier, and what a run of it came to, where there is one."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel

from gigafactory.assess.results import Evidence, Proof
from gigafactory.engine.errors import refuse
from gigafactory.factory import Factory, load_factory
from gigafactory.factory.dossier import Dossier, dossier_of

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Subject:
    """What is assessed.

    Attributes:
        factory: the factory.
        dossier: its folder of documents.
        today: the day for which documents count or have expired.
        run: folder of a run; None where the factory alone is assessed.
        summary: its summary; empty without a run.
        read: files of the dossier read so far, by name and shape: each is read once.
        worked: what was worked out of this subject so far, by name; another one begins anew.
    """

    factory: Factory
    dossier: Dossier
    today: dt.date
    run: Path | None
    summary: Mapping[str, Any]
    read: dict[tuple[str, type[BaseModel]], BaseModel | None] = field(
        default_factory=dict, compare=False, repr=False
    )
    worked: dict[str, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def once(self, name: str, work: Callable[[], T]) -> T:
        """What some work comes to, done once for this subject."""
        if name not in self.worked:
            self.worked[name] = work()
        found: T = self.worked[name]
        return found

    def load(self, name: str, model: type[M]) -> M | None:
        """A file of the dossier, read once; None where it is not there.

        Raises:
            BadInput: with every problem of the file.
        """
        key = (name, model)
        if key not in self.read:
            self.read[key] = self.dossier.load(name, model)
        found = self.read[key]
        assert found is None or isinstance(found, model)
        return found

    def needed_run(self, what: str) -> Path:
        """The folder of the run.

        Args:
            what: that needs it, for the problem.

        Raises:
            BadInput: there is none.
        """
        if self.run is None:
            raise refuse(self.factory.name, "", None, f"{what} needs a run: give its folder")
        return self.run

    def figure(self, key: str) -> float | None:
        """A figure of the run's summary by its dotted key; None where it is not there."""
        at: Any = self.summary
        for part in key.split("."):
            if not isinstance(at, Mapping) or part not in at:
                return None
            at = at[part]
        return float(at) if isinstance(at, int | float) and not isinstance(at, bool) else None

    def booked(self, account: str) -> int | None:
        """Sum of an account of the run's ledger, over all sites and periods, to the last integer.

        Args:
            account: a column of `accounts.parquet`, such as `energy.import_wh`; its last part is
                the unit.

        Returns:
            The sum; None without a run, or where it has no such account.
        """
        path = None if self.run is None else self.run / "accounts.parquet"
        if path is None or not path.is_file() or account not in pq.read_schema(path).names:
            return None
        column = pq.read_table(path, columns=[account]).column(0)
        return int(pc.sum(column).as_py() or 0)

    def booking(self, account: str) -> Evidence:
        """An account of the run's ledger as evidence; missing where there is none."""
        proof = Proof.MISSING if self.booked(account) is None else Proof.LEDGER
        return Evidence(proof, f"ledger:{account}")

    def counted(self, key: str) -> Evidence:
        """A figure of the run as evidence; missing where there is none."""
        proof = Proof.MISSING if self.figure(key) is None else Proof.LEDGER
        return Evidence(proof, f"summary:{key}")


def subject_of(
    name_or_run: str | Path, today: dt.date | None = None, *, run: Path | None = None
) -> Subject:
    """Read what is to be assessed.

    Args:
        name_or_run: a run folder, a bundled factory or a factory file.
        today: the day that counts; of a run its last day without one. A factory alone needs one.
        run: folder of a run whose place is known already.

    Raises:
        BadInput: with every problem of the first file that has any.
    """
    folder = run if run is not None else Path(name_or_run)
    if (folder / "summary.json").is_file():
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        if not summary.get("days_done"):
            raise refuse(str(folder), "", None, "no day of this run is done: nothing to assess")
        factory = load_factory(folder / "factory.yaml")
        start = dt.date.fromisoformat(summary["start"])
        ends = start + dt.timedelta(days=int(summary["days_done"]) - 1)
        return Subject(factory, dossier_of(factory, folder), today or ends, folder, summary)
    assert today is not None, "a factory without a run is assessed as of a day"
    factory = load_factory(name_or_run)
    return Subject(factory, dossier_of(factory), today, None, {})


__all__ = ["Subject", "subject_of"]
