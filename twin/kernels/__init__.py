"""Numeric cores shared by the loop, the twin and the training environments: no I/O, no state."""
