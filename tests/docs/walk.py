"""Walks through a page as a reader would: files are written, commands called, exit codes and outputs compared.

A page that names a sandbox in its first comment (`<!-- sandbox: umami -->`, `<!-- sandbox: stats=umami, web=plausible:ce-3 -->`)
is walked through from top to bottom, in an empty folder with the credentials of that sandbox at hand. What it may hold:

- A block `yaml` or `csv` whose first line is `# name.yaml` is written to that file. With `# name.yaml, added` it is merged
  into the file that is there: keys into mappings, items to the end of lists, and a value in place of another.
- Each line of a block `sh` is a command. Behind it, in a comment: `leaves with 2` is its exit code, 0 without; `on
  2027-04-01` is the day on which it and those that follow are called. A line that ends in `\\` or within quotes goes on.
- `export NAME=…` stands for a credential of the sandbox, which has to be one; any other value is taken as it is.
- A block `text` right below commands is what the last of them prints: `…` on a line of its own stands for any lines, and
  within a line for any text.
- What readers need not see stands in a comment whose first line is the kind of block (`<!-- sh`), and is done in its turn.
- A block right below `<!-- not run: REASON -->` is passed over, and one below `<!-- run by: tests/….py -->` left to that test;
  one below `<!-- lines of: FILE, NEW for OLD, … -->` has lines of that file, but for these words (`test_blocks.py`).

A page begins on 1 December 2026, and the clock of the sandbox goes along. No other kind of block may stand on it.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cli.conftest import base_environment, forks, start
from siteward.platforms.fakery import CannotStandInError, Fake, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_SANDBOX = re.compile(r"^<!-- sandbox: (?P<names>[a-z0-9=:, -]+) -->$", re.MULTILINE)
_BLOCK = re.compile(
    r"^<!-- (?P<hidden>sh|yaml|csv)\n(?P<inside>.*?)^-->$"
    r"|(?:^<!-- (?P<mark>not run|run by|lines of): (?P<why>.+?) -->\n+)?^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"\s+#(?P<text>[^'\"]*)$")
_CODE = re.compile(r"\bleaves with (?P<code>\d+)\b")
_DAY = re.compile(r"\bon (?P<day>\d{4}-\d\d-\d\d)\b")
FILE = re.compile(r"^# (?P<name>[\w./-]+\.(?:ya?ml|csv))(?P<added>, added)?(?:: .*)?\n")
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if _SANDBOX.search(page.read_text(encoding="utf-8"))
]
QUIET = frozenset({"export", "git", "sed", "sh"})
"""What a sample may call beside siteward."""

ADDRESSES = {"piwik-pro": "https://acme.piwik.pro", "plausible": "https://plausible.io"}
"""The address that pages print for an instance, where it is not `https://NAME.example.org`."""

BEGIN = datetime(2026, 12, 1, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Block:
    """A block of a page; `mark` and `why` are of the comment right above it that says why it is not walked."""

    kind: str
    text: str
    is_hidden: bool = False
    mark: str = ""
    why: str = ""


@dataclass
class Walk:
    """A page on its way: its folder, its environment, and the time that it has come to."""

    folder: Path
    env: dict[str, str]
    addresses: dict[str, str] = field(default_factory=dict)
    """The address of each sandbox by the one that the page prints."""

    begin: datetime = BEGIN
    since: float = field(default_factory=monotonic)
    printed: str | None = None
    """What the last command printed, until the next block."""

    without_address: set[str] = field(default_factory=set)
    """The variables that would say which server the credentials on the page are for, and were not set yet."""

    def now(self) -> datetime:
        """Return the moment: the day of the page, and what has passed since."""
        return self.begin + timedelta(seconds=monotonic() - self.since)

    def go_to(self, day: str) -> None:
        self.begin = datetime.fromisoformat(f"{day}T09:00:00+00:00")
        self.since = monotonic()


def walk_through(text: str, folder: Path) -> None:
    """Do all that a page says, in a folder."""
    walk = Walk(folder, _make_environment())
    with ExitStack() as stack:
        for name, platform in _list_sandboxes(text):
            fake = _start(platform, walk)
            shown = ADDRESSES.get(platform, f"https://{name}.example.org")
            walk.addresses[shown] = stack.enter_context(serve(fake)).url
            prefix = f"SITEWARD_{name}_".upper().replace("-", "_")
            walk.env |= {f"{prefix}{key.upper()}": value for key, value in fake.credentials.items()}
        for block in list_blocks(text):
            if not block.mark:
                do_block(walk, block)


def _start(platform: str, walk: Walk) -> Fake:
    """Return the sandbox of a platform, or of a release of it (`plausible:ce-3`); skip where what it needs is not there."""
    name, _, release = platform.partition(":")
    try:
        return start(name, release=release or None, clock=walk.now)
    except CannotStandInError as missing:
        pytest.skip(str(missing))


def _make_environment() -> dict[str, str]:
    """Return an environment in which git knows who commits."""
    names = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _COMMITTER.items()}
    return base_environment() | names | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


_COMMITTER = {"NAME": "Anna Berg", "EMAIL": "anna@example.org"}


def _list_sandboxes(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each instance that a page speaks of, and its platform: `stats=umami`, or `umami` for `stats`."""
    found = _SANDBOX.search(text)
    for entry in found["names"].split(",") if found else ():
        name, _, platform = entry.strip().rpartition("=")
        yield name or "stats", platform


