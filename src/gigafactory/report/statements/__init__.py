"""Statements: what a run means, for one reader each, as a page to print.

A statement is a composition of named parts (`kinds`); a part turns a subject into a chapter, or
says why it cannot. What the rooms below conclude is asked for in one place (`providers`), every
number leads to the ledger query or source it rests on (`desk`), and what is not there is said to be
so. The operations statement is the report of the run.
"""

from gigafactory.report.statements.kinds import KINDS
from gigafactory.report.statements.write import write_statement

__all__ = ["KINDS", "write_statement"]
