"""A job that works, saves when told and goes on from what it saved, as a shell script.

It is so light that five hundred of them run on two processors: it sleeps in one shell and starts no
process but the one that renames a checkpoint. Work is counted in seconds that really went by while
it ran: a job that was stopped does not count the time it stood still.

Files, named by the job's key, in a folder that all nodes share::

    KEY.progress   seconds of work done, written anew every tick
    KEY.saved      the checkpoint: "ran_s=12.5 run_s=3.5", replaced whole by renaming
    KEY.events     a line per event: instant, what, restart count, and figures
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """\
#!/bin/bash
dir={folder} goal={work_ms} key=${{GIGAFACTORY_KEY:-$SLURM_JOB_ID}}
restart=${{SLURM_RESTART_COUNT:-0}}
at() {{
  local t=${{EPOCHREALTIME/,/.}}
  local f=${{t#*.}}
  now=$((${{t%.*}} * 1000 + 10#${{f:0:3}}))
}}
s() {{ printf -v REPLY '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }}
ms() {{
  local f=${{1#*.}}
  REPLY=$((${{1%.*}} * 1000 + 10#$f))
}}
say() {{
  at; s $now
  local t=$REPLY
  s $work
  echo "$t $1 restart=$restart work_s=$REPLY $2" >>"$dir/$key.events"
}}
tell() {{ s $work; echo "$REPLY" >"$dir/$key.progress"; }}
count() {{
  at
  local d=$((now - last))
  last=$now
  ((d > {gap_ms})) && d={tick_ms}
  work=$((work + d))
}}
save() {{
  count
  s $work
  local all=$REPLY
  s $((work - begun))
  echo "ran_s=$all run_s=$REPLY" >"$dir/$key.saving" && mv -f "$dir/$key.saving" "$dir/$key.saved"
  tell; say saved "on=$1"
}}
work=0 lost=0
if [ -e "$dir/$key.saved" ]; then
  read -r line <"$dir/$key.saved"
  line=${{line%% *}}
  ms "${{line#ran_s=}}"
  work=$REPLY
fi
if [ -e "$dir/$key.progress" ]; then
  read -r line <"$dir/$key.progress"
  ms "${{line:-0.000}}"
  lost=$((REPLY > work ? REPLY - work : 0))
fi
begun=$work
at; last=$now
{traps}
s $lost; say start "lost_s=$REPLY"; tell
exec {{pipe}}<> <(:)
every={every_ms} since=0
while ((work < goal)); do
  left=$((goal - work))
  s $((left < {tick_ms} ? left : {tick_ms}))
  before=$work
  read -r -t "$REPLY" -u $pipe
  count; tell
  since=$((since + work - before))
  if ((every > 0 && since >= every)); then save periodic; since=0; fi
done
say done
"""


def job_script(
    folder: Path,
    work_s: float,
    *,
    tick_s: float = 1.0,
    save_every_s: float = 0.0,
    save_signal: str = "USR1",
    heeds: bool = True,
) -> str:
    """The script of a job that works for so long.

    Args:
        folder: where it keeps its files; every node sees it.
        work_s: work in all, s, over all its runs.
        tick_s: how often it writes its progress, s; what it may miscount when stopped.
        save_every_s: saves by itself after so much work, s; 0 for only when told.
        save_signal: the signal on which it saves and goes on; on TERM it saves and ends.
        heeds: whether it heeds these signals at all; else only SIGKILL ends it before its time.
    """
    traps = f"trap 'save {save_signal}' {save_signal}\ntrap 'save TERM; exit 143' TERM"
    return _SCRIPT.format(
        folder=f"'{folder}'",
        work_ms=round(work_s * 1000),
        tick_ms=round(tick_s * 1000),
        gap_ms=round(tick_s * 2000),
        every_ms=round(save_every_s * 1000),
        traps=traps if heeds else f"trap '' {save_signal} TERM",
    )


@dataclass(frozen=True, slots=True)
class JobEvent:
    """A line of a job's own record.

    Attributes:
        at_s: when, s since 1970.
        what: start, saved or done.
        restart: how often it had been started again.
        work_s: work done by then, s.
        lost_s: at a start, the work done before it and not saved, s.
    """

    at_s: float
    what: str
    restart: int
    work_s: float
    lost_s: float


def job_events(folder: Path, key: str) -> tuple[JobEvent, ...]:
    """What a job wrote about itself, in order; nothing where it never started."""
    path = folder / f"{key}.events"
    if not path.exists():
        return ()
    found = []
    for line in path.read_text().splitlines():
        at, what, *rest = line.split()
        values = dict(word.split("=", 1) for word in rest)
        found.append(
            JobEvent(
                float(at),
                what,
                int(values["restart"]),
                float(values["work_s"]),
                float(values.get("lost_s", 0.0)),
            )
        )
    return tuple(found)


def work_done_s(folder: Path, key: str) -> float:
    """Seconds of work a job has done, as it last wrote them."""
    path = folder / f"{key}.progress"
    text = path.read_text().strip() if path.exists() else ""
    return float(text or 0.0)
