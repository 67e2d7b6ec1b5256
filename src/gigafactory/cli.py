"""The command line: thin; every command calls one function of the rooms below.

Exit codes: 0 done, 1 failed or found a fault, 2 bad input (every problem printed, nothing written),
130 interrupted (what was done is kept).

A command imports what it needs when it is given: the whole house takes a second to come in, and who
asks for help should not wait for it.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gigafactory import __version__
from gigafactory.engine.errors import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    BadInput,
    Problem,
    refuse,
)
from gigafactory.runtime.datacommands import data_app
from gigafactory.runtime.storecommands import store_app, token_app

if TYPE_CHECKING:
    from gigafactory.assess.subject import Subject
    from gigafactory.runtime.run import Outcome

app = typer.Typer(
    name="gigafactory",
    help="Plans, runs and accounts for an AI gigafactory.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")
app.add_typer(token_app, name="token")

Lang = Annotated[str, typer.Option("--lang", help="Language of the report: en or nl.")]
RunArgument = Annotated[
    str, typer.Argument(help="A run folder, the folder of a live day, or latest.")
]


def _say(text: str = "") -> None:
    typer.echo(text)


def _tell(outcome: Outcome, command: str, quiet: bool, lines: Iterable[str]) -> None:
    """Say what a run came to, or its folder alone, and how an interrupted one goes on."""
    for line in [str(outcome.folder)] if quiet else lines:
        _say(line)
    if not outcome.complete:
        _say(
            f"Interrupted after {outcome.summary['days_done']} of {outcome.summary['days']} days. "
            f"Resume with: gigafactory {command} --resume {outcome.folder}"
        )
        raise typer.Exit(EXIT_INTERRUPTED)


class Bar:
    """Says what is going on, and how long it will still take."""

    def __init__(self) -> None:
        self._bar: Any = None

    def stage(self, what: str) -> None:
        """Print the stage of work that begins."""
        self._close()
        typer.echo(f"  {what} ...", err=True)

    def days(self, done: int, total: int) -> None:
        """Move the bar."""
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                initial=done - 1,
                unit="day",
                file=sys.stderr,
                desc="  simulated",
                bar_format="{desc}: {n_fmt}/{total_fmt} days |{bar:30}| {remaining} left",
                mininterval=0.5,
            )
        self._bar.update(1)
        if done == total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Name of the factory.")],
    out: Annotated[Path | None, typer.Option(help="File to write; NAME.yaml by default.")] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Also write serve.yaml, for a simulated cluster.")
    ] = False,
) -> None:
    """Write a commented factory file to start from."""
    from gigafactory.factory import init_text
    from gigafactory.runtime.live.settings import example_settings

    path = out or Path(f"{name}.yaml")
    texts = {path: init_text(name)}
    if serve:
        texts[path.with_name("serve.yaml")] = example_settings()
    for file in texts:
        if file.exists():
            raise refuse(str(file), "", None, "exists already; choose another name with --out")
    for file, text in texts.items():
        try:
            file.write_text(text, "utf-8")
        except OSError as error:
            raise refuse(str(file), "", None, f"cannot be written: {error.strerror}") from None
    _say(f"Wrote {path}. Check it with: gigafactory check {path}")


@app.command()
def schema(
    scenario: Annotated[bool, typer.Option("--scenario", help="That of a scenario.")] = False,
) -> None:
    """Print the JSON Schema of a factory file."""
    from gigafactory.factory import json_schema, scenario_schema

    _say(json.dumps(scenario_schema() if scenario else json_schema(), indent=2))


@app.command()
def check(
    factory: Annotated[str, typer.Argument(help="A bundled factory or a file.")],
    scenario: Annotated[str | None, typer.Option(help="A scenario to apply.")] = None,
    strict: Annotated[bool, typer.Option(help="Ask a source for every figure.")] = False,
    settings: Annotated[
        Path | None, typer.Option(help="Settings of the service to check with it.")
    ] = None,
) -> None:
    """Check a factory file and its dossier, and print every problem at once."""
    from gigafactory.assess.files import check_dossier
    from gigafactory.factory import (
        check_factory,
        fleet_h100_equivalents,
        fleet_rated_mw,
        installed_storage_pb,
        load_factory,
        load_scenario,
    )

    applied = load_scenario(scenario) if scenario else None
    problems = check_factory(factory, applied, strict=strict)
    if problems:
        raise BadInput(problems)
    found = load_factory(factory, applied)
    wrong = check_dossier(found)
    if wrong:
        raise BadInput(wrong)
    if settings is not None:
        from gigafactory.runtime.live.settings import load_settings

        load_settings(settings, found)
    worth = fleet_h100_equivalents(found)
    count = sum(p.accelerators for p in found.fleet)
    _say(
        f"{factory}: no problems. {count:,} accelerators, {worth:,.0f} H100-equivalents, "
        f"{fleet_rated_mw(found):,.1f} MW of IT as rated, "
        f"{installed_storage_pb(found):,.1f} PB of storage, "
        f"{len(found.sites)} site(s), {len(found.tenants)} tenants."
    )


@app.command()
def run(
    factory: Annotated[str | None, typer.Argument(help="A bundled factory or a file.")] = None,
    scenario: Annotated[str | None, typer.Option(help="A bundled scenario or a file.")] = None,
    jobs: Annotated[str | None, typer.Option(help="A job file; generated without one.")] = None,
    scale_to_fleet: Annotated[
        bool, typer.Option("--scale-to-fleet", help="Replicate the job file to suit the fleet.")
    ] = False,
    prices: Annotated[
        str | None, typer.Option(help="A price file; weather is looked for beside it.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First local day, such as 2025-01-01.")] = None,
    days: Annotated[int | None, typer.Option(help="Local days; a year by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random stream.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME-N by default.")] = None,
    lang: Lang = "en",
    yardstick: Annotated[
        str, typer.Option(help="Hold energy against a bound: hour, full or off.")
    ] = "hour",
    cadence: Annotated[
        str | None,
        typer.Option(
            help="How often plans are made, whatever the file says: daily, hourly, 15min."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the folder only.")] = False,
    resume: Annotated[str | None, typer.Option(help="Go on with an interrupted run.")] = None,
) -> None:
    """Simulate a factory and write its report."""
    from gigafactory.factory import CADENCES, bundled
    from gigafactory.report import path_lines, summary_table, write_report
    from gigafactory.runtime.run import Quiet, RunOptions, resume_run, start_run

    if lang not in {"en", "nl"}:
        raise refuse("--lang", "", lang, "is en or nl")
    if yardstick not in {"hour", "full", "off"}:
        raise refuse("--yardstick", "", yardstick, "is hour, full or off")
    if cadence is not None:
        cadence = "15 min" if cadence == "15min" else cadence
        if cadence not in CADENCES:
            raise refuse("--cadence", "", cadence, "is daily, hourly or 15min")
    tell = Quiet() if quiet else Bar()
    if resume is not None:
        outcome = resume_run(resume, tell, reporter=write_report)
    else:
        if factory is None:
            raise refuse("FACTORY", "", None, f"is missing; bundled: {', '.join(bundled())}")
        options = RunOptions(
            factory, scenario, jobs, scale_to_fleet, prices, start, days, seed, lang, yardstick,
            cadence,
        )  # fmt: skip
        outcome = start_run(options, tell, out=out, reporter=write_report)
    lines = [summary_table(outcome.summary, lang)]
    # notes of services are one a service: they stand in the report
    notes = (note for note in outcome.summary["notes"] if not note.startswith("service "))
    lines += [f"Note     {note}" for note in notes]
    _tell(outcome, "run", quiet, [*lines, path_lines(outcome.folder, lang)])


@app.command()
def stress(
    factory: Annotated[str | None, typer.Argument(help="A bundled factory or a file.")] = None,
    scenario: Annotated[str | None, typer.Option(help="A bundled scenario or a file.")] = None,
    start: Annotated[
        str, typer.Option(help="First stress day, such as 2025-06-18.")
    ] = "2025-06-18",
    days: Annotated[int, typer.Option(help="Days that go by the second.")] = 1,
    warm_up: Annotated[
        int, typer.Option("--warm-up", help="Ordinary days before, so that the factory is full.")
    ] = 21,
    seed: Annotated[int, typer.Option(help="Seed of every random stream.")] = 0,
    second_trace: Annotated[
        str, typer.Option("--second-trace", help="Frequency: real, synthetic or ramp.")
    ] = "synthetic",
    limits: Annotated[int, typer.Option(help="Limits with notice, a day.")] = 2,
    trips: Annotated[int, typer.Option(help="Trips of the connection, a day.")] = 1,
    dips: Annotated[int, typer.Option(help="Voltage dips or clusters of them, a day.")] = 2,
    seconds: Annotated[
        int | None, typer.Option(help="Only so many seconds at the begin of each day.")
    ] = None,
    jobs: Annotated[str | None, typer.Option(help="A job file; generated without one.")] = None,
    prices: Annotated[
        str | None, typer.Option(help="A price file; weather is looked for beside it.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(envvar="GIGAFACTORY_DATA", help="Folder of measured data.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME-N by default.")] = None,
    lang: Lang = "en",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the folder only.")] = False,
    resume: Annotated[str | None, typer.Option(help="Go on with an interrupted run.")] = None,
) -> None:
    """Simulate days at one second with every job, and answer frequency, limits, trips and dips."""
    from gigafactory.factory import bundled
    from gigafactory.report import path_lines, write_report
    from gigafactory.runtime.run import Quiet, resume_run, start_run
    from gigafactory.runtime.stresswords import stress_lines, stress_options

    if lang not in {"en", "nl"}:
        raise refuse("--lang", "", lang, "is en or nl")
    tell = Quiet() if quiet else Bar()
    if resume is not None:
        outcome = resume_run(resume, tell, reporter=write_report)
    else:
        if factory is None:
            raise refuse("FACTORY", "", None, f"is missing; bundled: {', '.join(bundled())}")
        options = stress_options(
            factory, scenario, start, days, warm_up, seed, second_trace,
            {"limits": limits, "trips": trips, "dips": dips, "seconds": seconds, "data": data},
            jobs=jobs, prices=prices, lang=lang,
        )  # fmt: skip
        outcome = start_run(options, tell, out=out, reporter=write_report)
    lines = [*stress_lines(outcome.summary), path_lines(outcome.folder, lang)]
    _tell(outcome, "stress", quiet, lines)


@app.command()
def event(
    factory: Annotated[str, typer.Argument(help="A bundled factory or a file.")],
    reduce: Annotated[str, typer.Option(help="Less IT power, such as 25%.")] = "25%",
    hours: Annotated[float, typer.Option(help="How long.")] = 3.0,
    at: Annotated[
        str | None, typer.Option(help="Local instant; over the file's mean load without one.")
    ] = None,
    notice: Annotated[int, typer.Option(help="Minutes until all of it is reached.")] = 20,
    mode: Annotated[str, typer.Option(help="caps, pausing or resizing.")] = "pausing",
    scenario: Annotated[str | None, typer.Option(help="A bundled scenario or a file.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
    deepest: Annotated[
        bool, typer.Option("--deepest", help="Instead, how deep the factory can go.")
    ] = False,
) -> None:
    """Plan a demand-response event: who gives way, when, and what it costs."""
    from gigafactory.runtime.demandresponse import (
        answer_event,
        asked,
        deepest_lines,
        event_lines,
    )

    if deepest:
        lines = deepest_lines(factory)
    else:
        ask = asked(reduce, hours, notice, mode, at, scenario, seed)
        lines = event_lines(answer_event(factory, ask, Bar() if at else None))
    for line in lines:
        _say(line)


@app.command()
def demonstrate(
    data: Annotated[
        Path | None, typer.Option(envvar="GIGAFACTORY_DATA", help="Folder of measured data.")
    ] = None,
) -> None:
    """Plan a measured field demonstration again, and compare."""
    from gigafactory.runtime.demandresponse import demonstration_lines

    if data is None:
        raise refuse("--data", "", None, "names no folder; or set GIGAFACTORY_DATA")
    for line in demonstration_lines(data):
        _say(line)


@app.command()
def report(
    path: RunArgument = "latest",
    lang: Lang = "en",
    kind: Annotated[
        str | None,
        typer.Option(
            help="A statement instead: operations, strategy, eed, tender, access, finance, "
            "sustainability or board."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the statement; statements in the run's by default."),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write the statement as PDF as well.")] = False,
) -> None:
    """Write the report of a finished run again, in another language if asked, or a statement."""
    from gigafactory.engine.manifest import write_manifest
    from gigafactory.report import print_pdf, write_report, write_statement
    from gigafactory.runtime.folder import RunFolder

    if kind is None and (pdf or out is not None):
        raise refuse("--kind", "", None, "is needed for --pdf and --out, such as --kind board")
    folder = RunFolder.open(path).path
    if kind is None:
        page = write_report(folder, lang)
    else:
        page = write_statement(folder, kind, lang, out=out)
    printed = print_pdf(page) if pdf else page
    if out is None:
        digest = json.loads((folder / "summary.json").read_text("utf-8"))["digest"]
        write_manifest(folder, {"digest": digest})
    _say(str(page))
    if not isinstance(printed, Path):
        typer.echo(printed.why, err=True)
        raise typer.Exit(EXIT_FAILED)
    if pdf:
        _say(str(printed))


@app.command()
def verify(path: RunArgument = "latest") -> None:
    """Prove a run or a live day: the journal's chain, conservation to the last integer."""
    from gigafactory.runtime.live.daywords import verify_lines

    _say_or_fail(verify_lines(path))


