"""Contract checks: what every adapter behind a port must do, said once and run on each of them.

A check takes a bench (the adapter under test and what surrounds it) and raises `AssertionError` in
words when the adapter breaks its contract. Checks know no test framework.
"""
