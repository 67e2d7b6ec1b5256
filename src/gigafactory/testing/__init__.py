"""Testing: builders for tests, shipped with the product so that others may test against it too.

`run_folder` writes a run folder with every file a reader expects, from a seed and in a moment, so
that the report, the comparison and anyone's own reader are tested without running a factory.

Knows the shapes the rooms agreed on. Does not know how a run comes about: what it makes is
invented, says so, and must never stand where a result is meant.

May import any room. No room imports it; an import-linter contract holds that.
"""
