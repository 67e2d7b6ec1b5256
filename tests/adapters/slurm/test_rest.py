"""Jobs are handed over by a real slurmrestd on a unix socket."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gigafactory.adapters.slurm import SlurmManager, SlurmSettings
from gigafactory.adapters.slurm.rest import RestClient, _read
from gigafactory.adapters.slurm.settings import RestSettings
from gigafactory.engine.errors import BadInput
from gigafactory.jobs.ports import Action, Command, Outcome, Phase
from gigafactory.testing.contracts.workload import order_of
from gigafactory.testing.slurm import LocalCluster, available, settled
from tests.adapters.slurm.conftest import POOL, SlurmBench, slurm_settings
from tests.conftest import missing

pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def resting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmBench]:
    why = available() or ("" if shutil.which("slurmrestd") else "slurmrestd is missing")
    missing(why)
    with LocalCluster(tmp_path_factory.mktemp("rest"), nodes=2, rest=True) as started:
        yield SlurmBench(started)


@pytest.mark.slow
def test_a_job_is_handed_over_once_and_held(resting: SlurmBench) -> None:
    cluster = resting.cluster
    rest = {"socket": str(cluster.rest_socket)}
    manager = settled(SlurmManager(slurm_settings(cluster, user="slurm", rest=rest)))
    # It runs as slurmrestd's own user, who may not enter the folder of checkpoints.
    order = replace(order_of(resting, "by-rest"), script="#!/bin/bash\nsleep 60\n")
    first = manager.submit([order])[0]
    assert first.outcome is Outcome.ACCEPTED, first
    assert manager.submit([order])[0] == first
    (one,) = manager.observe().jobs
    assert (one.job, one.key, one.phase) == (first.reason, "by-rest", Phase.HELD)
    assert one.ours
    assert one.tenant == "contract"
    assert manager.act([Command("r", Action.RELEASE, one.job)])[0].outcome is Outcome.ACCEPTED
    until = time.monotonic() + 20.0
    while one.job not in cluster.drawing():
        assert time.monotonic() < until, "it does not run"
        time.sleep(0.2)
    client = RestClient(RestSettings.model_validate(rest), slurm_settings(cluster))
    assert client.set_priority("4711", 5).why
    assert not client.cancel(one.job).why


@pytest.mark.slow
def test_a_refusal_in_a_good_answer_is_a_refusal(resting: SlurmBench) -> None:
    rest = {"socket": str(resting.cluster.rest_socket)}
    manager = SlurmManager(
        slurm_settings(resting.cluster, user="slurm", rest=rest, partitions={POOL: "nowhere"})
    )
    (receipt,) = manager.submit([order_of(resting, "refused-by-rest")])
    assert receipt.outcome is Outcome.REFUSED
    assert "slurmrestd refused" in receipt.reason


def test_nobody_at_the_socket_is_a_refusal() -> None:
    settings = slurm_settings_alone()
    client = RestClient(RestSettings(socket="/nonexistent/s"), settings)
    assert "cannot be reached" in client.cancel("1").why
    assert not client.cancel("1").lost


def slurm_settings_alone() -> SlurmSettings:
    return SlurmSettings(user="gf", partitions={POOL: "main"})


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ({"socket": "/s", "version": "v0.0.99"}, "v0.0.38"),
        ({"socket": "/s", "url": "https://a"}, "either"),
        ({}, "either"),
    ],
)
def test_where_to_connect_is_said_once(rest: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        RestClient(RestSettings.model_validate(rest), slurm_settings_alone())


def test_answers_are_read_for_what_they_say() -> None:
    assert _read(200, b'{"job_id": 17, "errors": []}').job == "17"
    assert _read(200, b'{"job_id": 0, "errors": [{"error": "no"}]}').why == "slurmrestd refused: no"
    held = b'{"job_id": 3, "errors": [{"error_code": 2042, "error": "Job is in held state"}]}'
    assert _read(200, held).job == "3"
    assert _read(503, b"busy").lost
    assert not _read(401, b"").lost
