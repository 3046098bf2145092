"""Model predictive control in two layers: the line's pace and standby, the stations' parameters."""

from controllers.mpc.controller import Mpc

__all__ = ["Mpc"]
