"""Text from outside stays on its line, and can still be told from others."""

from __future__ import annotations

import pytest

from twin.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Öfen 1/µm → 2", "Öfen 1/µm → 2"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("a\x1b[2Kb\x7f\x85", r"a\x1b[2Kb\x7f\x85"),
        ("a\u2028b\u202ec\ud800", r"a\u2028b\u202ec\ud800"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert len(printable(text).splitlines()) == 1


def test_what_is_cut_says_so() -> None:
    assert printable("a" * 9, 9) == "a" * 9
    assert printable("a" * 9_000, 9) == "a" * 9 + "…"
