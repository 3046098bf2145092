from __future__ import annotations

import numpy as np

from controllers.training.seen import LINES, MOMENTS, Seen


def test_a_sample_is_even_over_time_and_lines_and_has_every_extreme() -> None:
    lines, moments = 64, 5 * MOMENTS
    seen = Seen(lines, 3)
    for moment in range(moments):
        shown = np.zeros((lines, 3), np.float32)
        shown[:, 0], shown[:, 1] = moment, np.arange(lines)
        if moment == 777:
            shown[13, 2] = 9.0  # once, on one line
        seen.add(shown)
    sample = seen.sample()
    assert len(sample) <= MOMENTS * LINES + 6
    assert sample[:, 2].max() == 9.0
    kept = sample[:-6]
    quarters = np.histogram(kept[:, 0], 4, (0, moments))[0]
    assert quarters.max() <= 1.02 * quarters.min()
    by_line = np.bincount(kept[:, 1].astype(int), minlength=lines)
    assert by_line.max() <= 1.5 * by_line.min()


def test_nothing_seen_is_an_empty_sample() -> None:
    assert Seen(4, 3).sample().shape == (0, 3)
