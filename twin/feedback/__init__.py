"""What came of it: the books of a line, its key performance indicators, comparisons, the report.

Pure accounting. The same books are kept of a simulated shift and of a live one, from the same
readings, so that a figure means the same wherever it is printed.
"""

from twin.feedback.account import Account, UndefinedError
from twin.feedback.compare import Comparison, compare
from twin.feedback.kpi import Kpis, evaluate, kpi_record, kpis_from_record
from twin.feedback.ledger import Ledger

__all__ = [
    "Account",
    "Comparison",
    "Kpis",
    "Ledger",
    "UndefinedError",
    "compare",
    "evaluate",
    "kpi_record",
    "kpis_from_record",
]
