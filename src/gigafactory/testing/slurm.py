"""A whole Slurm cluster in one folder, started and stopped by a test (signature; being built).

::

    with LocalCluster(folder, nodes=8, accelerators=8) as cluster:
        cluster.conf            # path of slurm.conf: SlurmSettings(conf=...)
        cluster.environment()   # environment for Slurm's own commands
        cluster.kill_controller(); cluster.restart_controller(); cluster.kill_node("n1")
"""
