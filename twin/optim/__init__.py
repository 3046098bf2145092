"""Optimisation: with the process models the only door to CasADi and HiGHS.

`twin.optim.nlp` solves smooth problems by IPOPT, `twin.optim.realtime` small ones and optimal-control
problems much faster, `twin.optim.milp` mixed-integer linear ones by HiGHS. All answer with a
`Solution`, all run on one thread and are limited by iterations or nodes, so that the same problem
has the same answer every time.
"""

from __future__ import annotations

from twin.optim.result import ProblemError, Solution, Status

__all__ = ["ProblemError", "Solution", "Status"]
