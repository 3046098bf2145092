"""The controllers that ship with the twin; found through the entry points ``takttwin.controllers``."""
