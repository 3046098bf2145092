"""What a line's own record says of the numbers in its plant file, each with its 95 % interval.

``identify`` is the way in; one file answers one question. Nothing here reads or writes files.
"""

from twin.analyze.identification.finding import Finding, Interval, Verdict
from twin.analyze.identification.identify import Identification, identify
from twin.analyze.identification.record import Record, RecordError

__all__ = [
    "Finding",
    "Identification",
    "Interval",
    "Record",
    "RecordError",
    "Verdict",
    "identify",
]
