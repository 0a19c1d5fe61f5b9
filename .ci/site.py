"""Lay out the documentation site: `make docs` runs this, and mkdocs builds build/site from build/docs.

Pages are copied with the links that lead out of them made to fit; files of the repository that a page names come along.
The pages about the file and the commands are written from the schema and from click, so that they say what is true.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import yaml

from siteward.cli.app import VERBS
from siteward.cli.app import main as program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
STAGE = ROOT / "build" / "docs"
PLACES = {"README.md": "index.md"}
"""Pages that stand elsewhere on the site than in the repository."""

TOP_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
_LINK = re.compile(r"(?P<text>\[[^\]]+\])\((?P<target>[^)\s]+)\)")
WIDTH = 80
"""The columns of the help texts."""


def main() -> int:
    """Write all pages and the configuration."""
    shutil.rmtree(STAGE, ignore_errors=True)
    pages = [*(ROOT / name for name in TOP_PAGES), *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        _write(_place_of(page), _with_fitting_links(page))
    for asset in sorted((ROOT / "docs" / "assets").glob("*")):
        shutil.copyfile(asset, _make_room(STAGE / "assets" / asset.name))
    _write(STAGE / "reference" / "commands.md", "\n".join(commands_page()) + "\n")
    _write(STAGE / "reference" / "file.md", "\n".join(file_page(_read_schema("access"))) + "\n")
    _write(ROOT / "build" / "mkdocs.yml", _configure())
    return 0


def _place_of(page: Path) -> Path:
    """Return where a page of the repository stands on the site."""
    relative = page.relative_to(ROOT)
    inside = relative.relative_to("docs") if relative.parts[0] == "docs" else relative
    return STAGE / PLACES.get(inside.as_posix(), inside)


def _with_fitting_links(page: Path) -> str:
    """Return the text of a page with its links made to fit the site; blocks of code stay as they are."""
    parts = re.split(r"(^```.*?^```)", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else _LINK.sub(lambda link: _fit(link, page), part) for part in parts)


def _fit(link: re.Match[str], page: Path) -> str:
    """Return a link as it is on the site: to the page that its file has become, or to a copy of the file."""
    target = link["target"]
    path, hash_, anchor = target.partition("#")
    if urlsplit(target).scheme or not path:
        return link[0]
    file = (page.parent / path).resolve()
    if file.is_dir():
        return f"{link['text']}({_relative(_list_folder(file), page)})"
    place = _place_of(file) if file.suffix == ".md" else _copy(file)
    return f"{link['text']}({_relative(place, page)}{hash_}{anchor})"


def _relative(place: Path, page: Path) -> str:
    """Return a path on the site as it is written on a page."""
    return Path(*[".."] * (len(_place_of(page).relative_to(STAGE).parts) - 1), place.relative_to(STAGE)).as_posix()


def _copy(file: Path) -> Path:
    """Copy a file of the repository to the site, as text that every browser shows; mkdocs leaves out dotted names."""
    parts = (part.removeprefix(".") for part in file.relative_to(ROOT).parts)
    place = _make_room((STAGE / "files").joinpath(*parts).with_name(f"{file.name.removeprefix('.')}.txt"))
    shutil.copyfile(file, place)
    return place


def _list_folder(folder: Path) -> Path:
    """Write a page that lists the files of a folder of the repository, each copied to the site."""
    name = folder.relative_to(ROOT).as_posix()
    place = STAGE / "files" / f"{name.replace('/', '-')}.md"
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    lines = [
        f"- [{file.relative_to(folder).as_posix()}]({_copy(file).relative_to(place.parent).as_posix()})"
        for file in files
    ]
    _write(place, f"# {name}\n\n" + "\n".join(lines) + "\n")
    return place


def _write(place: Path, text: str) -> None:
    _make_room(place).write_text(text, encoding="utf-8")


def _make_room(place: Path) -> Path:
    """Return a path whose folder is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def commands_page() -> Iterator[str]:
    """Yield the lines of the page of commands: what `--help` says, at 80 columns."""
    yield "# Commands\n"
    yield "What `--help` says of each command. Every command that prints a report ends with one of the [exit codes](exit-codes.md)."
    context = click.Context(program, info_name="siteward")
    for verb in VERBS:
        command = program.get_command(context, verb)
        if command is not None:
            yield from _help_of(command, context, f"siteward {verb}", 2)


def _help_of(command: click.Command, parent: click.Context, title: str, level: int) -> Iterator[str]:
    """Yield the help of a command and of those below it."""
    context = click.Context(
        command, info_name=title.rpartition(" ")[2], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield f"\n{'#' * level} {title}\n"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _help_of(below, context, f"{title} {name}", level + 1)


def _read_schema(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return schema


def file_page(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the page about the file, key by key: a table for each kind of row."""
    yield "# The file, key by key\n"
    yield "Keys that are not listed here are errors. A key without *needed* may be left out."
    yield from _table("The root file", schema)
    for name, kind in sorted(schema.get("$defs", {}).items()):
        if kind.get("properties"):
            yield from _table(_title(name), kind)


def _title(name: str) -> str:
    """Return the name of a kind of row in words: `GrantRow` is a grant."""
    return " ".join(re.findall("[A-Z][a-z]*", name.removesuffix("Row"))).capitalize()


def _table(title: str, kind: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table of a kind of row."""
    yield f"\n## {title}\n"
    if kind.get("description"):
        yield f"{_cell(kind['description'])}\n"
    yield "| key | value | meaning |\n| --- | --- | --- |"
    needed = set(kind.get("required", ()))
    for key, value in kind.get("properties", {}).items():
        mark = " *needed*" if key in needed else ""
        yield f"| `{key}`{mark} | {_value(value)} | {_cell(value.get('description', ''))} |"


def _value(value: Any) -> str:
    """Return what a key takes, in words, with links to the kinds of rows."""
    if value is True or not value:
        return "anything"
    several = value.get("anyOf") or value.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(map(_value, several)))
    if "$ref" in value:
        name = _title(value["$ref"].rpartition("/")[2])
        return f"[{name.lower()}](#{name.lower().replace(' ', '-')})"
    if "enum" in value or "const" in value:
        return " · ".join(f"`{json.dumps(word).strip(chr(34))}`" for word in value.get("enum", [value.get("const")]))
    return _kind_of(value)


_WORDS = {"string": "text", "integer": "number", "boolean": "`true` · `false`", "null": "nothing", "number": "number"}


def _kind_of(value: Mapping[str, Any]) -> str:
    """Return the kind of a value that has no fixed words."""
    kind = value.get("type")
    if kind == "array":
        return f"list of {_value(value.get('items'))}"
    if kind == "object":
        below = value.get("additionalProperties")
        return f"by name: {_value(below)}" if isinstance(below, dict) else "keys"
    return _WORDS.get(str(kind), "anything")


def _cell(text: str) -> str:
    """Return a text that stands in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _configure() -> str:
    """Return the configuration with its places below build/, where both builders read it."""
    configuration = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    configuration["docs_dir"], configuration["site_dir"] = "docs", "site"
    return yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main())