@app.command()
def explain(
    path: Annotated[str, typer.Argument(help="A run folder, the folder of a live day, or latest.")],
    job: Annotated[int, typer.Argument(help="Number of the job.")],
    lang: Lang = "en",
) -> None:
    """Tell what became of a job, and which rule made it wait."""
    from gigafactory.factory import load_factory
    from gigafactory.runtime.explain import explain as lines_of
    from gigafactory.runtime.folder import RunFolder

    if lang not in {"en", "nl"}:
        raise refuse("--lang", "", lang, "is en or nl")
    folder = RunFolder.open(path).path
    timezone = next(iter(load_factory(folder / "factory.yaml").sites.values())).timezone
    for line in lines_of(folder, job, lang, timezone):
        _say(line)


@app.command()
def footprint(
    path: RunArgument = "latest",
    job: Annotated[int | None, typer.Option(help="Number of a job: its receipt instead.")] = None,
    lang: Lang = "en",
) -> None:
    """Tell what a run emitted, scopes 1 to 3, or what one job took."""
    from gigafactory.assess import subject_of
    from gigafactory.assess.circular import after_first_life, circular_of
    from gigafactory.assess.climate import beside_targets
    from gigafactory.assess.footprint import footprint_of, receipt_of
    from gigafactory.report.footprint import footprint_lines, receipt_lines
    from gigafactory.runtime.folder import RunFolder

    subject = subject_of(path, run=RunFolder.open(path).path)
    if job is not None:
        lines = receipt_lines(receipt_of(subject, job), lang)
    else:
        plan = circular_of(subject)
        after = None if plan is None else after_first_life(subject, plan)
        found = footprint_of(subject)
        lines = footprint_lines(found, after, lang, beside_targets(subject, found))
    for line in lines:
        _say(line)


