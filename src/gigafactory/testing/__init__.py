"""Testing: builders and checks for tests, shipped so that others may test against the product too.

`run_folder` makes a run folder up, from a seed and in a moment, for whoever reads run folders.
`factories` builds small factories and job files with every moving part. `proving` says what must
hold of any run, from its folder alone and by other means than the ledger's own.

Knows the shapes the rooms agreed on. Does not know what a result means: what it makes is invented,
says so, and must never stand where a result is meant.

May import any room. No room imports it; an import-linter contract holds that.
"""
