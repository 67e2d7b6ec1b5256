"""Jobs: what work was asked, by whom, of how many accelerators, for how long.

Knows the job table (columns, one row per job), the files and public traces it is read from, the
generator that makes a year of work by seed, the inference services whose request rate becomes
replicas, and the port a workload manager (Slurm, or the twin) implements.

Does not know accelerators beyond the name of a reference chip, power, prices, rules, or when a job
ran: placement and order are the kernel's, rights are policy's, receipts are the ledger's.

Imports only `gigafactory.units` and `gigafactory.engine`. Every room from `policy` upwards may
import it; its siblings (`plant`, `grid`, `ledger`, `kernel`) may not: the kernel sees arrays.
"""

from gigafactory.jobs.table import EndState, JobClass, JobTable, Mission

__all__ = ["EndState", "JobClass", "JobTable", "Mission"]
