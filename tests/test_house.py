"""The house rules that a reader relies on: who may import whom, and what no module may do."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "siteward"
FLOORS = {
    "access": set(),
    "transport": {"access"},  # for `hosts` alone: what is judged in the file and what is connected to is read by one
    "declaration": {"access"},
    "directory": {"access", "declaration", "transport"},
    "render": {"access"},
    "platforms": {"access", "transport"},
    "reconcile": {"access", "declaration", "platforms", "transport"},
    "cli": {"access", "declaration", "directory", "platforms", "reconcile", "render", "transport"},
}
THIRD_PARTY = {
    "access": {"msgspec", "idna", "confusable_homoglyphs"},
    "transport": {"msgspec", "httpx", "httpcore", "psycopg", "keyring", "ldap3"},
    "declaration": {"msgspec", "yaml", "ruamel", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"},
    "directory": {"msgspec"},
    "render": {"msgspec", "jinja2", "markupsafe"},
    "platforms": {"msgspec", "httpx", "pydantic", "werkzeug", "waitress", "_typeshed", "psycopg"},
    "reconcile": {"msgspec", "httpx", "filelock", "pyrage", "deepdiff", "openpyxl", "defusedxml"},
    "cli": {"click", "msgspec", "rich", "pydantic", "httpx", "yaml", "keyring"},
}
MODULES = sorted(SRC.rglob("*.py"))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield base
            yield from (f"{base}.{name.name}" for name in node.names)


def _room(path: Path) -> str:
    parts = path.relative_to(SRC).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_no_arrow_climbs(path: Path) -> None:
    """A room imports only from the rooms below it, and only the libraries that are its own."""
    room = _room(path)
    if not room:
        return
    for name in _imports(path):
        top, _, rest = name.partition(".")
        if top == "siteward":
            other = rest.partition(".")[0]
            assert other in {room, "", "__version__"} | FLOORS[room], f"{path}: {name}"
        elif top not in _stdlib():
            assert top in THIRD_PARTY[room], f"{path}: {name}"


def test_the_transport_knows_hosts_and_nothing_else_of_access() -> None:
    """It carries requests: whoever gets access to what is no business of its own."""
    for path in (path for path in MODULES if _room(path) == "transport"):
        used = {name for name in _imports(path) if name.startswith("siteward.access")}
        assert all(name.startswith("siteward.access.hosts") for name in used), f"{path}: {used}"


@pytest.mark.parametrize("path", [path for path in MODULES if _room(path) == "platforms"], ids=str)
def test_platforms_do_not_know_each_other(path: Path) -> None:
    """A platform's folder never reaches into another platform's folder."""
    parts = path.relative_to(SRC / "platforms").parts
    folders = {path.parent.name for path in (SRC / "platforms").glob("*/__init__.py")}
    own = parts[0] if len(parts) > 1 else None
    for name in _imports(path):
        rest = name.removeprefix("siteward.platforms.")
        if rest != name and own:
            assert rest.partition(".")[0] not in folders - {own}, f"{path}: {name}"


def test_inside_access_there_is_an_order() -> None:
    """The core can be read from the ground up: no module of it reaches itself, by whatever import, types included."""
    folder = SRC / "access"
    graph = {
        path.stem: {
            name.removeprefix("siteward.access.").partition(".")[0]
            for name in _imports(path)
            if name.startswith("siteward.access.")
        }
        for path in folder.glob("*.py")
    }
    graph = {module: used & graph.keys() for module, used in graph.items()}
    try:
        order = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as problem:
        pytest.fail(" → ".join(problem.args[1]))
    assert len(order) >= 10


def test_there_is_no_circle_of_modules() -> None:
    """No module reaches itself through imports, counted at the top of modules."""
    graph = {_dotted(path): set(_top_imports(path)) for path in MODULES}
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name in done:
            return
        for used in graph[name] & set(graph):
            walk(used, (*trail, name))
        done.add(name)

    for name in graph:
        walk(name, ())


FORBIDDEN = {
    r"except( Exception| BaseException)?:": "a blanket except hides what went wrong",
    r"\bdatetime\.now\(|\btime\.time\(": "the clock is an argument",
    r"\bprint\(": "text goes through a renderer",
    r"\bsys\.exit\(": "only the edge leaves",
    r"# type: ignore$": "an ignore names its rule",
    r"TODO|FIXME|XXX": "what is not done is an issue",
}
ALLOWED = {
    "cli/app.py": {r"\bsys\.exit\("},
    "platforms/fakery.py": {r"\bdatetime\.now\(|\btime\.time\("},
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_habits_that_rot_a_house_are_not_here(path: Path) -> None:
    """No blanket except, no clock, no print, no exit outside the places that are for them."""
    relative = str(path.relative_to(SRC))
    text = path.read_text(encoding="utf-8")
    for pattern, why in FORBIDDEN.items():
        if pattern in ALLOWED.get(relative, set()) or (relative.startswith("cli/") and "datetime" in pattern):
            continue
        assert not re.search(pattern, text, re.MULTILINE), f"{relative}: {pattern}: {why}"


GIT = "reconcile/revisions/git.py"
STARTERS = {GIT, "cli/demo.py", "platforms/plausible/fake/cluster.py", "reconcile/signing.py", "transport/secrets.py"}
WORKBOOKS = "reconcile/workbook.py"


def test_workbooks_are_read_and_written_in_one_place() -> None:
    """What bounds an enemy's workbook lies on every way in, and nobody needs the extra for anything else."""
    used = {str(path.relative_to(SRC)) for path in MODULES if {"openpyxl", "defusedxml"} & set(_imports(path))}
    assert used == {WORKBOOKS}


