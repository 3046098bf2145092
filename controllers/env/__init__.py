"""Environments in which policies are trained: the line, its guard and its objective, as gymnasium has it."""
