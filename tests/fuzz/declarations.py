"""Mutated declarations, through every verb that needs no server."""

from __future__ import annotations

import json
import random
from pathlib import Path

from chaos import worlds
from chaos.story import RELEASES
from fuzz import mutate
from fuzz.program import CODES, call

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "access.example.yaml").read_text(encoding="utf-8")
TEAM = (ROOT / "examples" / "teams" / "shop.yaml").read_text(encoding="utf-8")
FORMATS = ("text", "json", "markdown", "sarif", "html", "junit", "github", "gitlab")


def play(seed: int, folder: Path) -> str | None:
    """Mutate a declaration and check it; an error must name a rule, and be one for each way of output."""
    dice = random.Random(seed)
    example = dice.random() < 0.6
    original = EXAMPLE if example else _small(dice)
    team = dice.random() < 0.3
    main, included = mutate.text(dice, original, TEAM), TEAM.encode()
    if team:
        main, included = original.encode(), mutate.text(dice, TEAM, EXAMPLE)
    (folder / "access.yaml").write_bytes(main)
    (folder / "examples" / "teams").mkdir(parents=True)
    (folder / "examples" / "teams" / "shop.yaml").write_bytes(included)
    verb = dice.choice(("validate", "validate", "validate", "plan", "drift"))
    code, out = call(folder, verb, "--format", dice.choice(FORMATS))
    if code not in CODES:
        return f"{verb} left with {code}: {out[:500]}"
    if verb == "plan" and code in {0, 2}:
        return f"a plan of servers that are not there left with {code}: {out[:500]}"
    if code and not out.strip():
        return f"{verb} left with {code} and said nothing"
    return None


def _small(dice: random.Random) -> str:
    """Return a small declaration, one line for each user and grant (JSON is YAML)."""
    platform, release = dice.choice(RELEASES)
    document = worlds.draw(dice, platform, release).documents[-1]
    return json.dumps(document, indent=1)
