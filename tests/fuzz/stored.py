"""Mutated files that the program itself has written: saved plans, journals, what a run left, and decisions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from chaos import worlds
from chaos.story import RELEASES
from documents import document, parsed, resealed
from fuzz import mutate
from fuzz.program import CODES, call
from rig import NOW, Killed, Rig, reseal
from siteward import platforms
from siteward.access import codec
from siteward.access.codec import CodecError
from siteward.access.plan import Plan
from siteward.reconcile.journal import reading
from siteward.reconcile.journal.chain import follow, hash_line, link
from siteward.reconcile.sheets import BadDecisionsError, read_decisions

FORMATS = ("text", "json", "markdown", "html", "csv", "sarif", "gitlab-plan")
SEEDS = 12
"""So many different worlds lend their files."""


def play(seed: int, folder: Path) -> str | None:
    """Mutate one stored file and let the program read it."""
    dice = random.Random(seed)
    kind: Callable[[random.Random, Path], str | None] = dice.choice(
        (_plan, _plan, _journal, _journal, _left, _decisions)
    )
    return kind(dice, folder)


def _rig(dice: random.Random, folder: Path) -> tuple[Rig, bool]:
    """Return a rig whose plan was applied, or half of it: the run was killed at a write."""
    lent = dice.randrange(SEEDS)
    source = random.Random(lent)
    platform, release = RELEASES[lent % len(RELEASES)]
    start = worlds.draw(source, platform, release)
    fake = platforms.fake(platform).of(start.world, release, clock=lambda: NOW)
    rig = Rig(folder, fake, start.documents[0])
    reviewed = rig.plan().plan
    assert reviewed is not None
    rig.axe.at, rig.axe.after = (
        (rig.axe._count + dice.randint(4, 25) if dice.random() < 0.5 else 0),
        dice.random() < 0.5,
    )
    killed = False
    try:
        rig.apply(reviewed)
    except Killed:
        killed = True
    rig.axe.at = 0
    return rig, killed


def _again(rig: Rig, *, killed: bool) -> str | None:
    """Plan, tell drift, apply and resume; all of that may refuse, and nothing may be raised."""
    report = rig.plan()
    rig.drift()
    if killed:
        rig.apply(_empty(), resume=True)
    if report.plan is not None:
        rig.apply(report.plan)
    elif not report.diagnostics:
        return "no plan and no reason"
    return None


def _empty() -> Plan:
    return Plan(tool="", created=NOW, as_of=NOW)


def _plan(dice: random.Random, folder: Path) -> str | None:
    rig, _ = _rig(dice, folder)
    reviewed = rig.plan().plan
    assert reviewed is not None
    if dice.random() < 0.2:
        data = mutate.raw(dice, document(reviewed))
    else:
        data = _encode_plan(mutate.json_value(dice, parsed(reviewed)), fits=dice.random() < 0.8)
    path = folder / "plan.json"
    path.write_bytes(data)
    code, out = call(folder, "show", "plan.json", "--format", dice.choice(FORMATS))
    if code not in CODES or (code and not out.strip()):
        return f"show left with {code}: {out[:500]}"
    try:
        read = codec.decode(data)
    except CodecError:
        return None if code == 1 else f"a plan that is not read was shown, with {code}: {out[:500]}"
    rig.apply(read)
    return None


def _encode_plan(data: Any, *, fits: bool) -> bytes:
    """Return a mutated plan as a document; where its digest `fits`, it is read further."""
    if fits and isinstance(data, dict):
        with suppress(UnicodeEncodeError, TypeError, RecursionError):
            return resealed(data)
    return json.dumps(data).encode("utf-8", "surrogatepass")


def _journal(dice: random.Random, folder: Path) -> str | None:
    rig, killed = _rig(dice, folder)
    path = reading.path_of(rig.journals.folder, "it")
    if not path.exists():
        return None
    records = follow(path, None).records
    if not records:
        return None
    if dice.random() < 0.3:
        data = mutate.raw(dice, path.read_bytes())
    else:
        entries = [[dict(record.header), *record.read_parts()] for record in records]
        lines = dice.choice(entries)
        at = dice.randrange(len(lines))
        lines[at] = mutate.json_value(dice, lines[at])
        data = b"".join(_chained(entries))
    path.write_bytes(data)
    return _again(rig, killed=killed)


def _line(entry: object) -> bytes:
    return json.dumps(entry).encode("utf-8", "surrogatepass") + b"\n"


def _chained(entries: list[list[Any]]) -> Iterator[bytes]:
    """Yield the records, each a header and its parts, as lines whose chain fits, as far as that can be."""
    head = ""
    for number, (header, *parts) in enumerate(entries, start=1):
        try:
            lines, head = link(header, parts, number=number, head=head, key=None)
        except (ValueError, TypeError, RecursionError):
            lines = b"".join(map(_line, (*parts, header)))
        yield lines


def _left(dice: random.Random, folder: Path) -> str | None:
    """What a run left, or the plan that it was about."""
    rig, killed = _rig(dice, folder)
    paths = sorted(rig.journals.folder.glob("*.json"))
    if not paths:
        return None
    path = dice.choice(paths)
    value = json.loads(path.read_bytes())
    data = mutate.raw(dice, path.read_bytes()) if dice.random() < 0.3 else _line(mutate.json_value(dice, value))
    path.write_bytes(data)
    journals = reading.path_of(rig.journals.folder, "it")
    if path.name == "it.last.json" and dice.random() < 0.7:
        reseal(
            journals,
            lambda header: {**header, "last": hash_line(data)} if header["kind"] == "end" else header,
        )
    return _again(rig, killed=killed)


def _decisions(dice: random.Random, folder: Path) -> str | None:
    name, original = dice.choice(list(_reviews().items()))
    if name.endswith(".json") and dice.random() < 0.7:
        data = json.dumps(mutate.json_value(dice, json.loads(original))).encode("utf-8", "surrogatepass")
    else:
        data = mutate.text(dice, original)
    path = folder / name
    path.write_bytes(data)
    try:
        read_decisions(path)
    except BadDecisionsError as problem:
        return None if str(problem) else "refused without a reason"
    return None


@cache
def _reviews() -> dict[str, str]:
    """Return a review that was decided, as a table and as JSON."""
    head = ["digest", "id", "instance", "person", "account", "site", "role", "decision", "live"]
    rows = [
        [f"{at:064x}"[:16], f"i{at}", "it", f"p{at}", f"account-{at}", "shop.example.org", "view", word, "yes"]
        for at, word in enumerate(("keep", "revoke", "change edit until 2027-01-01", "change until 2027-01-01", ""), 1)
    ]
    digest = f"sha256:{'1' * 64}"
    for row in rows:
        row[0] = digest
    items = [dict(zip(head[1:], row[1:], strict=True)) for row in rows]
    table = "\n".join(",".join(cells) for cells in (head, *rows)) + "\n"
    return {"review.csv": table, "review.json": json.dumps({"digest": digest, "items": items})}
