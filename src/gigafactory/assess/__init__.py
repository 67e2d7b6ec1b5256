"""What it means: frameworks, evidence, gates, registers.

A framework is a folder of data (`data/NAME/framework.yaml`): criteria with formula, unit,
threshold, source and text in two languages. What a criterion rests on is a query of the ledger, a
dated document, or nothing; what nobody has verified is shown and never counts as met, and an unmet
precondition is a gate, not a term in an average. Results are vectors, and may be negative.

Knows factories, dossiers and what runs came to. Does not run anything, and draws nothing: `report`
shows what this room concludes. Imports `finance`, `factory`, `supply` and lower floors.
"""

from gigafactory.assess.results import Assessment, Evidence, Finding, Grade, Proof
from gigafactory.assess.subject import Subject, subject_of

__all__ = ["Assessment", "Evidence", "Finding", "Grade", "Proof", "Subject", "subject_of"]
