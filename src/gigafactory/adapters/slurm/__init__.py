"""Slurm behind `jobs.WorkloadManager`: reads by `squeue` and `sinfo`, writes by `scontrol`.

`SlurmManager(settings)` is the adapter; `SlurmSettings` says which cluster, which rights, how long.
"""

from gigafactory.adapters.slurm.manager import SlurmManager
from gigafactory.adapters.slurm.settings import SlurmSettings

__all__ = ["SlurmManager", "SlurmSettings"]
