"""Jobs: what work was asked, by whom, of how many accelerators, for how long.

Knows the job table (columns, one row per job), the files and public traces it is read from, the
generator that makes a year of work by seed, the inference services whose request rate becomes
replicas, how long their requests wait and what becomes of them when power runs short, and the port
a workload manager (Slurm, or the twin) implements.

Does not know accelerators beyond the name of a reference chip, power, prices, rules, or when a job
ran: placement and order are the kernel's, rights are policy's, receipts are the ledger's.

Imports only `gigafactory.units` and `gigafactory.engine`. Every room from `policy` upwards may
import it; its siblings (`plant`, `grid`, `ledger`, `kernel`) may not: the kernel sees arrays.
"""

from gigafactory.jobs.files import Trace, read_jobs, read_trace
from gigafactory.jobs.generate import (
    Demand,
    WorkloadSpec,
    generate,
    generate_year,
    offered_share,
    scaling_sentences,
)
from gigafactory.jobs.latency import capacity_for_latency, rate_carried
from gigafactory.jobs.ports import (
    Action,
    Command,
    EndedView,
    Ending,
    Fenced,
    JobView,
    NodeAction,
    NodeCommand,
    NodeView,
    Outcome,
    Phase,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
    WorkOrder,
)
from gigafactory.jobs.requests import read_rates, read_requests
from gigafactory.jobs.scale import peak_accelerators, scale_to_fleet
from gigafactory.jobs.services import (
    RateSeries,
    Served,
    Service,
    capacity,
    layer_cake,
    rates_of,
    ready_replicas,
    replica_jobs,
    served,
    synthetic_rates,
)
from gigafactory.jobs.serving import Answered, Shortage, answered
from gigafactory.jobs.table import EndState, JobClass, JobTable, Level, Mission

__all__ = [
    "Action",
    "Answered",
    "Command",
    "Demand",
    "EndState",
    "EndedView",
    "Ending",
    "Fenced",
    "JobClass",
    "JobTable",
    "JobView",
    "Level",
    "Mission",
    "NodeAction",
    "NodeCommand",
    "NodeView",
    "Outcome",
    "Phase",
    "RateSeries",
    "Receipt",
    "Served",
    "Service",
    "Shortage",
    "Trace",
    "WorkOrder",
    "WorkloadManager",
    "WorkloadSnapshot",
    "WorkloadSpec",
    "answered",
    "capacity",
    "capacity_for_latency",
    "generate",
    "generate_year",
    "layer_cake",
    "offered_share",
    "peak_accelerators",
    "rate_carried",
    "rates_of",
    "read_jobs",
    "read_rates",
    "read_requests",
    "read_trace",
    "ready_replicas",
    "replica_jobs",
    "scale_to_fleet",
    "scaling_sentences",
    "served",
    "synthetic_rates",
]
