"""The engine: clock, named random streams, journal, manifest and errors.

What every run needs and no data centre is needed for: instants as integer nanoseconds, chance that
is named by its purpose and repeats by seed, an append-only journal of chained frames, a manifest of
every byte of a folder, and the one form in which bad input is told.

Knows bytes, instants, names and seeds. Does not know plants, jobs, prices or rules, nor what a
frame of the journal means.

It is the only place that reads a clock or draws chance, and it imports only `gigafactory.units`.
Every room above may import it.
"""
