"""Measurements, one file a question; each prints JSON."""
