"""Says whether a tag may be released: the version is the project's, and the changelog has a heading for it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def objections(tag: str, project: str, changelog: str) -> list[str]:
    """Return why the tag may not be released; empty where it may."""
    version = tomllib.loads(project)["project"]["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, and the version in pyproject.toml is {version}")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d{{2}}-\d{{2}}\)$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no heading `## {version} (date)`")
    if re.search(r"^## Unreleased\n+(?!## )\S", changelog, re.MULTILINE):
        found.append("CHANGELOG.md has changes under Unreleased, which this release would leave untold")
    return found


if __name__ == "__main__":
    texts = ((ROOT / name).read_text(encoding="utf-8") for name in ("pyproject.toml", "CHANGELOG.md"))
    if problems := objections(sys.argv[1], *texts):
        sys.exit("\n".join(problems))
