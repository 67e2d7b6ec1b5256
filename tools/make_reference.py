"""Write the reference pages that are made from the code; a tidy test checks that they are current.

Usage: ``.venv/bin/python tools/make_reference.py``
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import typer.main

from gigafactory.adapters.feeds import DayAheadSettings, SettlementSettings, WeatherSettings
from gigafactory.adapters.metering.settings import (
    DcgmSettings,
    PrometheusSettings,
    ScrapeSettings,
)
from gigafactory.assess.files import FILES
from gigafactory.cli import app
from gigafactory.factory import reference_markdown
from gigafactory.factory.describing import model_markdown, settings_rows, supply_reference_markdown
from gigafactory.finance.planfile import Plan
from gigafactory.runtime.live.settings import (
    OtherMeterSettings,
    Settings,
    SlurmCluster,
    TwinSettings,
)
from gigafactory.web.reference import api_markdown

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "<!-- Made by tools/make_reference.py from the code; do not edit this page by hand. -->"

CLI_HEAD = """# The command line

`make run` and `make run-real` put the command `gigafactory` into `.venv/bin`. Every command calls
one function of the package; none of them asks questions, so all can stand in a script.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed, or a fault was found: a difference, a damaged journal, a full disk, no download |
| 2 | bad input or wrong use: every problem is printed, one a line, and nothing is written |
| 130 | interrupted: what was done is kept, and the command that goes on with it is printed |

Results go to standard output; progress, problems and troubles go to standard error. A problem reads
`where: field = value: why`, and says what would be right.

Where a **run** is asked for, give its folder, the name of a folder in `runs/`, or `latest` for the
last one begun there. A **factory** or **scenario** is a bundled name or the path of a YAML file.
"""

PLAN_HEAD = """
`plan.yaml` in the [dossier](../how-to/own-factory.md) of a factory says what its money looks like
over the years ([how it is used](../explanation/finance.md)). Prices of accelerators, lives, upkeep
and the cost of capital stand in the [factory file](factory-file.md) and are not repeated.

A quantity with a unit is written as text, such as `"50 MEUR"`; a bare number there is an error.
`<name>` stands for a name you choose, `<class>` for one of a fixed list, `[]` for each item of a
list. Every block may also have `sources`: for a key (or `*` for the whole block)
`source, year, measured|published|assumption`.

Beyond the range of each figure, a plan is refused (all problems at once) when shares of owners,
of the infrastructure or of what is paid in the years of building do not come to 100 %; when more is
borrowed than there is to finance; when places come to more than 100 %; when a class of asset or a
line of cost is missing, or has an amount that a run or the factory file gives; when a loan runs
beyond the years of operation or its grace beyond its term; when a name stands twice.

Not everything that can be asked is known: `abroad` may stay empty, and what nobody filled in is
told as *input required*.
"""

#: What a command's own help has no room for.
NOTES = {
    "run": """With `--jobs` and without `--scale-to-fleet` a trace is moved to the start of the run
and kept as it is. Without `--start` a run begins on 1 January 2025, or on the first day of the last
whole year of the price file. `--days` goes from 1 to 1098. `--resume RUN` takes everything but
`--quiet` from the run's folder; inputs that changed since are refused.

A first Ctrl-C stops after the day at hand and leaves a run that can be read, verified and resumed;
a second one stops at once, and the run resumes from its last snapshot, or from its beginning.""",
    "report": "Writes the manifest again too, so that the folder still verifies.",
    "verify": "Prints what it proved, the rounding accounts and the digest; "
    "[how to read it](../how-to/verify-a-run.md).",
    "replay": "A run that was stopped is rebuilt as far as it went.",
    "supply": """Without `--stop` and `--exposure` it tells everything the graph says by itself. A
country takes with it what comes from it and whoever is controlled from it. `--disable` also
switches off what was installed before. [What the answers mean](../explanation/supply-graph.md).""",
    "finance": """Needs a [plan](plan-file.md) in the dossier. With a run its year is the
ledger's; without one it is the plan's estimate. Draws go from 100 to 1,000,000.
[What the tables mean](../explanation/finance.md).""",
    "assess": "Frameworks: `axes`, `recommendations`, `controls`, `registers` and those of other "
    "pages; `all` prints the scores of each. What each means: "
    "[assessment](../explanation/assessment.md).",
    "serve": """Settings: [the service settings](serve-settings.md). Without `--only` the
controller, the API and a gateway per channel are started, watched and started again; SIGTERM and
Ctrl-C stop all.
[What the controller does](../explanation/live-loop.md).""",
    "compare": "Reads only the two `summary.json`.",
}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _rows(command: Any) -> list[str]:
    """Table rows of a command's arguments and options."""
    rows = []
    for one in command.params:
        argument = one.param_type_name == "argument"
        name = one.name.upper() if argument else ", ".join((*one.opts, *one.secondary_opts))
        default = "" if one.default is None or one.default is False else one.default
        default = "required" if one.required else default
        shown = f"`{default}`" if default not in ("", "required") else default
        rows.append(f"| `{name}` | {_cell(one.help or '')} | {shown} |")
    return rows


