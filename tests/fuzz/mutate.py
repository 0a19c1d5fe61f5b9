"""Mutations of texts and of JSON, decided by one generator of numbers; no mutation is aimed at any other software."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**40, 1.5, -0.0, 1e308, "", " ", "x", "0", "null", "*", "!", "a" * 300,
    "\u202eabc", "e\u0301", "é", "\ud800", "a\r\nb", "a\x00b", "\x1b[31m", "../..", "/", "~", "=1+1", "<b>x</b>", "${x}", "%s",
    "2026-02-30", "9999-12-31", "0001-01-01T00:00:00Z", "2026-11-22T12:00:00+99:00", "sha256:" + "0" * 64, [], {}, [[]], [None],
    {"": ""}, {"name": None},
)  # fmt: skip
WORDS = (
    "null", "~", "yes", "no", "on", "1e3", "0o17", "0x1f", "2026-11-22", "2026-13-45", "[]", "{}", "- ", "? ", ": ", "!x", "&a", "*a", "<<: ",
    "|", ">", "---", "...", "%YAML 1.1", "#", '"', "'", "\t", "\u00a0", "\u2028", "\ufeff", "\x00", "\x1b", "*", "!", "**", "tag:x", "id:1", "self",
    "users:", "grants:", "sites: '*'", "role: admin", "until: 2026-01-01", "state: absent", "kind: service", "version: 2", "include:", "policy:",
)  # fmt: skip


def text(dice: random.Random, original: str, other: str = "") -> bytes:
    """Return a text with one to six mutations of lines, words or characters, seldom of its bytes."""
    lines = original.split("\n")
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        _mutate_lines(dice, lines, other.split("\n") if other else lines)
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    return raw(dice, data) if dice.random() < 0.1 else data


def _mutate_lines(dice: random.Random, lines: list[str], others: list[str]) -> None:
    at = dice.randrange(len(lines))
    match dice.randrange(9):
        case 0:
            del lines[at : at + dice.choice((1, 1, 2, 8))]
        case 1:
            lines.insert(at, dice.choice(others))
        case 2:
            to = dice.randrange(len(lines))
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            lines[at] = " " * dice.choice((1, 2, 4)) + lines[at] if dice.random() < 0.5 else lines[at].lstrip(" ")
        case 4:
            head, colon, _ = lines[at].partition(":")
            lines[at] = f"{head}{colon} {dice.choice(WORDS)}"
        case 5:
            words = lines[at].split(" ")
            words[dice.randrange(len(words))] = dice.choice(WORDS)
            lines[at] = " ".join(words)
        case 6:
            place = dice.randint(0, len(lines[at]))
            lines[at] = lines[at][:place] + dice.choice(WORDS) + lines[at][place + dice.randint(0, 2) :]
        case 7:
            place = dice.randint(0, len(lines[at]))
            lines[at] = lines[at][:place] + lines[at][place + 1 :]
        case _:
            lines[at : at + 1] = [lines[at]] * dice.choice((2, 2, 3, 40))
    lines[:] = lines or [""]


def raw(dice: random.Random, data: bytes) -> bytes:
    """Return bytes with some of them changed, cut off, doubled or in another encoding."""
    at = dice.randint(0, len(data))
    match dice.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes(dice.randrange(256) for _ in range(dice.randint(1, 4))) + data[at:]
        case 2:
            return data[:at] + data[at + dice.randint(1, 20) :]
        case 3:
            return data.decode("utf-8", "replace").encode(dice.choice(("utf-16", "utf-8-sig", "utf-32-le")))
        case 4:
            return data.decode("utf-8", "replace").encode("cp1252", "replace")
        case _:
            return data + data


def json_value(dice: random.Random, value: Any) -> Any:
    """Return a copy of a JSON value with one to four of its members dropped, replaced, doubled, moved or renamed."""
    box = [copy.deepcopy(value)]
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        parent, at = dice.choice(list(_places(box)))
        _mutate_member(dice, box, parent, at)
    return box[0]


def _mutate_member(dice: random.Random, box: list[Any], parent: Any, at: Any) -> None:
    match dice.randrange(7):
        case 0 if parent is not box:
            del parent[at]
        case 1 if isinstance(parent, dict):
            parent[dice.choice(("", "x", "id", "kind", "a" * 300))] = parent[at]
        case 2 if isinstance(parent, list) and parent is not box:
            parent.insert(at, copy.deepcopy(parent[at]))
        case 3:
            other, place = dice.choice(list(_places(box)))
            parent[at] = copy.deepcopy(other[place])
        case 4 if isinstance(parent[at], str) and parent[at]:
            place = dice.randint(0, len(parent[at]))
            parent[at] = (
                parent[at][:place]
                + dice.choice(("\x00", "\ud800", "é", " ", "/", "x" * 200, ""))
                + parent[at][place + 1 :]
            )
        case 5 if isinstance(parent[at], int) and not isinstance(parent[at], bool):
            parent[at] += dice.choice((1, -1, 10**6, -(10**6)))
        case _:
            parent[at] = copy.deepcopy(dice.choice(SCALARS))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield parent and index of every member, at every depth."""
    if isinstance(value, list | dict):
        for at in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, at
            yield from _places(value[at])
