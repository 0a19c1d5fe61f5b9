"""Every sample of the pages for newcomers runs: files are written, commands called, exit codes and outputs compared.

A page that names a sandbox in its first comment (`<!-- sandbox: umami -->`, `<!-- sandbox: stats=umami, web=plausible:ce-3 -->`)
is walked through from top to bottom, in an empty folder with the credentials of that sandbox at hand. What it may hold:

- A block `yaml` or `csv` whose first line is `# name.yaml` is written to that file. With `# name.yaml, added` it is merged
  into the file that is there: keys into mappings, items to the end of lists, and a value in place of another.
- Each line of a block `sh` is a command. Behind it, in a comment: `leaves with 2` is its exit code, 0 without; `on
  2027-04-01` is the day on which it and those that follow are called. A line that ends in `\\` goes on.
- `export NAME=…` stands for a credential of the sandbox, which has to be one; any other value is taken as it is.
- A block `text` right below commands is what the last of them prints: `…` on a line of its own stands for any lines, and
  within a line for any text.

A page begins on 1 December 2026, and the clock of the sandbox goes along. No other kind of block may stand on it.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cli.conftest import base_environment, start
from siteward.platforms.fakery import CannotStandInError, Fake, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_SANDBOX = re.compile(r"^<!-- sandbox: (?P<names>[a-z0-9=:, -]+) -->$", re.MULTILINE)
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<kind>[a-z]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"\s+#(?P<text>[^'\"]*)$")
_CODE = re.compile(r"\bleaves with (?P<code>\d+)\b")
_DAY = re.compile(r"\bon (?P<day>\d{4}-\d\d-\d\d)\b")
_FILE = re.compile(r"^# (?P<name>[\w./-]+\.(?:ya?ml|csv))(?P<added>, added)?(?:: .*)?\n")
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if _SANDBOX.search(page.read_text(encoding="utf-8"))]
QUIET = frozenset({"export", "git", "sed"})
"""What a sample may call beside siteward."""

ADDRESSES = {"piwik-pro": "https://acme.piwik.pro", "plausible": "https://plausible.io"}
"""The address that pages print for an instance, where it is not `https://NAME.example.org`."""

BEGIN = datetime(2026, 12, 1, 9, tzinfo=UTC)


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

    def now(self) -> datetime:
        """Return the moment: the day of the page, and what has passed since."""
        return self.begin + timedelta(seconds=monotonic() - self.since)

    def go_to(self, day: str) -> None:
        self.begin = datetime.fromisoformat(f"{day}T09:00:00+00:00")
        self.since = monotonic()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    walk_through(text, tmp_path)


def walk_through(text: str, folder: Path) -> None:
    """Do all that a page says, in a folder."""
    walk = Walk(folder, _make_environment())
    with ExitStack() as stack:
        for name, platform in _list_sandboxes(text):
            fake = _start(platform, walk)
            shown = ADDRESSES.get(platform.partition(":")[0], f"https://{name}.example.org")
            walk.addresses[shown] = stack.enter_context(serve(fake)).url
            prefix = f"SITEWARD_{name}_".upper().replace("-", "_")
            walk.env |= {f"{prefix}{key.upper()}": value for key, value in fake.credentials.items()}
        for kind, block in _list_blocks(text):
            _do_block(walk, kind, block)


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


def _list_blocks(text: str) -> Iterator[tuple[str, str]]:
    for found in _BLOCK.finditer(text):
        assert not found["indent"], f"an indented block:\n{found['text']}"
        yield found["kind"], found["text"]


def _do_block(walk: Walk, kind: str, block: str) -> None:
    """Write the file that a block holds, call its commands, or compare what was printed."""
    assert kind in {"yaml", "csv", "sh", "text"}, f"a block of {kind or 'no kind'}:\n{block}"
    if kind == "text":
        assert walk.printed is not None, f"no command stands above\n{block}"
        assert block.strip(" …\n"), "an output of which nothing is said"
        assert _is_like(block, walk.printed), f"printed:\n{walk.printed}\nthe page says:\n{block}"
    walk.printed = None
    if kind in {"yaml", "csv"}:
        _write_file(walk, _with_addresses(block, walk.addresses), is_csv=kind == "csv")
    elif kind == "sh":
        for line in _with_addresses(block, walk.addresses).replace("\\\n", " ").splitlines():
            if line.strip() and not line.startswith("#"):
                walk.printed = _call(walk, line)


def _is_like(said: str, printed: str) -> bool:
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
    named = _FILE.match(block)
    assert named is not None, f"a block names no file in its first line:\n{block}"
    path = walk.folder / named["name"]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = block[named.end() :] if is_csv else block
    if named["added"]:
        text = _dump(_merge(_load(path.read_text(encoding="utf-8")), _load(block)))
    path.write_text(text, encoding="utf-8")


class _Loader(yaml.SafeLoader):
    """Reads YAML as Siteward does: days stay texts, and `on` is a word."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if not entry[0].endswith((":timestamp", ":bool"))]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


