"""The pages' templates: a frame with the style, and what stands in it."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(name: str) -> Template:
    """A template of this package; what it asks for and does not get is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_text),
    ).get_template(name)


def _text(name: str) -> str:
    return resources.files("twin.feedback.report").joinpath(name).read_text("utf-8")
