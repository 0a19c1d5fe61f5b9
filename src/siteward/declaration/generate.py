"""The first declaration file of an instance, generated from its live access (`siteward import`, `siteward init`).

The text is the smallest file that, loaded and resolved, wants exactly what is live; live access that cannot be declared
is listed in comments.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING

from siteward.declaration.inventory import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from siteward.access.state import Live
    from siteward.access.traits import Traits
    from siteward.declaration.inventory import Keys

WIDTH = 110
"""The length of a generated line, in characters."""
SCHEMA = "access.schema.json"
"""The schema's path that a file names where nothing else is said."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.@/+-]*(?: [A-Za-z0-9_.@/+-]+)*")
_SPECIAL = re.compile(r"(?i)true|false|yes|no|on|off|null|y|n")


def first_file(
    instance: str,
    block: Mapping[str, object],
    live: Live,
    traits: Traits,
    *,
    timezone: str = "UTC",
    schema: str | None = None,
) -> str:
    """Return the text of a first `access.yaml` for one instance.

    `block` are the keys of the instance (`platform`, `url`, `self`, the platform's own) in the order of the text.
    `timezone` is the one in which the file's days begin. `schema` is the path of the JSON Schema beside it, where it has been written. Unmanaged accounts get `unmanaged: report`. Loading and
    resolving the text against `live` wants nothing that is not there, and everything there that can be declared.
    """
    rows = rows_of(instance, block.get("self"), live, traits)
    lines = [*_write_head(instance, schema), *_write_instance(instance, block, traits, native=rows.native)]
    if timezone != "UTC":
        lines += ["", f"policy: {{timezone: {quoted(timezone)}}}"]
    if rows.sites:
        lines += ["", "sites:", *(f"  {quoted(handle)}: {_write_row(keys)}" for handle, keys in rows.sites.items())]
    lines += ["", "users:"]
    lines += [f"  {quoted(handle)}: {_write_row(keys)}" for handle, keys in rows.users.items()] or ["  {}"]
    if rows.groups:
        lines += ["", "groups:", *_write_groups(rows.groups)]
    lines += ["", *_write_grants(rows.grants)]
    if rows.asides:
        lines += ["", "# Live, and not managed above:", *(f"# - {harmless(aside)}" for aside in rows.asides)]
    return "\n".join(lines) + "\n"


def block_of(block: Mapping[str, object], traits: Traits, *, native: bool) -> Keys:
    """Return the keys of an instance as `import` writes them: what it decides itself comes last."""
    own = {"native", "unmanaged", "accept_blind"}
    keys: Keys = {key: value for key, value in block.items() if key not in own}
    if native:
        keys["native"] = True
    if traits.blind_spots:
        keys["accept_blind"] = list(traits.blind_spots)
    return {**keys, "unmanaged": "report"}


def _write_head(instance: str, schema: str | None) -> Iterator[str]:
    """Yield the lines before the instance: how an editor helps, and the version."""
    if schema is None:
        yield f"# An editor helps once `siteward schema > {SCHEMA}` has run and the first line is:"
    yield f"# yaml-language-server: $schema=./{schema or SCHEMA}"
    yield f"# Written by `siteward import` from what is live on {instance}: read it, then make it yours."
    yield "version: 1"
    yield ""
    yield "instances:"


def _write_instance(instance: str, block: Mapping[str, object], traits: Traits, *, native: bool) -> Iterator[str]:
    """Yield the lines of the instance, with a comment before the line that accepts the platform's blind spots."""
    yield f"  {quoted(instance)}:"
    for key, value in block_of(block, traits, native=native).items():
        if key == "accept_blind":
            spots = traits.blind_spots
            yield from (f"    # Never shown here: {harmless(traits.unseen.get(spot, spot))}." for spot in spots)
            yield f"    accept_blind: {_write_list(spots, 6)}    # as imported; until named here, it counts as unread"
        elif key == "unmanaged":
            yield "    unmanaged: report    # accounts that are not in this file; `revoke` is where this leads"
        else:
            yield f"    {key}: {written(value)}"


def _write_groups(groups: Mapping[str, object]) -> Iterator[str]:
    for name, row in groups.items():
        if isinstance(row, list):
            yield f"  {quoted(name)}: {_write_list(row, 4)}"
        elif isinstance(row, dict):
            members = row["members"]
            inside = _write_list(members, 6) if isinstance(members, list) else members
            yield f"  {quoted(name)}: {{native: {quoted(row['native'])}, members: {inside}}}"


def _write_grants(grants: Iterable[Keys]) -> Iterator[str]:
    rows = list(grants)
    if not rows:
        yield "grants: []"
        return
    yield "grants:"
    for row in rows:
        parts = [f"{key}: {_write_names(value)}" for key, value in row.items()]
        line = ", ".join(parts)
        yield f"  - {{{line}}}" if len(line) < WIDTH else "  - " + "\n    ".join(parts)


def _write_names(value: object) -> str:
    return _write_list(value, 6) if isinstance(value, list) else quoted(str(value))


def _write_row(keys: Keys) -> str:
    """Return a row in braces; its keys are the grammar's, which need no quotes."""
    return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in keys.items()) + "}"


def _flow(value: object) -> str:
    """Return a value as YAML on one line: tables and lists in brackets, texts in quotes only where they need them."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return written(value)


def _write_list(words: Iterable[str], indent: int) -> str:
    """Return a list in brackets, broken where it is long into lines that are indented by `indent` spaces."""
    lines: list[str] = [""]
    for word in words:
        text = quoted(word)
        if lines[-1] and len(lines[-1]) + len(text) > WIDTH - indent - 4:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else ''}{text}"
    return "[" + (",\n" + " " * indent).join(lines) + "]"


def quoted(text: str) -> str:
    """Return a text as YAML, in quotes where any reader of YAML might take it for something else."""
    if _PLAIN.fullmatch(text) and not _SPECIAL.fullmatch(text):
        return text
    return "".join(map(_escape, json.dumps(text, ensure_ascii=False)))


def written(value: object) -> str:
    """Return any value that JSON can write as YAML on one line."""
    return quoted(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def harmless(text: str) -> str:
    """Return a text for a comment: on one line, and with nothing that hides or reorders."""
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    """Return a character, or its escape where it hides, reorders or controls text."""
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}:
        code = ord(character)
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return character