OTHER_WAYS = r"\bos\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*)\(|\bcreate_subprocess_|\bpty\."


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SRC)))
def test_programs_are_started_in_few_places_and_git_in_one(path: Path) -> None:
    """A reader who asks what is started, and in which environment, has five modules to read, and for git one."""
    relative, text = str(path.relative_to(SRC)), path.read_text(encoding="utf-8")
    if relative not in STARTERS:
        assert not {"subprocess", "multiprocessing", "pty"} & {name.partition(".")[0] for name in _imports(path)}
    assert not re.search(OTHER_WAYS, text), relative
    if relative != GIT:
        words = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
        assert not {"git", b"git", "git.exe"} & words, f"{relative} names git as a program"


def test_the_list_of_those_that_start_programs_is_true() -> None:
    """What no longer starts anything leaves the list."""
    assert {module for module in STARTERS if "subprocess" in set(_imports(SRC / module))} == STARTERS


NETWORK = {
    "asyncio", "ftplib", "ldap3", "http.client", "http.server", "httpcore", "httpx", "imaplib", "poplib", "psycopg", "smtplib", "socket", "socketserver",
    "ssl", "telnetlib", "urllib.request", "xmlrpc",
}  # fmt: skip
"""What connections are opened with."""
ON_THIS_MACHINE = {
    "cli/demo.py": "changes something in the sandbox that it has started",
    "platforms/fakery.py": "serves sandboxes, and answers in the process itself",
}
"""Modules that use the network and reach nothing but a sandbox; those below a platform's `fake` are of that kind too."""
CLIENTS = r"\bhttpx\.(Async)?(Client|HTTPTransport|get|post|put|patch|delete|head|options|request|stream)\("


@pytest.mark.parametrize("path", [path for path in MODULES if "fake" not in path.parts], ids=str)
def test_connections_are_opened_by_the_transport(path: Path) -> None:
    """What binds credentials to an origin, bounds answers and lets a reader only read lies on every way out."""
    relative, text = str(path.relative_to(SRC)), path.read_text(encoding="utf-8")
    if _room(path) == "transport" or relative in ON_THIS_MACHINE:
        return
    used = {part for name in _imports(path) for part in (name, name.partition(".")[0])}
    assert not NETWORK & used, relative
    assert not re.search(CLIENTS, text), f"{relative} makes a client of its own"


def test_the_transport_opens_connections_in_few_places() -> None:
    """HTTP at one, rows of a database at another."""
    texts = {str(path.relative_to(SRC)): path.read_text(encoding="utf-8") for path in MODULES}
    makers = {name for name, text in texts.items() if re.search(CLIENTS, text)}
    assert makers - set(ON_THIS_MACHINE) == {"transport/http.py", "transport/network.py"}
    assert [path for path in ON_THIS_MACHINE if path not in texts] == []
    rows = {name for name, text in texts.items() if "psycopg.connect(" in text and "/fake/" not in name}
    assert rows == {"transport/sql.py"}


