"""Checks that every adapter behind a port must pass: the twin, a simulated device, the real part.

Plain functions that raise `AssertionError` with words; whoever writes an adapter calls them.
"""
