"""What a site says about its Slurm: which cluster, which rights, how long things may take."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from gigafactory.factory.blocks import Block, Text, setting

Seconds = Annotated[float, Field(gt=0.0, le=3600.0, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0.0, le=3600.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Kilowatts = Annotated[float, Field(gt=0.0, le=1000.0, allow_inf_nan=False)]


def _word(text: str) -> str:
    if not text or not all(c.isalnum() or c in "-_." for c in text):
        raise PydanticCustomError("word", "must be letters, digits, dot, - and _ only")
    return text


def _folder(text: str) -> str:
    if text and not PurePosixPath(text).is_absolute():
        raise PydanticCustomError("folder", "must be an absolute path, such as /shared/checkpoints")
    return text


Word = Annotated[str, AfterValidator(_word)]
WordOrNone = Annotated[str, AfterValidator(lambda text: _word(text) if text else text)]
Folder = Annotated[str, AfterValidator(_folder)]

#: How long a class may take to save before its nodes are taken, s.
GRACE_S: dict[str, float] = {
    "frontier_training": 15.0,
    "fine_tuning": 10.0,
    "research": 10.0,
    "inference": 2.0,
}


class RestSettings(Block):
    """The way to a slurmrestd, for handing jobs over without Slurm's commands on this machine."""

    socket: Folder = setting("The unix socket slurmrestd listens on; empty for a URL.", "")
    url: str = setting("Its URL where it listens on TCP, such as https://slurm.example:6820.", "")
    token_file: Folder = setting(
        "A file with the JSON Web Token of our user, read anew for every call; TCP only.", ""
    )
    version: Word = setting("The version of its data parser.", "v0.0.38")


class SlurmSettings(Block):
    """One Slurm cluster and what we may do on it."""

    conf: Folder = setting("Path of slurm.conf; empty for the system's own.", "")
    commands: Folder = setting("Folder of Slurm's commands; empty to look along PATH.", "")
    user: Word = setting("The user whose jobs are ours; a job of anyone else is never touched.")
    qos: WordOrNone = setting("The quality of service our jobs carry; empty for none.", "")
    account: WordOrNone = setting("The account our jobs run under; empty for the user's own.", "")
    partitions: dict[Text, Word] = setting("Pool of the factory to partition of the cluster.")
    gres: Word = setting("What the cluster calls an accelerator.", "gpu")
    licence: WordOrNone = setting(
        "The licence that stands for a kilowatt of power; empty where the site has none.",
        "power_kw",
    )
    kw_per_accelerator: dict[Text, Kilowatts] = setting(
        "Licences a busy accelerator of a pool takes, kW; rounded up per job.", {}
    )
    reservation: Word = setting(
        "The reservation that holds the licences beyond the budget.", "gigafactory-budget"
    )
    checkpoint_folder: Folder = setting(
        "A shared folder where a job says that it has saved, as KEY.saved; empty for none, and "
        "then a pause waits the whole grace.",
        "",
    )
    work_folder: Folder = setting("Where jobs start.", "/tmp")  # noqa: S108
    output: Text = setting("Where a job's output goes, as sbatch's --output.", "/dev/null")
    signal: Word = setting("The signal on which a job saves and goes on.", "USR1")
    grace_s: dict[Text, SecondsOrNone] = setting(
        "How long a job of a class may take to save before its nodes are taken, s; 0 for a class "
        "whose jobs do not know the signal.",
        GRACE_S,
        source="assumption: a save of local state; large models need what they measure",
    )
    grace_other_s: SecondsOrNone = setting("The same for a class not named, s.", 10.0)
    young_s: SecondsOrNone = setting(
        "A job younger than this has nothing to save and may not know the signal yet, s.", 2.0
    )
    freeze_up_to_s: SecondsOrNone = setting(
        "A pause expected to be no longer than this freezes a job where it stands, s.", 30.0
    )
    saves_at_once: Count = setting(
        "Frozen jobs thawed together to save, so that few draw power for it.", 8
    )
    read_limit_s: Seconds = setting("Time limit of one look, s.", 5.0)
    write_limit_s: Seconds = setting("Time limit of one command to Slurm, s.", 10.0)
    call_limit_s: Seconds = setting("Time limit of one call of the adapter, s.", 20.0)
    chunk_jobs: Count = setting("Jobs named in one command.", 250)
    writes_per_s: Count = setting(
        "Jobs changed per second on the long run, pauses apart; what is beyond it is refused and "
        "asked again.",
        200,
    )
    writes_burst: Count = setting("Jobs that may be changed at once after a quiet time.", 1000)
    reconfigure: bool = setting(
        "Whether nodes are asked what they run, by scontrol reconfigure, once Slurm's controller "
        "was started; without it nothing is released until every node has registered by itself.",
        True,
    )
    register_s: Seconds = setting(
        "How long nodes take to register, and to end what nobody knows, s.", 3.0
    )
    rest: RestSettings | None = setting("Hand jobs over by slurmrestd.", None)
