"""What many simulated shifts say of a line: warm-up, intervals, bottlenecks, buffers.

Pure accounting over what shifts left behind: their readings and their journals.
"""

from twin.feedback.study.bottleneck import Activity, activities, shifting_bottleneck
from twin.feedback.study.course import Course, Stock
from twin.feedback.study.intervals import Interval, interval
from twin.feedback.study.stopping import Precision, Stopping
from twin.feedback.study.study import Study
from twin.feedback.study.warm_up import Truncation, WarmUp, mser5, warm_up_of

__all__ = [
    "Activity",
    "Course",
    "Interval",
    "Precision",
    "Stock",
    "Stopping",
    "Study",
    "Truncation",
    "WarmUp",
    "activities",
    "interval",
    "mser5",
    "shifting_bottleneck",
    "warm_up_of",
]
