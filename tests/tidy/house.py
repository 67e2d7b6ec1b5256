"""Where the product's files are, and how the tidy tests read them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "gigafactory"
DOCS = ROOT / "docs"
#: Built or private folders; they are looked past where there is no git to ask.
NOT_OURS = {".git", ".venv", "site", "runs", "build", "dist", "htmlcov", "__pycache__"}


@dataclass(frozen=True, slots=True)
class Module:
    """One source file of the package, read once.

    Attributes:
        name: path within the package, such as "engine/errors.py".
        text: the source.
        tree: the parsed source.
    """

    name: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, name: str, text: str) -> Module:
        """Parse a source text under a name."""
        return cls(name, text, ast.parse(text))

    @property
    def lines(self) -> list[str]:
        """The source, line by line."""
        return self.text.splitlines()

    @property
    def room(self) -> str:
        """The package the module is in, or the module's own name at the top."""
        return self.name.split("/")[0].removesuffix(".py")


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package, in path order."""
    return tuple(
        Module.of(path.relative_to(SRC).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(SRC.rglob("*.py"))
    )


def functions(module: Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield each function and method with its dotted name."""

    def walk(
        node: ast.AST, prefix: str
    ) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield name, child
                yield from walk(child, f"{name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(module.tree, "")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file git tracks or would track; without git, every file that is not built."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        paths = [ROOT / name for name in listed.split("\0") if name]
    else:
        paths = [
            path for path in ROOT.rglob("*") if not NOT_OURS & set(path.relative_to(ROOT).parts)
        ]
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def pages() -> tuple[Path, ...]:
    """Every page of prose: the docs and the Markdown files at the top."""
    return tuple(path for path in tracked_files() if path.suffix == ".md")
