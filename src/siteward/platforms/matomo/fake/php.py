"""How PHP and MySQL see text: request variables, array keys, letter case, escaping."""

from __future__ import annotations

import hashlib
import html
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

Parameter: TypeAlias = "str | list[str] | dict[str, str]"
Value: TypeAlias = "bool | int | str | list[Value] | dict[str, Value] | None"

GENERAL = "utf8mb4_general_ci"
MAX_INPUT_VARS = 1001  # `max_input_vars` is 1,000, and PHP lets one more pass (rec 13#58-61)


def variables(query: str) -> dict[str, Parameter]:
    """Return the variables of a query string or form body, as PHP fills `$_GET` and `$_POST` from it.

    Everything after some 1,000 fields is dropped without a word (API.md section 0, rule 4).
    """
    found: dict[str, Parameter] = {}
    for name, value in parse_qsl(query, keep_blank_values=True)[:MAX_INPUT_VARS]:
        base, bracket, rest = name.partition("[")
        if not bracket:
            found[name] = value
            continue
        _put(found, base, rest.rstrip("]"), value)
    return found


def _put(found: dict[str, Parameter], base: str, key: str, value: str) -> None:
    present = found.get(base)
    if key.isdigit() and int(key) == len(present if isinstance(present, list) else []):
        key = ""
    if key:
        into = present if isinstance(present, dict) else {}
        found[base] = {**into, key: value}
    else:
        found[base] = [*(present if isinstance(present, list) else []), value]


def collate(text: str, collation: str = GENERAL) -> str:
    """Return the key by which a collation compares and sorts: no case, no accents.

    The general one takes ß for s, the others for ss (rec 21#15-18, #46-49).
    """
    bare = unicodedata.normalize("NFD", text.replace("ß", "s") if collation == GENERAL else text)
    return "".join(item for item in bare if not unicodedata.combining(item)).upper()


def is_index(key: str) -> bool:
    """Tell whether PHP would keep this array key as a number."""
    return key.isdigit() and (key == "0" or not key.startswith("0"))


def escape(text: str) -> str:
    """Escape as a top-level error message is: not the single quote (rec 01#47)."""
    return html.escape(text, quote=False).replace('"', "&quot;")


def md5(text: str) -> str:
    """Return the md5 of a text in hex, as old releases store and ask for passwords."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def export(value: Value, indent: str = "") -> str:
    """Return a value as PHP's `var_export` writes it, which is what `format=original` shows."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case list():
            return _export_items(((str(at), item) for at, item in enumerate(value)), indent)
        case dict():
            return _export_items(((key if is_index(key) else f"'{key}'", item) for key, item in value.items()), indent)


def _export_items(items: Iterable[tuple[str, Value]], indent: str) -> str:
    inner = indent + "  "
    lines = []
    for key, value in items:
        nested = isinstance(value, list | dict)
        lines.append(f"{inner}{key} => " + (f"\n{inner}" if nested else "") + f"{export(value, inner)},\n")
    return "array (\n" + "".join(lines) + f"{indent})"


def xml(value: Value) -> str:
    """Return a value in Matomo's XML form."""
    head = '<?xml version="1.0" encoding="utf-8" ?>\n'
    match value:
        case list() | dict():
            inside = _xml_inside(value, "\t")
            return f"{head}<result>\n{inside}</result>" if inside else f"{head}<result />"
        case _:
            return f"{head}<result>{_xml_text(value)}</result>"


def _xml_inside(value: Mapping[str, Value] | list[Value], tabs: str) -> str:
    named = value.items() if isinstance(value, Mapping) else (("row", item) for item in value)
    return "".join(_xml_element("row" if is_index(name) else name, item, tabs) for name, item in named)


def _xml_element(name: str, value: Value, tabs: str) -> str:
    if isinstance(value, list | dict):
        inside = _xml_inside(value, tabs + "\t")
        return f"{tabs}<{name}>\n{inside}{tabs}</{name}>\n" if inside else f"{tabs}<{name} />\n"
    text = _xml_text(value)
    return f"{tabs}<{name}>{text}</{name}>\n" if text else f"{tabs}<{name} />\n"


def _xml_text(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case _:
            return html.escape(str(value), quote=False)


def as_text(value: Parameter) -> str:
    """Return a variable as PHP makes a text of it."""
    return value if isinstance(value, str) else "Array"
