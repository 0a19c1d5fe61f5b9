"""The recipes of `examples/ci` with the instances of a file and the names of their credentials filled in.

The recipes speak of one instance, `stats`. Filling looks for lines of these forms and leaves everything else alone, so that
it also serves for recipes that somebody has changed since:

    instance: [stats]                                              the instances of a matrix
    SITEWARD_STATS_TOKEN: ${{ secrets.SITEWARD_STATS_TOKEN }}      credentials of a step, line by line
    --instance stats, siteward-stats                               a job of GitLab for one instance
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RECIPES: Mapping[str, tuple[str, ...]] = {
    "github": (".github/workflows", "ci"),
    "gitlab": (".gitlab-ci.yml", "ci"),
}
"""The files and folders of a forge's recipes."""
_MODEL = "stats"
_LIST = re.compile(r"(?m)^(?P<head>[ ]*instance: \[)(?P<names>[^\]\n]*)\]")
_NAMES = r"SITEWARD_(?!JOURNAL_|PLAN_)[A-Z0-9_]+"
_LINES = re.compile(rf"(?m)(?:^[ ]+{_NAMES}: \$\{{\{{ (?:secrets|vars)\.{_NAMES} \}}\}}\n)+")
_JOB = re.compile(r"(?m)^(?=[^\s#])")


class Filled(Struct, frozen=True, kw_only=True):
    """An instance with the fields of its credentials: those that are `secret`, and those that are none."""

    name: str
    secret: tuple[str, ...]
    plain: tuple[str, ...] = ("url",)

    def lines(self, indent: str) -> str:
        """Return the lines that give a step of GitHub its credentials."""
        names = [(variable(self.name, field), "vars") for field in self.plain]
        names += [(variable(self.name, field), "secrets") for field in self.secret]
        return "".join(f"{indent}{name}: ${{{{ {where}.{name} }}}}\n" for name, where in names)


def recipes(forge: str, folder: Path) -> dict[str, str]:
    """Return the texts of a forge's recipes in `folder`, by path."""
    found: dict[str, str] = {}
    for name in RECIPES[forge]:
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                found[file.relative_to(folder).as_posix()] = file.read_text(encoding="utf-8")
    return found


def fill(text: str, filled: Filled) -> str:
    """Return a recipe for one instance in the place of the one it speaks of."""
    text = _LIST.sub(lambda match: f"{match['head']}{filled.name}]", text)
    text = _LINES.sub(lambda match: filled.lines(_indent(match[0])), text)
    return _rename(text, filled.name)


def add(text: str, filled: Filled, recipe: str) -> str:
    """Return a file with one more instance beside those it has; `recipe` is what the file once was made from.

    What is there is left as it is. The same text is returned where it names the instance already, or has no place for it.
    """
    if re.search(rf"(?m)\b(?:--instance|siteward-|instance: \[[^\]]*?\b){re.escape(filled.name)}\b", text) or (
        variable(filled.name, "url") in text
    ):
        return text
    text = _LIST.sub(lambda match: f"{match['head']}{match['names']}, {filled.name}]", text)
    text = _LINES.sub(lambda match: match[0] + filled.lines(_indent(match[0])), text)
    jobs = [_copy_job(job, filled.name) for job in _JOB.split(recipe) if f"--instance {_MODEL}" in job]
    if jobs and f"siteward-{filled.name}" not in text:
        text = f"{text.rstrip()}\n\n# -- {filled.name}\n\n" + "\n\n".join(job.rstrip() for job in jobs) + "\n"
    return text


def _copy_job(job: str, name: str) -> str:
    """Return a job of GitLab under a name of its own, for another instance; comments after it belong to the next one."""
    job = re.sub(r"(?m)^#.*\n?", "", job)
    job = re.sub(r"\A([\w-]+):", rf"\1-{name}:", job)
    job = re.sub(r"(?m)^(  needs: \[)([\w-]+)\]", rf"\1\2-{name}]", job)
    return _rename(job, name)


def _rename(text: str, name: str) -> str:
    text = re.sub(rf"--instance {_MODEL}\b", f"--instance {name}", text)
    return re.sub(rf"\bsiteward-{_MODEL}\b", f"siteward-{name}", text)


def _indent(lines: str) -> str:
    return lines[: len(lines) - len(lines.lstrip(" "))]


def names_of(instances: Sequence[Filled]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the variables that are no secret, and of the secrets, that the forge has to hold."""
    plain = tuple(variable(filled.name, field) for filled in instances for field in filled.plain)
    secret = tuple(variable(filled.name, field) for filled in instances for field in filled.secret)
    return plain, (*secret, "SITEWARD_JOURNAL_KEY", "SITEWARD_PLAN_KEY")
