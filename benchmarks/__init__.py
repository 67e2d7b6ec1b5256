"""Speed, memory and agreement with peers, each number held against a budget with its reason.

`run.py` runs every benchmark of `budgets.yaml` in a process of its own. Not part of the package:
nothing here is installed, and nothing in `src` may import it.
"""
