"""What Slurm prints is read for what it is, whatever a job's owner writes into it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gigafactory.adapters.slurm.metadata import Tag, read_tag, write_tag
from gigafactory.adapters.slurm.rich import read_rich
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.text import (
    JobRow,
    UnreadableError,
    expand_nodes,
    gres_count,
    jobs_command,
    licence_count,
    nodes_command,
    read_jobs,
    read_nodes,
)
from gigafactory.adapters.slurm.views import Ours, Saved, sort_out, view_ended, view_node, view_ours
from gigafactory.jobs.ports import Ending, JobView, Phase
from gigafactory.units import NS_PER_S

FENCE = "~0a1b~"
SETTINGS = SlurmSettings(user="gf", partitions={"h100": "main"}, qos="gf")
TAG = Tag("k-1", "lab, one", "research", 3, 16, 2, 0, 3600.0, "h100", 1_795_867_000)


def printed(**changes: str) -> str:
    """A line as squeue prints it."""
    fields = {
        "job": "17",
        "state": "RUNNING",
        "user": "gf",
        "qos": "gf",
        "partition": "main",
        "nodes": "2",
        "per_node": "gres:gpu:8",
        "per_job": "N/A",
        "limit": "1-02:03:04",
        "submit": "1795867083",
        "start": "1795867084",
        "end": "1795867684",
        "priority": "4294901758",
        "list": "n[1-2]",
        "licences": "power_kw:16",
        "restarts": "1",
        "exit": "0",
        "reason": "None",
        "comment": write_tag(TAG),
    }
    return "".join(value + FENCE for value in (fields | changes).values()) + "\n"


def row(**changes: str) -> JobRow:
    return read_jobs(printed(**changes), FENCE)[0]


def test_a_row_is_read() -> None:
    one = row()
    assert (one.job, one.state, one.user, one.qos) == ("17", "RUNNING", "gf", "gf")
    assert one.accelerators == 16
    assert one.walltime_s == 26 * 3600 + 3 * 60 + 4
    assert one.start_ns == 1_795_867_084 * NS_PER_S
    assert one.licences == "power_kw:16"
    assert read_tag(one.comment) == TAG
    assert one.running
    assert not one.held


def test_what_is_missing_is_missing() -> None:
    one = row(
        state="PENDING",
        start="N/A",
        end="N/A",
        list="",
        priority="0",
        limit="UNLIMITED",
        licences="(null)",
        comment="(null)",
        qos="(null)",
        per_node="N/A",
    )
    assert one.start_ns is None
    assert one.walltime_s == math.inf
    assert (one.licences, one.comment, one.qos, one.accelerators) == ("", "", "", 0)
    assert one.held


def test_a_comment_cannot_forge_a_job() -> None:
    forged = "x\n" + printed(job="99").replace(FENCE, "~beef~") + "|a,b~"
    rows = read_jobs(printed(comment=forged) + printed(job="18"), FENCE)
    assert [one.job for one in rows] == ["17", "18"]
    assert rows[0].comment == forged
    assert rows[1].comment == write_tag(TAG)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="~")), max_size=4))
def test_any_comment_is_carried(comments: list[str]) -> None:
    text = "".join(printed(job=str(i), comment=c) for i, c in enumerate(comments))
    empty = ("(null)", "N/A", "n/a")
    read = [one.comment for one in read_jobs(text, FENCE)]
    assert read == ["" if c in empty else c for c in comments]


@pytest.mark.parametrize(
    "text",
    [
        "17" + FENCE,
        printed() + "slurm_load_jobs error",
        printed(job="17_3"),
        printed(priority="high"),
        printed(limit="soon"),
    ],
)
def test_what_was_not_asked_for_is_not_read(text: str) -> None:
    with pytest.raises(UnreadableError):
        read_jobs(text, FENCE)


def test_no_jobs_are_no_rows() -> None:
    assert read_jobs("", FENCE) == []
    assert jobs_command(FENCE)[0] == "squeue"
    assert nodes_command(FENCE)[0] == "sinfo"


def test_exit_codes_are_those_of_a_shell() -> None:
    assert row(exit="0").exit_code == 0
    assert row(exit=str(143 << 8)).exit_code == 143
    assert row(exit="9").exit_code == 137
    assert row(exit="N/A").exit_code == -1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("gres:gpu:8", 8),
        ("gpu:h100:4(S:0-1)", 4),
        ("gres:gpu", 1),
        ("gres:gpu:a:2,gres:gpu:b:3,gres:nic:1", 5),
        ("gres/gpu=3", 3),
        ("N/A", 0),
        ("(null)", 0),
        ("gres:gpux:8", 0),
    ],
)
def test_accelerators_are_counted(text: str, count: int) -> None:
    assert gres_count(text, "gpu") == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("power_kw:16", 16),
        ("a:1,power_kw:3", 3),
        ("power_kw", 1),
        ("power_kw@db:2", 2),
        ("", 0),
    ],
)
def test_licences_are_counted(text: str, count: int) -> None:
    assert licence_count(text, "power_kw") == count


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("n1", ["n1"]),
        ("n[1-3,7],m2", ["n1", "n2", "n3", "n7", "m2"]),
        ("n[08-10]", ["n08", "n09", "n10"]),
        ("r[1-2]n[3-4]", ["r1n3", "r1n4", "r2n3", "r2n4"]),
        ("", []),
    ],
)
def test_node_names_are_expanded(text: str, names: list[str]) -> None:
    assert list(expand_nodes(text)) == names


TEXTS = st.text(min_size=1, max_size=40)


@given(TEXTS, TEXTS, st.integers(1, 10**6), st.integers(0, 2**62) | st.none(), st.booleans())
def test_a_tag_survives_its_comment(
    key: str, tenant: str, accelerators: int, pause_ns: int | None, told: bool
) -> None:
    tag = Tag(
        key,
        tenant,
        "research",
        3,
        accelerators,
        0,
        0,
        60.5,
        "h100",
        7,
        pause_ns,
        told,
        last_start_s=5,
        last_nodes="n[1-3,5]",
        kept_s=1.25,
    )
    comment = write_tag(tag)
    assert read_tag(comment) == tag
    assert comment.isascii()
    assert not set(comment) & set(" \n\"'\\|;$`")


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "a note",
        "gf1:",
        "gf1:k=a",
        write_tag(TAG) + ",k=b",
        write_tag(TAG) + ",x",
        write_tag(TAG).replace("n=16", "n=lots"),
        write_tag(TAG).replace("n=16", "n=0"),
        "gf2:k=a",
    ],
)
def test_half_a_tag_is_none(comment: str) -> None:
    assert read_tag(comment) is None


def test_only_our_user_and_quality_make_a_job_ours() -> None:
    others = [row(job="18", user="eve"), row(job="19", qos="normal"), row(job="20", comment="")]
    jobs = sort_out([row(), *others], SETTINGS)
    assert list(jobs.ours) == ["17"]
    assert list(jobs.foreign) == ["18", "19", "20"]


def test_the_first_of_a_key_counts_and_a_held_double_goes() -> None:
    held = {"state": "PENDING", "priority": "0", "restarts": "0", "start": "N/A", "list": ""}
    jobs = sort_out([row(job="21", **held), row(job="9"), row(job="22")], SETTINGS)
    assert jobs.doubles == ("21",)
    assert list(jobs.ours) == ["9", "22"], "a double that runs is seen"
    assert jobs.by_key == {"k-1": "9"}


def seen(saved: Saved | None = None, **changes: str) -> JobView:
    tag = read_tag(changes.get("comment", write_tag(TAG)))
    assert tag is not None
    return view_ours(Ours(row(**changes), tag), saved)


def test_phases_are_told_apart() -> None:
    paused = write_tag(
        replace(
            TAG,
            pause_ns=1_795_867_100 * NS_PER_S,
            told=True,
            last_start_s=1_795_867_084,
            last_nodes="n[1-2]",
        )
    )
    gone = {"state": "PENDING", "priority": "0", "list": "", "start": "N/A"}
    view = seen(comment=paused, **gone)
    assert (view.phase, view.frozen, view.nodes) == (Phase.PAUSED, False, ("n1", "n2"))
    assert view.ran_s == 16.0, "what it ran up to the signal counts as kept"
    assert view.start_ns == 1_795_867_084 * NS_PER_S
    assert seen(**gone).phase is Phase.HELD
    assert seen(**gone | {"priority": "5"}).phase is Phase.QUEUED
    assert seen(state="SUSPENDED").frozen
    saving = seen(comment=paused)
    assert (saving.phase, saving.reason) == (Phase.RUNNING, "is saving before its pause")
    restarted = seen(comment=paused, start="1795867200")
    assert restarted.reason == "", "a pause asked before its latest start is over"


def test_time_kept_is_what_the_job_says() -> None:
    start_ns = 1_795_867_084 * NS_PER_S
    before = Saved(start_ns - NS_PER_S, ran_s=50.0, run_s=20.0)
    assert seen(before).ran_s == 50.0
    during = Saved(start_ns + NS_PER_S, ran_s=50.0, run_s=20.0)
    assert seen(during).ran_s == 30.0
    assert seen(during).saved_ns == start_ns + NS_PER_S


def test_endings() -> None:
    tag = read_tag(write_tag(TAG))
    assert tag is not None
    for state, ending in (
        ("COMPLETED", Ending.COMPLETED),
        ("CANCELLED", Ending.CANCELLED),
        ("TIMEOUT", Ending.TIMED_OUT),
        ("NODE_FAIL", Ending.FAILED),
    ):
        assert view_ended(Ours(row(state=state), tag)).ending is ending
    assert view_ended(Ours(row(state="CANCELLED", list=""), tag)).start_ns is None


@pytest.mark.parametrize(
    ("state", "up", "draining", "off"),
    [
        ("idle", True, False, False),
        ("mixed", True, False, False),
        ("idle*", False, False, False),
        ("down*", False, False, False),
        ("draining", True, True, False),
        ("drained!", True, True, False),
        ("idle%", False, True, False),
        ("idle~", False, False, True),
        ("idle#", False, False, False),
        ("allocated+", True, False, False),
    ],
)
def test_node_states(state: str, up: bool, draining: bool, off: bool) -> None:
    text = "".join(f"{v}{FENCE}" for v in ("n1", state, "gpu:8(S:0)", "main", "none")) + "\n"
    (one,) = read_nodes(text + text.replace("main", "debug"), FENCE)
    assert one.partitions == ("main", "debug")
    view = view_node(one, {"main": "h100"})
    assert (view.up, view.draining, view.off) == (up, draining, off)
    assert (view.pool, view.accelerators) == ("h100", 8)


def document(version: str, **job: object) -> str:
    base = {"job_id": 3, "job_state": "RUNNING", "nodes": "n[2-3]", "user_name": "gf"}
    return json.dumps({"meta": {"plugin": {"type": f"openapi/{version}"}}, "jobs": [base | job]})


def test_devices_are_read_by_index() -> None:
    details = ["gpu:h100:3(IDX:0-1,5)", "gpu:1(IDX:7)"]
    (one,) = read_rich(document("v0.0.38", gres_detail=details))
    assert one.devices == {"n2": {0, 1, 5}, "n3": {7}}


def test_an_untried_version_is_refused_in_words() -> None:
    for text, words in (
        (document("v0.0.42"), r"v0\.0\.42.*not been tried"),
        ('{"jobs": []}', "unknown version"),
        ("error", "no JSON"),
        (document("v0.0.38", job_id="x"), "not shaped"),
    ):
        with pytest.raises(UnreadableError, match=words):
            read_rich(text)
