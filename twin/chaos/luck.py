"""Luck of a campaign: by a seed and a word for what it is for, so that each can be played again."""

from __future__ import annotations

import zlib

from twin.kernels.draws import NOISE, uniform

WORLD = 9
"""A world of its own: neither the plant's nor one that a twin looks into."""


class Luck:
    """One stream of numbers in (0, 1); equal seeds and words give equal streams."""

    def __init__(self, seed: int, word: str) -> None:
        self._seed, self._entity = seed, zlib.crc32(word.encode())
        self._index = 0

    def draw(self) -> float:
        """The next number."""
        self._index += 1
        return uniform(self._seed, WORLD, self._entity, NOISE, self._index)

    def between(self, low: float, high: float) -> float:
        """The next number between two others."""
        return low + (high - low) * self.draw()
