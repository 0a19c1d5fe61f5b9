"""`docs/rules.md` names every rule id that the program can say, once, and none that it cannot."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, get_args

from siteward.access.catalog import FILE_RULES, PAGE, RESERVED, RULES
from siteward.access.diagnostic import FORMERLY, error
from siteward.access.policy import LIMIT_NAMES
from siteward.access.report import DriftKind, Report
from siteward.render import findings, render

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "siteward"
WRITTEN = ROOT / "docs" / "rules.md"
FORMS = {"limit-": LIMIT_NAMES, "apply-": tuple(findings._OUTCOMES), "drift-": get_args(DriftKind)}


class Taker(NamedTuple):
    """A function or class that is given a rule id: at which place, counted without `self`."""

    name: str
    place: int


@cache
def trees() -> dict[Path, ast.Module]:
    files = (path for path in SOURCES.rglob("*.py") if "fake" not in path.parts)
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(files)}


def takers(tree: ast.Module) -> Iterator[Taker]:
    """Yield what takes an argument called `code` that is text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [
                posonlyarg.arg
                for posonlyarg in (*node.args.posonlyargs, *node.args.args)
                if posonlyarg.arg not in {"self", "cls"}
            ]
            texts = {
                arg.arg for arg in node.args.args if isinstance(arg.annotation, ast.Name) and arg.annotation.id == "str"
            }
            if "code" in names and "code" in texts:
                yield Taker(node.name, names.index("code"))
        if isinstance(node, ast.ClassDef):
            fields = [
                statement.target.id
                for statement in node.body
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            ]
            if "code" in fields:
                yield Taker(node.name, fields.index("code"))


@cache
def constants() -> dict[str, str]:
    """Return the texts that modules of this program give a name to."""
    found: dict[str, str] = {}
    for tree in trees().values():
        for statement in tree.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                    found[name] = text
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                    found[name] = text
                case _:
                    pass
    return found


def texts(node: ast.expr | None) -> Iterator[str]:
    """Yield the texts that an expression may be, as far as they stand in it or have a name of their own."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.Name(id=name) if name in constants():
            yield constants()[name]
        case ast.IfExp(body=body, orelse=other):
            yield from (*texts(body), *texts(other))
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            yield from (f"{start}{form}" for form in FORMS.get(start, ()))
        case _:
            pass


def said() -> dict[str, set[str]]:
    """Return every rule id in the sources, with the files that say it."""
    everywhere = {taker for tree in trees().values() for taker in takers(tree) if not taker.name.startswith("_")}
    found: dict[str, set[str]] = {}
    for path, tree in trees().items():
        known = {function.name: function.place for function in (*everywhere, *takers(tree))}
        where = path.relative_to(SOURCES).as_posix()
        for code in _in(tree, known):
            found.setdefault(code, set()).add(where)
    return found


def _in(tree: ast.Module, known: dict[str, int]) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
                if name in known:
                    if known[name] < len(args):
                        yield from texts(args[known[name]])
                    yield from (text for keyword in keywords if keyword.arg == "code" for text in texts(keyword.value))
            case ast.ClassDef(body=body):
                for statement in body:
                    if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [
                        "code"
                    ]:
                        yield from texts(statement.value)
                    if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "code":
                        yield from (text for text in texts(statement.value) if text)
            case _:
                pass


# Here ids stand in tables and tuples and are put together later; whatever looks like one is one, but for these.
TABLES = (
    "reconcile/apply/passwords.py", "reconcile/revisions/policy_changes.py", "platforms/matomo/read.py", "platforms/piwikpro/read.py",
    "platforms/piwikpro/review.py", "render/findings.py",
)  # fmt: skip
NO_RULES = {"utf-8", "user-group", "meta-site", "no-access", "e-mail"}


def tabled() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in TABLES:
        for node in ast.walk(trees()[SOURCES / name]):
            if isinstance(node, ast.Constant) and re.fullmatch(r"[a-z]+(-[a-z]+)+", str(node.value)):
                found.setdefault(str(node.value), set()).add(name)
            if isinstance(node, ast.JoinedStr):
                for code in texts(node):
                    found.setdefault(code, set()).add(name)
    return {code: files for code, files in found.items() if code not in NO_RULES}


def test_the_catalogue_has_what_the_program_says_and_nothing_else() -> None:
    """Whoever adds a rule adds its sentence; whoever takes one away takes the sentence, too."""
    code = {code: where for code, where in (said() | tabled()).items() if "." not in code}
    assert sorted(code.keys() - RULES.keys()) == [], "missing in the catalogue"
    assert sorted(RULES.keys() - code.keys() - FILE_RULES.keys()) == [], "no longer said by the program"


def test_the_page_is_the_catalogue() -> None:
    """`make docs-rules` writes it, and an id stands on it once."""
    assert WRITTEN.read_text(encoding="utf-8") == PAGE
    assert PAGE.count("\n- ") == len(RULES)


def test_sarif_shows_each_sentence_and_the_next_step() -> None:
    """Code scanning has nothing but SARIF to explain a rule with."""
    every = tuple(error(rule, "wrong") for rule in RULES)
    log = json.loads(render("sarif", Report(command="validate", diagnostics=every)))
    shown = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert shown.keys() == RULES.keys()
    for code, rule in RULES.items():
        assert plain(shown[code]["fullDescription"]["text"]) == rule.sentence
        assert plain(shown[code]["help"]["text"]) == f"Next: {rule.step}"
        assert shown[code]["name"] == rule.name


def test_a_renamed_rule_tells_its_former_id() -> None:
    """Who filters on the former id finds the new one: on the page, in SARIF and in JSON; other rules have none."""
    assert {code: rule.formerly for code, rule in RULES.items() if rule.formerly} == FORMERLY
    assert FORMERLY["existing-account"] == "first-meeting"
    assert not set(FORMERLY.values()) & RULES.keys()
    report = Report(command="validate", diagnostics=tuple(error(code, "wrong") for code in RULES))
    sarif = json.loads(render("sarif", report))["runs"][0]["tool"]["driver"]["rules"]
    old = {rule["id"]: rule["deprecatedIds"] for rule in sarif if "deprecatedIds" in rule}
    assert old == {code: [former] for code, former in FORMERLY.items()}
    told = json.loads(render("json", report))["diagnostics"]
    assert {said["code"]: said["formerly"] for said in told} == {code: FORMERLY.get(code) for code in RULES}
    for code, former in FORMERLY.items():
        assert f"- **`{code}`** (formerly `{former}`) " in WRITTEN.read_text(encoding="utf-8")


def test_no_former_id_is_said_or_free_for_other_rules() -> None:
    """A former id means what it meant, and nothing else: neither the program nor the owners use it for a rule."""
    assert not set(FORMERLY.values()) & (said() | tabled()).keys()
    assert set(FORMERLY.values()) | RULES.keys() == RESERVED


def plain(text: str) -> str:
    """Return a text of SARIF without its escapes."""
    return re.sub(r"\\([\\\[\]])", r"\1", text).replace("{{", "{").replace("}}", "}")


def test_the_scan_sees_ids_however_they_are_given() -> None:
    """A scan that finds nothing would pass: these are known to be there, each said in another way."""
    everything = said() | tabled()
    for code in (
        "existing-account",
        "limit-mails",
        "unreachable",
        "site-cannot-be-moved",
        "no-password-destination",
        "yaml",
    ):
        assert code in everything
