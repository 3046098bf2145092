"""The leaderboard of an evaluation: every controller over all cells and training seeds, from its shifts alone."""

from twin.feedback.leaderboard.board import standings

__all__ = ["standings"]