def list_blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a page in order, those that readers do not see among them."""
    fences = re.findall(r"^ *(?:```|~~~).*$", text, re.MULTILINE)
    assert len(fences) == 2 * sum(found["kind"] is not None for found in _BLOCK.finditer(text)), fences
    for found in _BLOCK.finditer(text):
        if found["hidden"]:
            yield Block(found["hidden"], found["inside"], is_hidden=True)
            continue
        assert not found["indent"], f"an indented block:\n{found['text']}"
        yield Block(found["kind"], found["text"], mark=found["mark"] or "", why=found["why"] or "")


def list_commands(text: str) -> Iterator[str]:
    """Yield the commands of a block `sh`, each as one line with its comment."""
    command = ""
    for line in text.replace("\\\n", " ").splitlines():
        if not command and line.startswith("#"):
            continue
        command = f"{command}\n{line}" if command else line
        if _is_whole(command):
            if command.strip():
                yield command
            command = ""
    assert not command, f"a quote has no end:\n{command}"


def _is_whole(command: str) -> bool:
    """Return whether all quotes of a command have an end."""
    try:
        shlex.split(split_comment(command)[0])
    except ValueError:
        return False
    return True


def split_comment(line: str) -> tuple[str, str]:
    """Return a command, and the comment behind it."""
    found = _COMMENT.search(line)
    return (line[: found.start()].strip(), found["text"]) if found else (line.strip(), "")


def do_block(walk: Walk, block: Block) -> None:
    """Write the file that a block holds, call its commands, or compare what was printed."""
    kind, text = block.kind, block.text
    assert kind in {"yaml", "csv", "sh", "text"}, f"a block of {kind or 'no kind'}:\n{text}"
    if kind == "text":
        assert walk.printed is not None, f"no command stands above\n{text}"
        assert text.strip(" …\n"), "an output of which nothing is said"
        assert is_like(text, walk.printed), f"printed:\n{walk.printed}\nthe page says:\n{text}"
    walk.printed = None
    if kind in {"yaml", "csv"}:
        _write_file(walk, _with_addresses(text, walk.addresses), is_csv=kind == "csv")
    elif kind == "sh":
        for line in list_commands(_with_addresses(text, walk.addresses)):
            walk.printed = _call(walk, line, is_hidden=block.is_hidden)


def is_like(said: str, printed: str) -> bool:
    """Compare an output with what a page says of it, in which `…` stands for what may vary."""
    lines = [
        r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(map(re.escape, line.rstrip().split("…"))) + r"[ ]*\n"
        for line in said.rstrip().splitlines()
    ]
    return re.fullmatch("".join(lines), printed.strip("\n") + "\n") is not None


def _with_addresses(text: str, addresses: dict[str, str]) -> str:
    """Return a text with addresses in place of others."""
    for old, new in addresses.items():
        text = text.replace(old, new)
    return text


def _write_file(walk: Walk, block: str, *, is_csv: bool) -> None:
    """Write the file that a block names in its first line, or add the block to it."""
    named = FILE.match(block)
    assert named is not None, f"a block names no file in its first line:\n{block}"
    path = walk.folder / named["name"]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = block[named.end() :] if is_csv else block
    if named["added"]:
        text = _dump(_merge(load_yaml(path.read_text(encoding="utf-8")), load_yaml(block)))
    path.write_text(text, encoding="utf-8")


class _Loader(yaml.SafeLoader):
    """Reads YAML as Siteward does: days stay texts, and `on` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if not entry[0].endswith((":timestamp", ":bool"))]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def load_yaml(text: str) -> Any:
    """Return what a block of YAML holds, read as Siteward reads it."""
    return yaml.load(text, Loader=_Loader)  # it makes no more than the safe loader


