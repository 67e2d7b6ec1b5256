"""The dossier of a factory: a folder of plain files that say about it what no run needs.

Its supply graph, the documents that prove what is claimed, answers to questionnaires, registers,
the plan of its money. `governance.dossier` names it: a bundled one by name, one's own by path. A
run keeps a copy, so that what was concluded from it can be concluded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from gigafactory.engine.errors import BadInput, Problem
from gigafactory.factory.models import Factory
from gigafactory.factory.reading import nearest
from gigafactory.factory.validating import load_checked

M = TypeVar("M", bound=BaseModel)

#: What a run calls its copy.
KEPT = "dossier"


@dataclass(frozen=True, slots=True)
class Dossier:
    """A folder of files about a factory.

    Attributes:
        name: as the factory file says it; "" for none.
        path: the folder; None where a factory has no dossier.
    """

    name: str = ""
    path: Path | None = None

    def file(self, name: str) -> Path | None:
        """A file of the dossier, such as `supply.yaml`; None where it is not there."""
        if self.path is None or not (self.path / name).is_file():
            return None
        return self.path / name

    def files(self, pattern: str = "**/*.yaml") -> list[Path]:
        """The files of the dossier that match, sorted."""
        return [] if self.path is None else sorted(self.path.glob(pattern))

    def load(self, name: str, model: type[M]) -> M | None:
        """Read and check a file of the dossier.

        Args:
            name: of the file within the dossier.
            model: its shape, made of `Block` and `setting` like the factory file's.

        Returns:
            What it says; None where it is not there: missing is not nothing.

        Raises:
            BadInput: with every problem found in it.
        """
        path = self.file(name)
        if path is None:
            return None
        return load_checked(path, f"{self.name}/{name}", model)


def bundled_dossiers() -> tuple[str, ...]:
    """Names of the bundled dossiers, sorted."""
    return tuple(sorted(p.name for p in _bundled().iterdir() if p.is_dir()))


def dossier_of(factory: Factory, run: Path | None = None) -> Dossier:
    """The dossier of a factory.

    Args:
        factory: names it under `governance.dossier`.
        run: folder of a run; its own copy counts where there is one.

    Raises:
        BadInput: there is no such dossier.
    """
    name = factory.governance.dossier
    if name is None:
        return Dossier()
    if run is not None and (run / KEPT).is_dir():
        return Dossier(name, run / KEPT)
    if name in bundled_dossiers():
        return Dossier(name, _bundled() / name)
    path = Path(name)
    if not path.is_dir():
        known = nearest(name, bundled_dossiers())
        why = f"no bundled dossier has this name and no folder is there; {known}"
        raise BadInput([Problem(factory.name, "governance.dossier", name, why)])
    return Dossier(path.name, path)


def _bundled() -> Path:
    return Path(str(resources.files("gigafactory.factory"))) / "data" / "dossiers"


__all__ = ["KEPT", "Dossier", "bundled_dossiers", "dossier_of"]
