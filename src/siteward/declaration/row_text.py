"""The text of new rows and values: ruamel.yaml prints them, and the loader's own reader has to read the same again."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, ScalarString, SingleQuotedScalarString

from siteward.declaration.source import Items, Table
from siteward.declaration.yaml_reader import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.representer import RoundTripRepresenter

_WIDTH = 10_000_000
"""No line of the file is ever broken for its length."""
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2}))?")
_QUOTES: Mapping[str, type[ScalarString]] = {'"': DoubleQuotedScalarString, "'": SingleQuotedScalarString}


class UnprintableError(ValueError):
    """A value that cannot be written as a row that is read again as the same."""


class _Moment(str):
    """A day or an instant, which people write without quotes; our reader takes it for text."""

    __slots__ = ()


def with_quotes(text: str, style: str) -> str:
    """Return a text that is printed again in the quotes in which it stands in a file."""
    return _QUOTES[style](text) if style in _QUOTES else text


def plain(value: Any) -> Any:
    """Return a value as plain tables, lists and scalars, without what it knows of its place or its quotes."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, str) else value


def same(one: Any, other: Any) -> bool:
    """Return whether two plain values are the same, down to their types and the order of lists."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(inner, other[key]) for key, inner in one.items())
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def print_value(value: Any) -> str:
    """Return a value as YAML on one line, tables and lists in brackets, right inside of brackets and outside of them.

    Raises `UnprintableError` for what the reader would not read again as the same, such as a null.
    """
    wanted = plain(value)
    for text in (_print_with_ruamel(value), _print_as_json(wanted)):
        source, faults = read("", f"value: [{text}]\n")
        if source is not None and not faults and same(_plain_of(source.data), {"value": [wanted]}):
            return text
    raise UnprintableError(f"{json.dumps(wanted, ensure_ascii=False)} cannot be written to the file")


def _plain_of(value: Any) -> Any:
    if isinstance(value, Table):
        return {key: _plain_of(inner) for key, inner in value.items()}
    return [_plain_of(inner) for inner in value] if isinstance(value, Items) else value


def _print_with_ruamel(value: Any) -> str:
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.representer.add_representer(_Moment, _represent_moment)
    out = StringIO()
    yaml.dump(_in_brackets([value]), out)
    return out.getvalue().strip()[1:-1]


def _represent_moment(representer: RoundTripRepresenter, moment: _Moment) -> ScalarNode:
    node: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:timestamp", str(moment))
    return node


def _in_brackets(value: Any) -> Any:
    """Return a value as ruamel prints it in brackets."""
    if isinstance(value, dict):
        table = CommentedMap((key, _in_brackets(inner)) for key, inner in value.items())
        table.fa.set_flow_style()
        return table
    if isinstance(value, list | tuple):
        items = CommentedSeq(_in_brackets(inner) for inner in value)
        items.fa.set_flow_style()
        return items
    if isinstance(value, str) and not isinstance(value, ScalarString) and _MOMENT.fullmatch(value):
        return _Moment(value)
    return value


def _print_as_json(value: Any) -> str:
    """Return a plain value with every text in double quotes: longer, and read by everybody in one way."""
    return json.dumps(value, ensure_ascii=True)
