"""Jobs: what work was asked, by whom, of how many accelerators, for how long.

Knows the job table (columns, one row per job), the files and public traces it is read from, the
generator that makes a year of work by seed, the inference services whose request rate becomes
replicas, and the port a workload manager (Slurm, or the twin) implements.

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
from gigafactory.jobs.ports import (
    Action,
    Command,
    JobView,
    Outcome,
    Phase,
    Receipt,
    WorkloadManager,
    WorkloadSnapshot,
)
from gigafactory.jobs.requests import read_rates, read_requests
from gigafactory.jobs.scale import peak_accelerators, scale_to_fleet
from gigafactory.jobs.services import (
    RateSeries,
    Served,
    Service,
    capacity,
    layer_cake,
    replica_jobs,
    served,
    synthetic_rates,
)
from gigafactory.jobs.table import EndState, JobClass, JobTable, Mission

__all__ = [
    "Action",
    "Command",
    "Demand",
    "EndState",
    "JobClass",
    "JobTable",
    "JobView",
    "Mission",
    "Outcome",
    "Phase",
    "RateSeries",
    "Receipt",
    "Served",
    "Service",
    "Trace",
    "WorkloadManager",
    "WorkloadSnapshot",
    "WorkloadSpec",
    "capacity",
    "generate",
    "generate_year",
    "layer_cake",
    "offered_share",
    "peak_accelerators",
    "read_jobs",
    "read_rates",
    "read_requests",
    "read_trace",
    "replica_jobs",
    "scale_to_fleet",
    "scaling_sentences",
    "served",
    "synthetic_rates",
]
