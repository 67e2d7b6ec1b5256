"""The report: frames in, statements out.

Knows: how to read a finished run folder (`summary.json`, `series.parquet`, `jobs.parquet`,
`sources.parquet`, `factory.yaml`), how to add it up, draw it and say it, in English and Dutch.
Every number on the page names the key or column it comes from; every word stands in
`text/<lang>.yaml`; every colour in `palette`.

Does not know: how a run is made. It never imports the runtime, the kernel or the planner, decides
nothing and changes nothing but the file it writes. What a run did not record is left out with a
plain note, never guessed.

May be imported by: the command line, the studies and the web service.
"""

from gigafactory.report.pdf import NotPrinted, print_pdf
from gigafactory.report.statements import KINDS, write_statement
from gigafactory.report.terminal import path_lines, summary_table
from gigafactory.report.write import write_report

__all__ = [
    "KINDS",
    "NotPrinted",
    "path_lines",
    "print_pdf",
    "summary_table",
    "write_report",
    "write_statement",
]
