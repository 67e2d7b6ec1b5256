"""What `squeue --json` says, behind a layer per version of Slurm's data parser.

The text `text` reads is quick and says what a tick needs. This says more, slowly: which
accelerators of which node a job was given, by index. It is for looking into things and for proving
that no accelerator is given twice, not for the tick. Field names and shapes change between
versions, so a version nobody has tried is refused in words rather than misread.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gigafactory.adapters.slurm.command import Commands
from gigafactory.adapters.slurm.settings import SlurmSettings
from gigafactory.adapters.slurm.text import UnreadableError, expand_nodes


@dataclass(frozen=True, slots=True)
class RichJob:
    """One job in full.

    Attributes:
        job: its number.
        state: Slurm's word.
        user: whose account it runs under.
        comment: free text of whoever may change the job.
        admin_comment: free text of administrators.
        devices: accelerators it holds, by node: their indices.
    """

    job: str
    state: str
    user: str
    comment: str
    admin_comment: str
    devices: Mapping[str, frozenset[int]]


def read_rich(text: str, gres: str = "gpu") -> tuple[RichJob, ...]:
    """Read what `squeue --json` prints, by the layer of its version; sorted by number.

    Raises:
        UnreadableError: it is not JSON, or of a version no layer reads.
    """
    try:
        document = json.loads(text)
    except ValueError as trouble:
        raise UnreadableError(f"squeue --json printed no JSON: {trouble}") from None
    version = version_of(document)
    if version not in LAYERS:
        raise UnreadableError(
            f"squeue --json speaks {version}, which this adapter has not been tried with; it reads "
            f"{', '.join(sorted(LAYERS))}. Everything else works without it"
        )
    try:
        jobs = [LAYERS[version](job, gres) for job in document["jobs"]]
    except (KeyError, TypeError, ValueError) as trouble:
        raise UnreadableError(f"squeue --json is not shaped as {version}: {trouble!r}") from None
    return tuple(sorted(jobs, key=lambda one: int(one.job)))


def version_of(document: Any) -> str:
    """The data parser's version a document says it was written by, such as v0.0.38."""
    meta = document.get("meta", {}) if isinstance(document, dict) else {}
    plugin = meta.get("plugin", {}) if isinstance(meta, dict) else {}
    said = " ".join(str(plugin.get(name, "")) for name in ("data_parser", "type", "name"))
    found = re.search(r"v\d+\.\d+\.\d+", said)
    return found[0] if found else "an unknown version"


def look_closely(settings: SlurmSettings, commands: Commands) -> tuple[RichJob, ...]:
    """Every job in full, from the cluster.

    Raises:
        UnreadableError: nothing came, or nothing that can be read.
    """
    answer = commands.run(["squeue", "--json"], settings.write_limit_s)
    if answer.exit_code != 0:
        raise UnreadableError(answer.trouble or f"squeue --json failed: {answer.err.strip()}")
    return read_rich(answer.out, settings.gres)


def _v0_0_38(job: Mapping[str, Any], gres: str) -> RichJob:
    """Slurm 22.05: a state is one word, numbers are bare, devices one text per node."""
    nodes = expand_nodes(job.get("nodes") or "")
    details = job.get("gres_detail") or []
    if len(details) > len(nodes):
        raise ValueError(f"job {job['job_id']} has devices on {len(details)} of {len(nodes)} nodes")
    return RichJob(
        job=str(int(job["job_id"])),
        state=str(job["job_state"]),
        user=str(job.get("user_name") or job.get("user_id", "")),
        comment=str(job.get("comment") or ""),
        admin_comment=str(job.get("admin_comment") or ""),
        devices={
            node: frozenset(_indices(detail, gres))
            for node, detail in zip(nodes, details, strict=False)
        },
    )


def _indices(detail: str, gres: str) -> list[int]:
    """``gpu:2(IDX:0,4-5)`` gives 0, 4 and 5."""
    found: list[int] = []
    for part in re.findall(rf"\b{re.escape(gres)}\b[^(]*\(IDX:([\d,\-]+)\)", detail):
        for span in part.split(","):
            low, _, high = span.partition("-")
            found += range(int(low), int(high or low) + 1)
    return found


#: A layer per version of the data parser that was tried; a later one is one more entry.
LAYERS: dict[str, Callable[[Mapping[str, Any], str], RichJob]] = {"v0.0.38": _v0_0_38}
