"""Every block, command, option and rule id of the pages is true: what no walk runs is read here, whenever tests run.

The classes of blocks are those of `docs/walk.py`. A block that is in none of them fails, so that no sample stays unrun.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import yaml

from docs.walk import FILE, PAGES, QUIET, ROOT, Block, list_blocks, list_commands, load_yaml, split_comment
from siteward.access.catalog import RESERVED
from siteward.cli.app import VERBS, main

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS = ("docs", "examples", "benchmarks")
EVERY_PAGE = sorted({*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))})
SPOKEN = [
    page for page in EVERY_PAGE if page.name not in {"CHANGELOG.md", "rules.md"} and page.parent.name != "benchmarks"
]
"""The pages that speak of the program as it is today; the rules are written from the catalogue."""

every_page = pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: page.relative_to(ROOT).as_posix())
spoken = pytest.mark.parametrize("page", SPOKEN, ids=lambda page: page.relative_to(ROOT).as_posix())


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@every_page
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    """A block is walked, is left to a test that names the page, has the lines of a recipe, or is not run for a reason."""
    check_page(text_of(page), page)


def check_page(text: str, page: Path) -> None:
    for block in list_blocks(text):
        check(block, page)


def check(block: Block, page: Path) -> None:
    """Hold a block to its class; raise AssertionError where it is in none, or cannot be read."""
    if block.mark == "run by":
        assert page.name in (ROOT / block.why).read_text(encoding="utf-8"), f"{block.why} does not speak of {page.name}"
    elif block.mark == "lines of":
        compare_with_recipe(block)
    elif block.mark == "not run":
        assert len(block.why.split()) > 1, "no reason is given"
        assert block.kind in {"sh", "text"}, f"a block of {block.kind} can be run"
        if block.kind == "sh":
            read_shell(block.text)
    else:
        assert page in PAGES, (
            f"{page.name} names no sandbox, and no comment above says why this is not run:\n{block.text}"
        )
        read_sample(block)


def compare_with_recipe(block: Block) -> None:
    """Find each line of a block in the recipe that it names, but for the words that stand for others there."""
    name, *words = block.why.split(", ")
    recipe = {line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()}
    text = block.text
    for new, old in (word.split(" for ") for word in words):
        text = text.replace(new, old)
    assert yaml.safe_load(text)
    assert [line for line in text.splitlines() if line.strip() not in recipe] == []


def read_sample(block: Block) -> None:
    """Read a block that the walk does, whether or not it is walked today."""
    assert block.kind in {"yaml", "csv", "sh", "text"}, f"a block of {block.kind or 'no kind'}:\n{block.text}"
    if block.kind == "sh":
        read_shell(block.text, is_hidden=block.is_hidden)
    elif block.kind in {"yaml", "csv"}:
        assert FILE.match(block.text), f"a block names no file in its first line:\n{block.text}"
    if block.kind == "yaml":
        assert isinstance(load_yaml(block.text), dict)


def read_shell(text: str, *, is_hidden: bool = False) -> None:
    """Read each command of a block: bash understands it, and so does the program that it calls."""
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    for line in list_commands(text):
        command, _ = split_comment(line)
        for words in split_commands(command):
            if words[0] == "siteward":
                understand(words[1:])
            elif words[0] == "make":
                assert goals() >= set(words[1:]), command
            else:
                assert is_hidden or words[0] in QUIET | {"age"}, f"a sample calls {words[0]}"


def split_commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line, without what is redirected and variables that are set before."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    for word in [*lexer, "|"]:
        if set(word) <= set("|;&()"):
            command = words[: words.index(">")] if ">" in words else words
            if command:
                yield command
            words = []
        else:
            words.append(word)


@cache
def goals() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def understand(words: list[str]) -> None:
    """Read a command line as the program does, without doing it; raise AssertionError where it would be refused."""
    command: click.Command = main
    context, rest = click.Context(main, info_name="siteward"), list(words)
    try:
        while True:
            values, rest, _ = command.make_parser(context).parse_args(rest)
            check_choices(command, values, context)
            if not isinstance(command, click.Group) or not rest:
                break
            name = rest.pop(0)
            below = command.get_command(context, name)
            assert below is not None, f"{context.command_path} has no {name}"
            command, context = below, click.Context(below, info_name=name, parent=context)
    except click.UsageError as problem:
        pytest.fail(f"siteward {shlex.join(words)}: {problem.format_message()}")
    assert not rest, f"siteward {shlex.join(words)}: nothing takes {rest}"


def check_choices(command: click.Command, values: dict[str, Any], context: click.Context) -> None:
    """Raise UsageError where a value is none of those that an option has; a word in capitals stands for any, `acme` for a new platform."""
    for param in command.params:
        if isinstance(param.type, click.Choice) and param.name is not None:
            given = values.get(param.name)
            for value in [given] if isinstance(given, str) else given if isinstance(given, list) else []:
                if not re.fullmatch(r"[A-Z]+|…|acme", value):
                    param.type.convert(value, param, context)


def prose(page: Path) -> str:
    """Return a page without its blocks and comments."""
    text = re.sub(r"<!--.*?-->", "", text_of(page), flags=re.DOTALL)
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)


def spans(page: Path) -> list[str]:
    """Return what stands between backticks in the prose of a page, on one line each."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


