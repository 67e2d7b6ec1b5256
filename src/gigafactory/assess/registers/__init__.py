"""Registers: what must be kept on paper about a factory, as plain files of its dossier.

Each is `registers/NAME.yaml`: `Block` models, checks between entries that tell every problem at
once, and a function that says what follows from it on a day. A register that is not there is
missing, not empty. What is made up for demonstration says `example: true` and never counts.
"""
