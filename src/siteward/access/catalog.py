"""The catalogue of rules: every rule id that the program can report, with a sentence, the next step and its source.

They stand in `catalog.md`: a heading names the part of the program that reports the rules under it, and a line holds one
rule. `docs/rules.md` is written from `PAGE` (`make docs-rules`), which names the former ids too. SARIF, the check of the
owners' own rule ids, and outputs without names read the same entries.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.diagnostic import FORMERLY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

THE_FILE = "The file"
_ENTRY = re.compile(
    r"^- \*\*`(?P<code>[a-z0-9-]+)`\*\* (?:\(formerly `(?P<former>[a-z0-9-]+)`\) )?(?P<waivable>\(waivable\) )?(?P<sentence>.+?) \*Next:\* (?P<step>.+)$"
)


class Rule(Struct, frozen=True):
    """A rule: its id, a sentence with its demand or fact, the next step, the part that reports it, and its former id.

    `waivable` is true where the owners may live with what it finds (`policy.waivers`).
    """

    code: str
    sentence: str
    step: str
    raised_by: str
    formerly: str | None = None
    waivable: bool = False

    @property
    def name(self) -> str:
        """The id in the form of a SARIF rule name (`UnknownRole`), which says more than the id also where that is one word."""
        return rule_name(self.code)


def rule_name(code: str) -> str:
    """Return the id of a rule in the form of a SARIF rule name: `UnknownRole`, and `UnreadableRule` for a single word."""
    name = "".join(filter(str.isalnum, code.title()))
    return f"{name}Rule" if name.casefold() in {code.casefold(), ""} else name


def _parse_rules(page: str) -> Iterator[Rule]:
    """Yield the rules of a page; raises `ValueError` for a list item that has not the form of one."""
    raised_by = ""
    for line in page.splitlines():
        if line.startswith("## "):
            raised_by = line[3:]
        if not line.startswith("- "):
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            raise ValueError(f"this line of the catalogue is no rule: {line}")
        yield Rule(entry["code"], entry["sentence"], entry["step"], raised_by, entry["former"], bool(entry["waivable"]))


def _with_former_ids(page: str) -> str:
    """Return the page with the former id of each renamed rule behind its id; raises `ValueError` for an unknown rule."""
    for code, former in FORMERLY.items():
        entry = f"- **`{code}`** "
        if entry not in page:
            raise ValueError(f"the catalogue has no rule {code}, formerly {former}")
        page = page.replace(entry, f"{entry}(formerly `{former}`) ")
    return page


PAGE = _with_former_ids(Path(__file__).with_name("catalog.md").read_text(encoding="utf-8"))
RULES: Mapping[str, Rule] = MappingProxyType({rule.code: rule for rule in _parse_rules(PAGE)})
FILE_RULES: Mapping[str, str] = MappingProxyType(
    {rule.code: rule.sentence for rule in RULES.values() if rule.raised_by == THE_FILE}
)
"""The sentences of the rules that a declaration can break, by id."""
WAIVABLE: frozenset[str] = frozenset(rule.code for rule in RULES.values() if rule.waivable)
"""The ids of the rules whose findings a waiver may silence."""
RESERVED: frozenset[str] = frozenset({*RULES, *FORMERLY.values()})
"""The ids that no rule of the owners may have: the current ones, and the former ones, which reports still name."""


def sentence(code: str) -> str:
    """Return the sentence of a rule; for a rule of the owners, its id in words."""
    return RULES[code].sentence if code in RULES else code.replace("-", " ")


if __name__ == "__main__":
    sys.stdout.write(PAGE)
