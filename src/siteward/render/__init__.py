"""Renders reports in every output format. Renderers count nothing: every number comes from the report's summary."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from siteward.access.report import as_reviewed
from siteward.render.context import GroupBy, Options, Privacy, RenderContext, in_words, prepare
from siteward.render.local_time import in_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from siteward.access.report import Report

# Formats that show the ids of steps and moments in UTC; the others name a step by what it does.
_FOR_PROGRAMS = ("json", "csv")
_ANY = ("validate", "plan", "show", "apply", "drift")

# The module of each format by name, with the function where it is not `render`. Modules are imported on demand.
FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "text": "siteward.render.text",
        "json": "siteward.render.json",
        "markdown": "siteward.render.markdown",
        "html": "siteward.render.html",
        "sarif": "siteward.render.sarif",
        "github": "siteward.render.github",
        "gitlab": "siteward.render.gitlab",
        "gitlab-plan": "siteward.render.gitlab:widget",
        "junit": "siteward.render.junit",
        "csv": "siteward.render.csv",
    }
)
# The commands that each format has output for.
SERVES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    dict.fromkeys(FORMATS, _ANY) | {"gitlab-plan": ("plan", "show"), "csv": _ANY[1:]}
)
# The format of an output file by the suffix of its name.
SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".json": "json",
        ".md": "markdown",
        ".html": "html",
        ".sarif": "sarif",
        ".xml": "junit",
        ".csv": "csv",
        ".xlsx": "xlsx",
        ".txt": "text",
    }
)


def formats_of(verb: str) -> tuple[str, ...]:
    """Return the names of the formats that have output for a command, the default first."""
    return tuple(name for name in FORMATS if verb in SERVES[name])


def render(name: str, report: Report, options: Options | None = None) -> str:
    """Return `report` in the format of that name; raises `KeyError` for an unknown one."""
    drawn = draw(name, report, options or Options())
    return drawn if isinstance(drawn, str) else "".join(drawn)


def draw(name: str, report: Report, options: Options) -> str | Iterator[str]:
    """Return `report` in the format of that name, or its pieces where it may be large; raises `KeyError` as `render` does."""
    module, _, function = FORMATS[name].partition(":")
    drawing: Callable[[RenderContext], str | Iterator[str]] = getattr(import_module(module), function or "render")
    shown = report if name == "json" else as_reviewed(report)  # as JSON a plan is whole, and may be applied
    return drawing(prepare(shown if name in _FOR_PROGRAMS else in_zone(in_words(shown)), options))


__all__ = [
    "FORMATS",
    "SERVES",
    "SUFFIXES",
    "GroupBy",
    "Options",
    "Privacy",
    "RenderContext",
    "draw",
    "formats_of",
    "in_words",
    "prepare",
    "render",
]
