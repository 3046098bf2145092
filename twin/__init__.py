"""A digital twin of a production line and the closed control loop around it."""

__version__ = "0.1.0"