def _commands(command: Any, name: str) -> list[str]:
    """Sections of a command, or of every command of a group."""
    inside = getattr(command, "commands", None)
    if inside:
        parts = [_commands(inside[key], f"{name} {key}") for key in inside]
        return [line for part in parts for line in part]
    lines = [f"## {name.removeprefix('gigafactory ')}", "", _cell(command.help or ""), ""]
    rows = _rows(command)
    if rows:
        lines += ["| argument or option | meaning | default |", "|---|---|---|", *rows, ""]
    note = NOTES.get(name.removeprefix("gigafactory "))
    return [*lines, note, ""] if note else lines


def cli_markdown() -> str:
    """The reference page of the command line."""
    return CLI_HEAD + "\n" + "\n".join(_commands(typer.main.get_command(app), "gigafactory"))


DOSSIER_HEAD = """# The dossier

Plain files about a factory that no run needs: documents, registers, answers. `governance.dossier`
of the [factory file](factory-file.md) names the folder, a bundled one by name or one's own by
path; a run keeps a copy of it. Every file may be left out: what is not there is **missing**,
which is shown, and is neither met nor nought. `gigafactory check` tells everything that is wrong
with them; `gigafactory assess` says what follows ([how](../explanation/assessment.md)).

A quantity with a unit is text, such as `"10 MEUR"`. An instant carries its offset, such as
`2026-03-01T08:00:00+01:00`. Texts a reader sees stand in English and Dutch: `{en: ..., nl: ...}`.
A `source` says who says so: `source`, `year`, `state` (measured, published, assumption), `mark`
(verified: seen in the source; read: an excerpt or a second hand; unverified: general knowledge or
one's own choice) and a `note`; what is unverified is an assumption. `example: true` marks what is
made up for demonstration: it is shown and never counts, neither way.

Registers are the operator's own statement, as the factory file is. Where that is not enough
(talent, procurement, outcomes) a register names who checked it.
"""


def dossier_markdown() -> str:
    """The reference page of the files of a dossier that the room `assess` reads."""
    lines = [DOSSIER_HEAD]
    for one in FILES:
        lines += [f"## {one.name}", "", one.purpose, "", *settings_rows(one.model), ""]
    return "\n".join(lines)


SERVE_HEAD = """
`serve.yaml` says where the service finds things and how fresh they must be; what the factory is and
may do stands in the [factory file](factory-file.md). `gigafactory check FACTORY --settings FILE`
prints every problem at once, and [the live loop](../explanation/live-loop.md) says what becomes of
them. `gigafactory init NAME --serve` writes one to start from, for a simulated cluster.

Paths are counted from the file's folder. A quantity with a unit is text, such as `"2 s"`. A secret
(a password, a token) never stands in the file: `{file: path}` or `{env: NAME}` says where it is. It
is shown nowhere. A channel of kind `uftp`, `mqtt`, `openadr` or `iec104` gets a process of its
own, which reads `options`; it is named after the channel (that of GOPACS must be `gopacs`).
"""


def serve_markdown() -> str:
    """The reference page of the service's settings."""
    lines = [model_markdown(Settings, "The service settings", SERVE_HEAD), ""]
    for title, model in (
        ("A simulated cluster: managers.NAME with kind: twin", TwinSettings),
        ("Slurm: managers.NAME with kind: slurm", SlurmCluster),
        ("Day-ahead prices of ENTSO-E: feeds.NAME with kind: entsoe", DayAheadSettings),
        ("Settlement prices of TenneT: feeds.NAME with kind: tennet", SettlementSettings),
        ("Forecasts of Open-Meteo: feeds.NAME with kind: open_meteo", WeatherSettings),
        ("Prometheus: meters.NAME with kind: prometheus", PrometheusSettings),
        ("An exposition page: meters.NAME with kind: page", ScrapeSettings),
        ("DCGM exporters: meters.NAME with kind: dcgm", DcgmSettings),
        ("Another adapter: meters.NAME with kind: other", OtherMeterSettings),
    ):
        lines += [f"## {title}", "", *settings_rows(model), ""]
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """Every page made from code, with the text it should have."""
    made = {
        "factory-file.md": reference_markdown(),
        "cli.md": cli_markdown(),
        "supply-file.md": supply_reference_markdown(),
        "plan-file.md": model_markdown(Plan, "The plan file", PLAN_HEAD),
        "dossier.md": dossier_markdown(),
        "serve-settings.md": serve_markdown(),
        "api.md": api_markdown(),
    }
    return {REFERENCE / name: f"{MADE}\n\n{text.strip()}\n" for name, text in made.items()}


def every_page() -> dict[Path, str]:
    """Pages made from code, and those made from the data files beside this tool."""
    found = pages()
    for other in ("make_benchmarks.py", "make_requirements.py"):
        found |= runpy.run_path(str(Path(__file__).with_name(other)))["pages"]()
    return found


if __name__ == "__main__":
    for path, text in every_page().items():
        path.write_text(text, encoding="utf-8")
        print(path)
