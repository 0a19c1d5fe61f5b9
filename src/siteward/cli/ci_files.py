"""The recipes of `examples/ci` with the instances of a file and the names of their credentials filled in.

The recipes speak of one instance, `stats`. Filling looks for the lines that give a step its credentials, and leaves
everything else alone, so that it also serves for recipes that somebody has changed since:

    SITEWARD_STATS_URL: ${{ vars.SITEWARD_STATS_URL }}
    SITEWARD_STATS_TOKEN: ${{ matrix.instance == 'stats' && secrets.SITEWARD_STATS_TOKEN || '' }}

GitHub's jobs ask the main branch which instances there are; GitLab's include `ci/instances.yml`, which is written anew.
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
    "github": (".github/workflows", ".github/actions", "ci"),
    "gitlab": (".gitlab-ci.yml", "ci"),
}
"""The files and folders of a forge's recipes."""
INSTANCES = "ci/instances.yml"
"""The file by which GitLab's jobs know the instances."""
_NAMES = r"SITEWARD_(?!JOURNAL_|PLAN_)[A-Z0-9_]+"
_LINE = rf"[ ]+{_NAMES}: \$\{{\{{ (?:\w+\.instance == '[^']*' && )?(?:secrets|vars)\.{_NAMES}(?: \|\| '')? \}}\}}\n"
_LINES = re.compile(rf"(?m)(?:^{_LINE})+")
_OF = re.compile(r"(?P<of>\w+)\.instance == ")


class Filled(Struct, frozen=True, kw_only=True):
    """An instance with the fields of its credentials: those that are `secret`, and those that are none."""

    name: str
    secret: tuple[str, ...]
    plain: tuple[str, ...] = ("url",)

    def lines(self, block: str) -> str:
        """Return the lines that give a step its credentials, in the place of a block of such lines."""
        indent = block[: len(block) - len(block.lstrip(" "))]
        found = _OF.search(block)
        only, end = (f"{found['of']}.instance == '{self.name}' && ", " || ''") if found else ("", "")
        names = [(variable(self.name, field), "vars", "", "") for field in self.plain]
        names += [(variable(self.name, field), "secrets", only, end) for field in self.secret]
        return "".join(f"{indent}{name}: ${{{{ {only}{where}.{name}{end} }}}}\n" for name, where, only, end in names)


def recipes(forge: str, folder: Path) -> dict[str, str]:
    """Return the texts of a forge's recipes in `folder`, by path, without those that name the instances.

    What Python has compiled there, as `pip install` does, is none of them.
    """
    found: dict[str, str] = {}
    for name in RECIPES[forge]:
        path = folder / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            relative = file.relative_to(folder).as_posix()
            if file.is_file() and relative != INSTANCES and file.parent.name != "__pycache__":
                found[relative] = file.read_text(encoding="utf-8")
    return found


def fill(text: str, filled: Filled) -> str:
    """Return a recipe for one instance in the place of the one it speaks of."""
    return _LINES.sub(lambda block: filled.lines(block[0]), text)


def add(text: str, filled: Filled) -> str:
    """Return a file with one more instance beside those it has.

    What is there is left as it is. The same text is returned where it names the instance already, or has no place for it.
    """
    if variable(filled.name, "url") in text:
        return text
    return _LINES.sub(lambda block: block[0] + filled.lines(block[0]), text)


def names_of(instances: Sequence[Filled]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the variables that are no secret, and of the secrets, that the forge has to hold."""
    plain = tuple(variable(filled.name, field) for filled in instances for field in filled.plain)
    secret = tuple(variable(filled.name, field) for filled in instances for field in filled.secret)
    return plain, (*secret, "SITEWARD_JOURNAL_KEY", "SITEWARD_PLAN_KEY")