def _dump(file: dict[str, Any]) -> str:
    """Return a file as the pages write theirs: a line for each user, site, group and grant."""
    lines = []
    for key, value in file.items():
        rows = (
            value.items()
            if isinstance(value, dict)
            else [(None, row) for row in value]
            if isinstance(value, list)
            else ()
        )
        lines.append(f"{key}:" if rows else f"{key}: {_write_flow(value)}")
        lines += [f"  {'-' if name is None else f'{name}:'} {_write_flow(row)}" for name, row in rows]
    return "\n".join(lines) + "\n"


def _write_flow(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()


def _merge(old: Any, new: Any) -> Any:
    """Return what a file has after something was added to it."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merge(old[key], value) if key in old else value for key, value in new.items()}
    return old + new if isinstance(old, list) and isinstance(new, list) else new


def _call(walk: Walk, line: str, *, is_hidden: bool) -> str:
    """Call one command, compare its exit code, and return what it printed; `export` counts for those that follow."""
    command, comment = split_comment(line)
    word, *rest = shlex.split(command)
    assert word == "siteward" or word in QUIET or is_hidden, f"a sample calls {word}"
    if day := _DAY.search(comment):
        walk.go_to(day["day"])
    if word == "export":
        _export(walk, rest)
        return ""
    assert word != "siteward" or not walk.without_address, f"nothing says {walk.without_address}"
    shell = forks().shell(walk.env, walk.now().isoformat())
    program = f'siteward() {{ {shlex.join(shell.words)} "$@"; }}'
    dates = {f"GIT_{role}_DATE": walk.now().isoformat() for role in ("AUTHOR", "COMMITTER")}
    done = subprocess.run(
        ["bash", "-c", f"{program}\n{command}"],
        cwd=walk.folder,
        env={**shell.env, **dates},
        pass_fds=shell.handles,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    code = _CODE.search(comment)
    expected = int(code["code"]) if code else 0
    assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return _with_addresses(done.stdout, {url: shown for shown, url in walk.addresses.items()})


def _export(walk: Walk, assignments: list[str]) -> None:
    """Set variables; what a page does not print is a credential that the sandbox has given, `$(…)` what a command prints.

    A sandbox is on this machine, where credentials need no address; a reader's server is not, so a page has to give it.
    """
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if value == "…":
            assert name in walk.env, f"{name} is no credential of a sandbox"
            walk.without_address |= {re.sub(r"^(SITEWARD_[A-Z]+)_.*", r"\1_URL", name)} - walk.env.keys()
        elif value.startswith("$("):
            walk.env[name] = subprocess.check_output(["bash", "-c", value[2:-1]], cwd=walk.folder, text=True).strip()
        else:
            walk.env[name] = value
            walk.without_address.discard(name)


def read_shortened(text: str) -> Any:
    """Return a document of JSON that a page shows with `…` in place of members, items and values, which are left out."""
    text = re.sub(r"(?<=[\[{])…,?|,…(?=[,\]}])", "", text)
    return json.loads(re.sub(r":…", ":null", text))


def is_part_of(shown: Any, whole: Any) -> bool:
    """Return whether a document has what a page shows of it: these members, in this order, and values of these kinds."""
    if isinstance(shown, dict):
        order = [name for name in whole if name in shown] if isinstance(whole, dict) else None
        return order == list(shown) and all(is_part_of(value, whole[name]) for name, value in shown.items())
    if isinstance(shown, list):
        return isinstance(whole, list) and all(any(is_part_of(item, other) for other in whole) for item in shown)
    return shown is None or type(shown) is type(whole)