@spoken
def test_every_command_in_the_prose_is_one_of_the_program(page: Path) -> None:
    """`siteward plan --out FILE`, and `plan --out` alike: the verb is there and has these options."""
    for span in spans(page):
        words = shlex.split(re.sub(r"[\[\]…]", "", span)) if "'" not in span else span.split()
        is_verb = words and words[0] in VERBS and any(word.startswith("-") for word in words)
        if words and (words[0] == "siteward" or is_verb):
            for command in split_commands(shlex.join(words[words[0] == "siteward" :]).replace("'|'", "|")):
                if command[0] in VERBS or command[0].startswith("-"):
                    understand_shortened(command)


def understand_shortened(words: list[str]) -> None:
    """Read a command of the prose, whose last option may stand without its value."""
    understand([*words, "VALUE"] if needs_value(words) else words)


def needs_value(words: list[str]) -> bool:
    """Return whether the last word is an option that takes a value."""
    return words[-1].startswith("-") and words[-1] not in FLAGS


def options(command: click.Command, context: click.Context) -> Iterator[click.Option]:
    """Yield the options of a command, and of those below it."""
    yield from (param for param in command.params if isinstance(param, click.Option))
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below, click.Context(below, info_name=name, parent=context))


OPTIONS = list(options(main, click.Context(main, info_name="siteward")))
FLAGS = {name for option in OPTIONS if option.is_flag or option.count for name in option.opts} | {"--help", "-h"}
"""What stands without a value, of any command."""


@spoken
def test_every_option_in_the_prose_exists(page: Path) -> None:
    """An option that stands without its verb is one of some verb's."""
    known = {name for option in OPTIONS for name in (*option.opts, *option.secondary_opts)} | FLAGS | FOREIGN
    for span in spans(page):
        if span.startswith("--"):
            assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*+(?!…)", span)) <= known, span


FOREIGN = {"--filter", "--max-failures"}
"""Options of other programs that pages speak of: of `git clone`, and of a reader of JUnit files."""


def test_every_word_with_hyphens_in_the_prose_exists() -> None:
    """A rule id, a verb, a word of the file or of a recipe: what stands alone between backticks is there, letter for letter."""
    said = {span: page.name for page in SPOKEN for span in spans(page) if re.fullmatch(r"[a-z]+(-[a-z]+)+", span)}
    assert len(said) >= 70
    known = known_words()
    assert {span: name for span, name in said.items() if span not in known} == {}


def known_words() -> set[str]:
    """Return the words with hyphens that the program says, or that name something in the schemas and the recipes."""
    recipes = [path for path in (ROOT / "examples" / "ci").rglob("*") if path.is_file()]
    quoted = (text for path in (ROOT / "src").rglob("*.py") for text in re.findall(r'"([a-z-]+)"', text_of(path)))
    files = (word for path in (*(ROOT / "schemas").glob("*.json"), *recipes) for word in WORD.findall(text_of(path)))
    return {*RESERVED, *quoted, *files, *(path.stem for path in recipes)} | OTHERS


WORD = re.compile(r"[a-z]+(?:-[a-z]+)+")
OTHERS = {"age-keygen", "github-id", "ssh-keygen", "matomo-eu", "siteward-evidence", "staff-web-analytics"}
"""Other programs, and names that samples make up."""


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("```sh\nsiteward plan\n```", "names no sandbox"),
        ("```yaml\nversion: 1\n```", "names no sandbox"),
        ("<!-- not run: lazy -->\n\n```sh\nsiteward plan\n```", "no reason"),
        ("<!-- not run: a file of a forge -->\n\n```yaml\na: 1\n```", "can be run"),
        ("<!-- not run: takes a server -->\n\n```sh\nsiteward plan --owt plan.json\n```", "No such option"),
        ("<!-- not run: takes a server -->\n\n```sh\nsiteward plan --format yaml\n```", "is not one of"),
        ("<!-- not run: takes a server -->\n\n```sh\nsiteward aply\n```", "has no aply"),
        ("<!-- not run: takes a server -->\n\n```sh\nmake tests\n```", "make tests"),
        ("<!-- run by: tests/conftest.py -->\n\n```sh\nsiteward plan\n```", "does not speak of"),
        ("<!-- lines of: examples/ci/ci/apply.yml -->\n\n```yaml\na: 1\n```", "No such file"),
        ("<!-- lines of: examples/ci/.gitlab-ci.yml -->\n\n```yaml\nno-such-key: 1\n```", "no-such-key"),
        ("```yaml title=x\nversion: 1\n```", "```yaml title=x"),
    ],
)
def test_a_block_of_no_class_and_a_wrong_command_are_found(block: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, OSError), match=said):
        check_page(f"# Page\n\n{block}\n", tmp_path / "page.md")