@app.command()
def supply(
    factory: Annotated[str, typer.Argument(help="A bundled factory, a file or a run folder.")],
    stop: Annotated[
        str | None,
        typer.Option(help="What stops when this stops: a node, a country code, or ASSET=1."),
    ] = None,
    disable: Annotated[
        bool, typer.Option("--disable", help="It also switches off what it supplied.")
    ] = False,
    exposure: Annotated[
        str | None, typer.Option(help="Whose law reaches this node, and by which way.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="The way from a node to what it needs, such as A:B.")
    ] = None,
    months: Annotated[int, typer.Option(help="Months to look ahead.")] = 36,
    on: Annotated[str, typer.Option(help="Day of the cut, such as 2025-01-01.")] = "2025-01-01",
    scenario: Annotated[
        Path | None, typer.Option(help="Write the cut as a scenario that a run can take.")
    ] = None,
    lang: Lang = "en",
) -> None:
    """Ask the supply graph: content, concentration, substitutes, exposure, what stops when."""
    from gigafactory.report.supplycommand import SupplyQuestion, supply_answer

    question = SupplyQuestion(factory, stop, disable, exposure, path, months, on, lang)
    lines, text = supply_answer(question, wants_scenario=scenario is not None)
    if scenario is not None:
        if scenario.exists():
            raise refuse(str(scenario), "", None, "exists already; choose another name")
        try:
            scenario.write_text(text, "utf-8")
        except OSError as error:
            raise refuse(str(scenario), "", None, f"cannot be written: {error.strerror}") from None
        lines.append(f"Wrote {scenario}. Run it: gigafactory run {factory} --scenario {scenario}")
    for line in lines:
        _say(line)


@app.command()
def replay(path: RunArgument = "latest") -> None:
    """Rebuild the ledger of a run or a live day from its journal, compare byte for byte."""
    from gigafactory.runtime.live.daywords import replay_lines

    _say_or_fail(replay_lines(path))


@app.command()
def diff(
    day: Annotated[str, typer.Argument(help="The folder of a live day.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Compare a live or shadow day as decided with the day as it was."""
    from gigafactory.runtime.live.daywords import diff_lines

    for line in diff_lines(day, as_json=as_json):
        _say(line)


@app.command()
def correct(
    day: Annotated[str, typer.Argument(help="The folder of a live day.")],
    file: Annotated[Path, typer.Argument(help="CSV: period, meter, place, delta_wh, reason.")],
) -> None:
    """Take in late data of a live day's meters: correcting transfers and receipts."""
    from gigafactory.engine.clock import WallClock
    from gigafactory.runtime.live.late import correct_lines

    for line in correct_lines(day, file, WallClock().now_ns()):
        _say(line)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A run folder.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
) -> None:
    """Compare the summaries of two runs."""
    from gigafactory.runtime.compare import compare as rows_of
    from gigafactory.runtime.compare import render
    from gigafactory.runtime.folder import RunFolder

    a, b = RunFolder.open(first).path, RunFolder.open(second).path
    _say(render(rows_of(a, b), a.name, b.name))


@app.command()
def eed(
    path: RunArgument = "latest",
    out: Annotated[Path | None, typer.Option(help="File to write: .csv or .json.")] = None,
    lang: Lang = "en",
) -> None:
    """Report the data centres of a run by Delegated Regulation (EU) 2024/1364."""
    from gigafactory.assess.eed import eed_lines, eed_rows, eed_text

    rows = eed_rows(_subject(path, lang, out))
    if out is None:
        for line in eed_lines(rows, lang):
            _say(line)
    else:
        _write(out, eed_text(rows, out.suffix, lang))


@app.command("access-report")
def access_report(
    path: RunArgument = "latest",
    out: Annotated[
        Path | None, typer.Option(help="File to write the records to: .csv or .json.")
    ] = None,
    records: Annotated[
        list[Path] | None, typer.Option(help="Records of other sites to report as well.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Only sums over enough tenants.")
    ] = False,
    lang: Lang = "en",
) -> None:
    """Report the access time of a run, as it is due to EuroHPC on 31 January."""
    from gigafactory.assess.access import access_lines, access_report_with, records_text

    if public and out is not None:
        raise refuse("--public", "", str(out), "records name tenants; write them without --public")
    report = access_report_with(_subject(path, lang, out), records or ())
    for line in access_lines(report, lang, public=public):
        _say(line)
    if out is not None:
        _write(out, records_text(report.records, out.suffix))


def _subject(path: str, lang: str, out: Path | None) -> Subject:
    """A run to be assessed as of its last day; what is wrong with the words is refused first."""
    from gigafactory.assess.subject import subject_of
    from gigafactory.runtime.folder import RunFolder

    if lang not in {"en", "nl"}:
        raise refuse("--lang", "", lang, "is en or nl")
    if out is not None and out.suffix not in {".csv", ".json"}:
        raise refuse("--out", "", str(out), "ends in .csv or .json")
    folder = RunFolder.open(path).path
    if not (folder / "summary.json").is_file():
        raise refuse(str(folder), "", None, "holds no summary; finish the run with --resume first")
    return subject_of(folder)


def _write(out: Path, text: str) -> None:
    """Write a file and say so; a place that cannot be written is bad input."""
    try:
        out.write_text(text, "utf-8")
    except OSError as error:
        raise refuse(str(out), "", None, f"cannot be written: {error.strerror}") from None
    _say(f"Wrote {out}.")


@app.command()
def finance(
    subject: Annotated[
        str, typer.Argument(metavar="FACTORY_OR_RUN", help="A factory, a run folder, or latest.")
    ],
    scenario: Annotated[
        list[str] | None, typer.Option(help="A scenario of the money; all without one.")
    ] = None,
    draws: Annotated[int, typer.Option(help="How often what nobody knows is drawn.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    lang: Lang = "en",
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Also write everything to this file.")
    ] = None,
) -> None:
    """Work out the years of money: ranges, scenarios, cash by actor, value retained, loans."""
    from gigafactory.factory import bundled
    from gigafactory.finance.statement import as_dict, statement
    from gigafactory.finance.words import lines, word
    from gigafactory.runtime.folder import RunFolder

    if lang not in {"en", "nl"}:
        raise refuse("--lang", "", lang, "is en or nl")
    a_factory = subject in bundled() or subject.endswith((".yaml", ".yml"))
    place = subject if a_factory else RunFolder.open(subject).path
    told = statement(place, scenario or (), draws, seed)
    for line in lines(told, lang):
        _say(line)
    if json_out is not None:
        try:
            text = json.dumps(as_dict(told), indent=2, ensure_ascii=False, allow_nan=False)
            json_out.write_text(text + "\n", "utf-8")
        except OSError as error:
            raise refuse(str(json_out), "", None, f"cannot be written: {error.strerror}") from None
        _say(word("written", lang).format(path=json_out))


@app.command()
def assess(
    what: Annotated[str, typer.Argument(help="A factory, a run folder, or latest.")],
    framework: Annotated[str, typer.Option(help="Which framework; all for every score.")] = "axes",
    against: Annotated[
        str | None, typer.Option(help="Another factory or run: what changed from it, and why.")
    ] = None,
    day: Annotated[
        str | None, typer.Option(help="Day that counts; of a run its last, of a factory today.")
    ] = None,
    lang: Lang = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print plain data.")] = False,
) -> None:
    """Judge a factory or a run by a framework, each finding with its evidence."""
    from gigafactory.engine.clock import WallClock
    from gigafactory.report.assessing import assess_lines, assess_plain
    from gigafactory.runtime.folder import run_named
    from gigafactory.units import NS_PER_S

    if lang not in {"en", "nl"}:
        raise refuse("--lang", "", lang, "is en or nl")
    runs = {name: run_named(name) for name in (what, against) if name is not None}
    today = _day(day)
    if today is None and runs[what] is None:
        seconds = WallClock().now_ns() // NS_PER_S
        today = dt.datetime.fromtimestamp(seconds, dt.UTC).date()
    folder, other = runs[what], runs.get(against) if against is not None else None
    if as_json:
        found = assess_plain(what, framework, today, against=against, run=folder, against_run=other)
        _say(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for line in assess_lines(
        what, framework, today, lang, against=against, run=folder, against_run=other
    ):
        _say(line)


def _day(text: str | None) -> dt.date | None:
    try:
        return None if text is None else dt.date.fromisoformat(text)
    except ValueError:
        raise refuse("--day", "", text, "must be a date, such as 2026-01-31") from None


@app.command()
def serve(
    factory: Annotated[str, typer.Argument(help="A bundled factory or a file.")],
    settings: Annotated[Path, typer.Option(help="Settings of the service (serve.yaml).")],
    only: Annotated[
        str | None,
        typer.Option(help="Run one process: controller, books, api, feeds, or a channel's name."),
    ] = None,
    health: Annotated[
        bool, typer.Option("--health", help="Only tell whether the service is well; 0 when it is.")
    ] = False,
) -> None:
    """Run a factory: steer its cluster, answer the grid, take work. Needs gigafactory[serve]."""
    from gigafactory.factory import load_factory
    from gigafactory.runtime.live.settings import load_settings

    found = load_settings(settings, load_factory(factory))
    try:
        if health:
            from gigafactory.runtime.live.pulse import unhealthy

            why = unhealthy(found.store.full_url(settings.parent), found.hung_s)
            _say(why or "well")
            raise typer.Exit(EXIT_FAILED if why else 0)
        from gigafactory.web.service import run_service
    except ModuleNotFoundError as missing:
        why = f'needs {missing.name}: pip install "gigafactory[serve]"'
        raise refuse("serve", "", None, why) from None
    raise typer.Exit(run_service(factory, settings, found, only))


@app.command()
def version() -> None:
    """Print the version."""
    _say(__version__)


def _say_or_fail(told: tuple[list[Problem], list[str]]) -> None:
    """Fail with the problems, or say the lines."""
    problems, lines = told
    if problems:
        _fail(problems)
    for line in lines:
        _say(line)


def _fail(problems: list[Problem]) -> None:
    for problem in problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(EXIT_FAILED)


def _is_told(error: Exception) -> bool:
    """Whether an error is trouble in the world whose text is written for the user."""
    from gigafactory.adapters.datasets import DownloadError
    from gigafactory.engine.journal import Damaged
    from gigafactory.runtime.folder import DiskFull

    store = sys.modules.get("gigafactory.adapters.store")  # in the base install it cannot come in
    if store is not None and isinstance(error, store.StoreTrouble):
        return True
    return isinstance(error, Damaged | DiskFull | DownloadError)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; what goes wrong is told in plain words.

    Returns:
        The exit code.
    """
    try:
        result = app(args=argv, standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except BadInput as bad:
        for problem in bad.problems:
            typer.echo(str(problem), err=True)
        plural = "problem" if len(bad.problems) == 1 else "problems"
        typer.echo(f"{len(bad.problems)} {plural}.", err=True)
        code = EXIT_BAD_INPUT
    except typer.Exit as leave:
        code = leave.exit_code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("Stopped. An interrupted run goes on with: gigafactory run --resume", err=True)
        code = EXIT_INTERRUPTED
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # wrong use of the command line
            error.show()
            code = EXIT_BAD_INPUT
        elif _is_told(error):
            typer.echo(str(error), err=True)
            code = EXIT_FAILED
        else:
            raise
    return code


__all__ = ["app", "main"]