def _load(text: str) -> Any:
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


def _call(walk: Walk, line: str) -> str:
    """Call one command, compare its exit code, and return what it printed; `export` counts for those that follow."""
    comment = found["text"] if (found := _COMMENT.search(line)) else ""
    command = _COMMENT.sub("", line).strip()
    word, *rest = shlex.split(command)
    assert word == "siteward" or word in QUIET, f"a sample calls {word}"
    if day := _DAY.search(comment):
        walk.go_to(day["day"])
    if word == "export":
        _export(walk, rest)
        return ""
    program = f'siteward() {{ {shlex.quote(sys.executable)} -m cli.clocked {walk.now().isoformat()} "$@"; }}'
    dates = {f"GIT_{role}_DATE": walk.now().isoformat() for role in ("AUTHOR", "COMMITTER")}
    done = subprocess.run(
        ["bash", "-c", f"{program}\n{command}"],
        cwd=walk.folder,
        env=walk.env | dates,
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
    """Set variables; what a page does not print is a credential that the sandbox has given."""
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if value == "…":
            assert name in walk.env, f"{name} is no credential of a sandbox"
        else:
            walk.env[name] = value


def test_there_are_pages_whose_samples_run() -> None:
    """The walk itself would pass over pages that name no sandbox."""
    walked = {page.relative_to(ROOT / "docs") for page in PAGES}
    wanted = {
        page.relative_to(ROOT / "docs") for room in ("start", "how-to") for page in (ROOT / "docs" / room).glob("*.md")
    }
    assert walked >= wanted
    assert {page.name for page in wanted} >= {"umami.md", "matomo.md", "piwik-pro.md", "plausible.md"}


FILE = "# access.yaml\nversion: 1\ninstances: {stats: {platform: umami, url: https://stats.example.org, layout: per-site}}\n"


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("```sh\nsiteward validate   # leaves with 2\n```", "siteward validate"),
        ("```sh\nsiteward schema\n```\n\n```text\nnothing\n```", "the page says"),
        ("```sh\ncurl https://stats.example.org\n```", "a sample calls curl"),
        ("```sh\nexport SITEWARD_STATS_TOKEN=…\n```", "no credential"),
        ("```yaml\nversion: 1\n```", "names no file"),
        ("```console\n$ siteward plan\n```", "a block of console"),
        ("```\nsiteward plan\n```", "a block of no kind"),
        ("```text\nPlan: nothing to do.\n```", "no command stands above"),
        ("```sh\nsiteward schema\n```\n\n```text\n…\n```", "nothing is said"),
        ("- step\n\n  ```sh\n  siteward plan\n  ```", "an indented block"),
    ],
)
def test_a_page_that_says_what_is_not_so_is_found(sample: str, said: str, tmp_path: Path) -> None:
    """The walk is strict: a wrong exit code, output, command, credential or kind of block fails."""
    text = f"# Page\n\n<!-- sandbox: umami -->\n\n```yaml\n{FILE}```\n\n{sample}\n"
    with pytest.raises(AssertionError, match=said):
        walk_through(text, tmp_path)


def test_an_output_may_vary_only_where_the_page_says_so() -> None:
    printed = "stats  umami 3.2\n  read 4 accounts\n\nPlan: nothing to do.\n"
    assert _is_like("stats  umami …\n…\nPlan: nothing to do.\n", printed)
    assert _is_like("…\nPlan: nothing to do.\n", printed)
    assert not _is_like("Plan: nothing to do.\n", printed)
    assert not _is_like("…\n  read 4 accounts\n", printed)
    assert not _is_like("stats  umami …\n…\nPlan: 1 to add.\n", printed)


def test_what_is_added_to_a_file_stands_beside_what_was_there(tmp_path: Path) -> None:
    walk = Walk(tmp_path, {})
    _do_block(walk, "yaml", "# a.yaml\nusers: {anna: {email: a@example.org}}\ngrants: [{to: anna}]\n")
    _do_block(walk, "yaml", "# a.yaml, added\nusers: {anna: {until: 2027-06-30}, ben: {}}\ngrants: [{to: ben}]\n")
    assert _load((tmp_path / "a.yaml").read_text(encoding="utf-8")) == {
        "users": {"anna": {"email": "a@example.org", "until": "2027-06-30"}, "ben": {}},
        "grants": [{"to": "anna"}, {"to": "ben"}],
    }
