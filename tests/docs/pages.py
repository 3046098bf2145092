"""The documentation as tests read it: code blocks, links, and a folder in which blocks are run.

The word after a block's language says what is done with it. ``run``: Python is executed, and each
line that begins with ``$`` is a command; what stands below a command must be among what it prints,
``…`` being any text. ``file=NAME``: the block is (the next piece of) a file. A block without a word
is read only. A page has one folder for all its blocks, in their order.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from twin.cli.app import app

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = (REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md")))
_FENCE = re.compile(r"^```(\w+)?(?: (\S+))?$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: where its code begins, its language, the word behind that, its text."""

    line: int
    language: str
    word: str
    text: str

    @property
    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Each command with the lines that are printed below it; a backslash goes on."""
        command, printed = "", list[str]()
        for line in self.text.splitlines():
            if command.endswith("\\"):
                command = command[:-1] + line.strip()
            elif line.startswith("$ "):
                if command:
                    yield command, printed
                command, printed = line[2:], []
            elif line.strip():
                printed.append(line.strip())
        if command:
            yield command, printed


def name_of(page: Path) -> str:
    """A page as it is called in the repository."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page. A fence that never closes is an error."""
    found, opened, begun = list[Block](), None, 0
    lines = page.read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if opened is not None and line == "```":
            text = "\n".join(lines[begun : number - 1])
            found.append(Block(begun + 1, opened[1] or "", opened[2] or "", text))
            opened = None
        elif opened is None and line.startswith("```"):
            opened, begun = _FENCE.match(line), number
            assert opened is not None, f"{name_of(page)}:{number}: what fence is {line!r}?"
    assert opened is None, f"{name_of(page)}:{begun}: the fence is not closed"
    return found


def prose_of(page: Path) -> str:
    """The page without its blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8"))


def links_of(page: Path) -> list[str]:
    """Links that stay inside the repository."""
    return [link for link in _LINK.findall(prose_of(page)) if "://" not in link]


def anchors_of(page: Path) -> set[str]:
    """The names of a page's headings, made as code hosts make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose_of(page))
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


class Workshop:
    """The folder of one page: writes its files, runs its code.

    The folder must be the working directory and on Python's path.
    """

    def __init__(self, page: Path, folder: Path) -> None:
        self._page, self._folder = page, folder
        self._names: dict[str, object] = {"__name__": "page"}

    def take(self, block: Block) -> None:
        """Do with a block what its word says."""
        if block.word.startswith("file="):
            self._write(block)
        elif block.word == "run" and block.language == "python":
            code = compile("\n" * (block.line - 1) + block.text, name_of(self._page), "exec")
            exec(code, self._names)  # noqa: S102  (our own pages)
        elif block.word == "run":
            for command, printed in block.commands:
                self._command(block, command, printed)
        else:
            assert not block.word, f"{name_of(self._page)}:{block.line}: what is {block.word!r}?"

    def _write(self, block: Block) -> None:
        path = self._folder / block.word.removeprefix("file=")
        with path.open("a", encoding="utf-8") as file:
            file.write(block.text + "\n")
        if path.name == "pyproject.toml":
            self._install(tomllib.loads(path.read_text("utf-8"))["project"])

    def _install(self, project: dict[str, dict[str, dict[str, str]]]) -> None:
        """What ``pip install -e .`` leaves of a package: its name, and what it offers."""
        about = self._folder / f"{project['name']}-{project['version']}.dist-info"
        about.mkdir()
        said = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (about / "METADATA").write_text(said)
        lines = [
            line
            for group, entries in project["entry-points"].items()
            for line in (f"[{group}]", *(f"{name} = {place}" for name, place in entries.items()))
        ]
        (about / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def _command(self, block: Block, command: str, printed: list[str]) -> None:
        where = f"{name_of(self._page)}:{block.line}: $ {command}"
        words = shlex.split(command, comments=True)
        assert words[0] == "twin", f"{where}: only twin is run here"
        done = CliRunner().invoke(app, self._globbed(words[1:]), prog_name="twin")
        said = done.stdout + done.stderr
        assert done.exit_code == 0, f"{where}\n{said}"
        for line in printed:
            pattern = ".*".join(re.escape(part.strip()) for part in line.split("…"))
            assert re.search(pattern, said), f"{where}\nnowhere says {line!r}:\n{said}"

    def _globbed(self, words: list[str]) -> list[str]:
        """Patterns of file names as a shell would put them."""
        found = list[str]()
        for word in words:
            matches = sorted(self._folder.glob(word)) if "*" in word else []
            found += [str(path.relative_to(self._folder)) for path in matches] or [word]
        return found