LONGEST_FILE, LONGEST_FUNCTION, SHORTEST_FILE = 500, 50, 40
"""Lines: what fits one reading, what fits one screen, and what carries a file of its own."""

LONG = {
    "declaration/_grammar.py": "written by declaration/schema.py, read by nobody",
}
"""Files that are longer, each with its reason."""

LONG_FUNCTIONS: dict[str, str] = {}
"""Functions that are longer, each with its reason."""

_START = "without HTTP: `validate` starts with it, and with nothing else of the platform"
_VERB = "one verb of the program, whose work is done elsewhere"
_TEMPLATE = "what somebody who adds a platform copies, named as every platform's files are"
SHORT = {
    "access/patterns.py": "the one way in which a pattern is read, for all of access",
    "cli/completion.py": _VERB,
    "cli/drift.py": _VERB,
    "cli/ends.py": _VERB,
    "cli/forge_links.py": "what a forge tells a job, read in one place",
    "cli/matrix.py": _VERB,
    "cli/show.py": _VERB,
    "cli/validate.py": _VERB,
    "cli/startup.py": "runs before anything large is imported",
    "platforms/_template/roles.py": _TEMPLATE,
    "platforms/_template/settings.py": _TEMPLATE,
    "platforms/matomo/fake/release.py": "what tells releases apart, for all of the stand-in",
    "platforms/matomo/settings.py": _START,
    "platforms/piwikpro/leaving.py": "what stays there, as on the other platforms",
    "platforms/piwikpro/settings.py": _START,
    "platforms/plausible/key.py": _START,
    "platforms/umami/settings.py": _START,
    "render/schema.py": "the schemas, which no other output needs",
    "transport/_httpx.py": "imports httpx without what it brings along",
    "transport/redacted.py": "what all structs with secrets are, without imports",
}
"""Files that are shorter, each with its reason; `__init__.py` and `__main__.py` are short by nature."""


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_too_long() -> None:
    """What does not fit one reading is two things."""
    long = {str(path.relative_to(SRC)): _lines(path) for path in MODULES if _lines(path) > LONGEST_FILE}
    assert {path: lines for path, lines in long.items() if path not in LONG} == {}


def test_no_file_is_too_short() -> None:
    """A file has a reason to be one: an idea, or an import that others must not have."""
    lengths = {str(path.relative_to(SRC)): _lines(path) for path in MODULES if not path.name.startswith("__")}
    assert {path: lines for path, lines in lengths.items() if lines < SHORTEST_FILE and path not in SHORT} == {}


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_function_is_too_long() -> None:
    """One screen, docstring included; the tests and the benchmarks keep to it, too."""
    tests, benchmarks = Path(__file__).parent, Path(__file__).parents[1] / "benchmarks"
    ours = [(path, str(path.relative_to(SRC))) for path in MODULES]
    others = [
        (path, str(path.relative_to(tests.parent))) for folder in (tests, benchmarks) for path in folder.rglob("*.py")
    ]
    long = {
        f"{name}:{function}": lines
        for path, name in (*ours, *others)
        for function, lines in _functions(path)
        if lines > LONGEST_FUNCTION
    }
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


def test_the_lists_of_measures_are_true() -> None:
    """What is no more, or far from the measure by now, leaves its list."""
    assert [path for path in (*LONG, *SHORT) if not (SRC / path).is_file()] == []
    assert [path for path in SHORT if _lines(SRC / path) > 2 * SHORTEST_FILE] == []
    assert [name for name in LONG_FUNCTIONS if not (SRC / name.partition(":")[0]).is_file()] == []


def _top_imports(path: Path) -> Iterator[str]:
    known = {_dotted(path) for path in MODULES}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def _dotted(path: Path) -> str:
    name = ".".join(path.relative_to(SRC.parent).with_suffix("").parts)
    return name.removesuffix(".__init__")


def _stdlib() -> frozenset[str]:
    import sys

    return sys.stdlib_module_names | {"__future__"}
