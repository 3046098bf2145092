"""The errors that a plant file can cause, and a file of readings beside it."""

from __future__ import annotations

from functools import partial

LONGEST_TEXT = 160
KeyPath = tuple[str | int, ...]


class PlantError(ValueError):
    """A plant description that cannot be used: where, what, and what to do about it.

    ``key_path`` is the way to the key inside the file; ``file`` and ``line`` (from 1) are known
    once the file's own positions have been looked up.
    """

    kind = "plant"
    """What it is called where it is shown."""

    def __init__(
        self,
        key_path: KeyPath,
        message: str,
        hint: str = "",
        *,
        file: str = "",
        line: int = 0,
        text: str = "",
    ) -> None:
        super().__init__(message)
        self.key_path = key_path
        self.message = message
        self.hint = hint
        self.file = file
        self.line = line
        self.text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"

    def __reduce__(self) -> tuple[object, ...]:
        """It travels whole between processes."""
        whole = partial(type(self), file=self.file, line=self.line, text=self.text)
        return whole, (self.key_path, self.message, self.hint)

    @property
    def place(self) -> str:
        """``file:line`` as far as known, else the key path."""
        dotted = ".".join(str(key) for key in self.key_path)
        if not self.file:
            return dotted
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        """Everything on one line: for logs and for callers without a terminal."""
        dotted = ".".join(str(key) for key in self.key_path)
        where = f" (at {dotted})" if dotted else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.place or 'plant'}: {self.message}{where}{hint}"


class FileError(PlantError):
    """A file of readings that cannot be used beside the plant file, which may be fine itself."""

    kind = "file"
