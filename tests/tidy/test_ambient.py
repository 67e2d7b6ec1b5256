"""No room reads the clock, draws chance or writes a file behind the reader's back.

Imports are held by import-linter; calls are held here. A line that must break a rule says so and
why: ``# clock-ok: wall time, outside the digest``, ``# random-ok: ...`` or ``# write-ok: ...``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import pytest

from tests.tidy.house import Module, modules

CLOCK = re.compile(
    r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|dt\.(now|utcnow|today)"
    r"|time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|perf_counter_ns|process_time"
    r"|localtime|gmtime|sleep)|Timestamp\.(now|today|utcnow))$"
)
RANDOM = re.compile(
    r"(^random\.\w+|(^|\.)(np|numpy)\.random\.(?!Generator$|PCG64$)\w+|^secrets\.\w+"
    r"|^os\.urandom|^uuid\.uuid[14]|(^|\.)default_rng)$"
)
WRITE = re.compile(
    r"(\.(write_text|write_bytes|mkdir|unlink|rmdir|symlink_to|rename|touch)"
    r"|^os\.(open|remove|unlink|rename|replace|mkdir|makedirs|symlink)|^shutil\.\w+"
    r"|(^|\.)(write_table|ParquetWriter|savefig))$"
)

#: Who may do what. The engine holds the clock, the streams and the journal; files are written where
#: the world is met.
ALLOWED = {
    "clock": {"engine/clock.py"},
    "random": {"engine/streams.py"},
    "write": {
        "adapters",
        "runtime",
        "report",
        "cli",
        "engine/journal.py",
        "engine/manifest.py",
        "testing",
    },
}
ESCAPE = re.compile(r"#\s*(clock|random|write)-ok:\s*\S.{7,}")


def called(node: ast.Call) -> str:
    """The dotted name of what is called; an unnamed part is left out ("f().x" gives ".x")."""
    parts: list[str] = []
    target: ast.expr = node.func
    while isinstance(target, ast.Attribute):
        parts.append(target.attr)
        target = target.value
    parts.append(target.id if isinstance(target, ast.Name) else "")
    return ".".join(reversed(parts))


def opens_for_writing(node: ast.Call, name: str) -> bool:
    """Whether the call is an ``open`` with a mode that writes, or with one nobody can read here."""
    if name != "open" and not name.endswith(".open"):
        return False
    given = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    place = 1 if name == "open" else 0
    given += node.args[place : place + 1]
    if not given:
        return False
    mode = given[0]
    return not (isinstance(mode, ast.Constant) and re.fullmatch(r"r[bt]?", str(mode.value)))


def kind_of(node: ast.Call, imported: dict[str, str]) -> str:
    """What an ambient call reaches for: "clock", "random", "write", or "" for none of them."""
    name = called(node)
    head, _, rest = name.partition(".")
    # What was not imported is a local variable: a generator may well be called "random".
    builtin = not rest
    full = ".".join([imported.get(head, head if builtin else ""), *filter(None, [rest])])
    for kind, pattern in (("clock", CLOCK), ("random", RANDOM), ("write", WRITE)):
        if pattern.search(full):
            return kind
    return "write" if opens_for_writing(node, name) else ""


def imports(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Local name to full name of everything imported."""
    names = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            names |= {
                a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0]
                for a in node.names
            }
    return names


def ambient(module: Module) -> list[str]:
    """Every ambient call of a module that is neither allowed there nor excused on its line."""
    nodes = list(ast.walk(module.tree))
    imported = imports(nodes)
    found = []
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        kind = kind_of(node, imported)
        if not kind or {module.name, module.room} & ALLOWED[kind]:
            continue
        excuse = ESCAPE.search(module.lines[node.lineno - 1])
        if excuse is None or excuse[1] != kind:
            found.append(f"{module.name}:{node.lineno}: {called(node)} ({kind})")
    return found


def test_no_ambient_clock_chance_or_writing() -> None:
    found = [line for module in modules() for line in ambient(module)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "import time as t\nt.perf_counter()",
        "from time import monotonic\nmonotonic()",
        "import datetime as dt\ndt.datetime.now()",
        "from datetime import datetime\ndatetime.now(tz=None)",
        "import datetime\ndatetime.date.today()",
        "import random\nrandom.random()",
        "from random import shuffle\nshuffle([])",
        "import numpy as np\nnp.random.default_rng(0)",
        "from numpy.random import default_rng\ndefault_rng(0)",
        "import numpy as np\nnp.random.seed(0)",
        "import uuid\nuuid.uuid4()",
        "open('a', 'w')",
        "open('a', mode='ab')",
        "from pathlib import Path\nPath('a').open('w')",
        "from pathlib import Path\nPath('a').write_text('b')",
        "import pyarrow.parquet as pq\npq.write_table(1, 'a')",
        "import time\ntime.time()  # clock-ok:",
        "import time\ntime.time()  # write-ok: the wrong excuse for it",
    ],
)
def test_the_check_sees(code: str) -> None:
    assert len(ambient(Module.of("plant/a.py", code))) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()  # clock-ok: wall time, outside the digest",
        "open('a')",
        "open('a', 'rb')",
        "from pathlib import Path\nPath('a').open()",
        "import numpy as np\nnp.random.Generator(np.random.PCG64(1))",
        "'a'.replace('b', 'c')",
        "from gigafactory.engine.streams import stream\nrandom = stream(0)\nrandom.random()",
    ],
)
def test_the_check_lets_pass(code: str) -> None:
    assert ambient(Module.of("plant/a.py", code)) == []


def test_writing_is_allowed_only_where_the_world_is_met() -> None:
    code = "open('a', 'w')"
    assert ambient(Module.of("adapters/store.py", code)) == []
    assert ambient(Module.of("engine/journal.py", code)) == []
    assert ambient(Module.of("engine/clock.py", code)) != []
