"""`siteward init`: from a live server to access under code: the file, its schema, what git ignores, and CI."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from siteward import platforms
from siteward.access.report import exit_code
from siteward.cli import ci_files
from siteward.cli.answers import collect
from siteward.cli.names import journal_option, same_option
from siteward.cli.paths import NewFile
from siteward.cli.schema import SCHEMAS
from siteward.cli.session import Session, with_session
from siteward.cli.taking_in import existing_project, refuse_declared, take_in
from siteward.cli.wanted import Wanted, place_options, read_wanted
from siteward.transport.secrets import HEADERS, variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from siteward.cli.answers import Answers
    from siteward.cli.wanted import Found
    from siteward.platforms.interface import Platform
    from siteward.reconcile.project import Project

SCHEMA = Path("schemas") / "access.schema.json"
IGNORED = (".siteward/", ".env", "passwords.txt", "plan.json", "*.plan.json")
"""What git should ignore beside a file: journals, which have a branch of their own, credentials, passwords and plans."""
BRANCH = "siteward-journal"


@click.command("init")
@click.option("--instance", "name", default="stats", show_default=True, metavar="NAME", help="What the file calls it.")
@place_options
@click.option(
    "--credential",
    "sources",
    multiple=True,
    metavar="FIELD=SOURCE",
    help="Where a credential is: env:NAME, file:PATH, command:COMMAND or keyring; else SITEWARD_<NAME>_<FIELD>.",
)
@click.option("--ci", type=click.Choice(list(ci_files.RECIPES)), help="Also write the workflows of this forge.")
@click.option("--out", type=NewFile(), help="The file; default --config, or access.yaml.")
@same_option
@journal_option
@with_session()
def command(
    session: Session,
    name: str,
    platform: str | None,
    url: str | None,
    self_account: str | None,
    settings: tuple[str, ...],
    sources: tuple[str, ...],
    ci: str | None,
    out: Path | None,
    same: tuple[str, ...],
) -> int:
    """Put a server under code: try the credentials, and declare what is live, so that the first plan is empty.

    What is missing is asked at a terminal, and is an error that names the options elsewhere. Where the file is there
    already, the instance is merged into it. Nothing that exists is overwritten but by an edit; no credential is written.
    """
    out = out or session.config or Path("access.yaml")
    project = existing_project(session)
    refuse_declared(out, name, again="--instance names another one")
    url = url or None
    wanted = Wanted(name=name, platform=platform, url=url, self_account=self_account, settings=settings)
    answers = collect(wanted, sources)
    found = read_wanted(answers.wanted, project, session, answers.env)
    _show_checkup(session, found)
    schema = _relative_schema(out)
    report = take_in(session, out, name, found, project, command="init", schema=schema, same=same)
    written = [out, *_write_beside(session, out)]
    if ci is not None:
        written += _write_recipes(session, out, ci, name, answers)
    session.show(replace(report, next=None))
    _say_the_rest(session, out, written, answers, ci, exit_code(report))
    return exit_code(report)


def _relative_schema(out: Path) -> str | None:
    """Return the schema's path as the file names it."""
    return SCHEMA.as_posix() if not (out.parent / SCHEMA.parent).is_file() else None


def _show_checkup(session: Session, found: Found) -> None:
    """Try the credentials as `doctor` does, and show what they may; raises `ClickException` where they do not do."""
    from siteward.access.explanation import Checkup
    from siteward.cli.doctor import look_at
    from siteward.render import Options
    from siteward.render.answers import checkups

    instance, own = found.instance, found.block["self"]
    base = Checkup(
        instance=instance.name,
        platform=instance.platform.title,
        origin=instance.origin,
        credentials=dict(instance.secrets().origins()),
        journal="none yet",
    )
    checkup, _ = look_at(instance, base, str(own))
    if not session.quiet:
        click.echo(checkups((checkup,), "text", Options(color=False)), err=True)
    if checkup.problem is not None:
        raise click.ClickException(checkup.problem.message)


# -- files beside the declaration


def _write_beside(session: Session, out: Path) -> list[Path]:
    """Write the schema and what git ignores beside the file; return the paths of those that are there then."""
    schema, ignore = out.parent / SCHEMA, out.parent / ".gitignore"
    paths = []
    if not schema.exists():
        text = json.dumps(SCHEMAS["access"](), indent=2, ensure_ascii=False) + "\n"
        paths += _put(session, schema, text, "wrote")
    before = ignore.read_text(encoding="utf-8") if ignore.is_file() else ""
    missing = [line for line in IGNORED if line not in before.splitlines()]
    if missing:
        between = "" if before.endswith("\n") or not before else "\n"
        paths += _put(
            session, ignore, f"{before}{between}" + "\n".join(missing) + "\n", "added to" if before else "wrote"
        )
    return paths


def _put(session: Session, path: Path, text: str, word: str) -> list[Path]:
    """Write a file and say so; a link is left alone and named. Raises `ClickException` where it cannot be written."""
    from siteward.reconcile.outputs import write_output

    if path.is_symlink():
        session.say(f"{path} is a link and left as it is")
        return []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_output(path, text.encode())
    except OSError as problem:
        raise click.ClickException(f"cannot write {path}: {problem.strerror}") from problem
    session.say(f"{word} {os.path.relpath(path)}")
    return [path]


def _to_be_added(written: Iterable[Path], ci: str | None) -> Iterator[str]:
    """Yield what git has to take in, as paths from here; the folders of recipes stand for their files."""
    for path in written:
        name = Path(os.path.relpath(path)).as_posix()
        yield next((part for part in ci_files.RECIPES.get(ci or "", ()) if f"{part}/" in f"{name}/"), name)


# -- CI


def _write_recipes(session: Session, out: Path, forge: str, name: str, answers: Answers) -> list[Path]:
    """Write the forge's recipes for all instances of the file, or add the new one to those that are there."""
    from siteward.cli.demo import example_folder
    from siteward.reconcile.revisions.git import repository_of

    repository = repository_of(out.parent.resolve())
    top = repository.top if repository is not None else out.parent
    if repository is not None and repository.top.resolve() != out.parent.resolve():
        session.say(
            f"the workflows stand at the top of the repository, {top}; there SITEWARD_CONFIG has to name {out.name}"
        )
    declared = _filled(out, name, answers)
    paths: list[Path] = []
    for relative, recipe in ci_files.recipes(forge, example_folder() / "examples" / "ci").items():
        path = top / relative
        if not path.exists():
            first, *others = declared.values()
            text = ci_files.fill(recipe, first)
            for filled in others:
                text = ci_files.add(text, filled)
            paths += _put(session, path, text, "wrote")
            continue
        before = path.read_text(encoding="utf-8")
        text = ci_files.add(before, declared[name])
        if text != before:
            paths += _put(session, path, text, f"added {name} to")
        elif name not in before and recipe != ci_files.fill(recipe, declared[name]):
            session.say(f"{path} is there and has no place for {name}: add it by hand")
    if forge == "gitlab":
        paths += _put_instances(session, top / ci_files.INSTANCES, tuple(declared))
    return paths


def _put_instances(session: Session, path: Path, names: tuple[str, ...]) -> list[Path]:
    """Write the file by which GitLab's jobs know the instances, where it does not say the same already."""
    from siteward.cli.instances import list_instances

    text = f"{list_instances(names, 'gitlab-parallel')}\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    return _put(session, path, text, "wrote")


def _filled(out: Path, name: str, answers: Answers) -> Mapping[str, ci_files.Filled]:
    """Return the instances of the file with the fields of their credentials, by name."""
    from siteward.cli.checkout import environment_of

    known = {*environment_of(Path()), *answers.env}
    project = _written_project(out)
    return {
        declared.name: _fields_of(declared.name, platforms.load(declared.platform), known)
        for declared in project.declaration.instances.values()
    } | {name: _fields_of(name, platforms.load(answers.wanted.platform or ""), known)}


def _fields_of(name: str, platform: Platform, known: Iterable[str]) -> ci_files.Filled:
    """Return the fields that a job needs: the required ones, of the others those that are set here, and what opens a gate."""
    names = set(known)
    optional = [
        field
        for field in platform.optional_fields
        if any(f"{variable(name, field)}{ending}" in names for ending in ("", "_FILE", "_COMMAND"))
    ]
    plain = ("url",) if platform.widest.knows_self else ("url", "self")
    return ci_files.Filled(name=name, secret=(*platform.fields, *optional, HEADERS), plain=plain)


def _written_project(out: Path) -> Project:
    from siteward.cli.taking_in import open_file

    return open_file(out, "init")


# -- the last words


def _say_the_rest(
    session: Session, out: Path, written: list[Path], answers: Answers, ci: str | None, code: int
) -> None:
    """Say what the next commands need, what people have to decide, and the three next commands."""
    config = "" if out == Path("access.yaml") else f" -c {shlex.quote(str(out))}"
    for line in answers.told:
        session.say(line)
    session.say(
        "unmanaged: `report` leaves accounts alone that are in no file. Once `siteward plan` names none that somebody needs,"
        " `unmanaged: revoke` takes the access of those that appear."
    )
    if ci is not None:
        plain, secret = ci_files.names_of(tuple(_filled(out, answers.wanted.name, answers).values()))
        session.say(
            f"CI needs the variables {', '.join(plain)}, and the secrets {', '.join(secret)}: docs/ci.md says where"
        )
        session.say(
            f"the journal that counts is the one that CI pulls, on the branch {BRANCH}:"
            ' after the commit, `sh ci/journal.sh push "first journal"` puts this one there'
        )
    else:
        session.say(
            "the journal that counts is the one beside the file, in .siteward; with CI it is the one that CI pulls"
        )
    names = " ".join(dict.fromkeys(shlex.quote(name) for name in _to_be_added(written, ci)))
    session.say("next:")
    found = (
        "finds nothing to do, until somebody changes something" if code == 0 else "shows what is not as the file says"
    )
    session.say(f"  siteward plan{config}    # {found}")
    session.say(f"  siteward matrix{config} -o matrix.html    # who has what, on one page")
    session.say(f"  git add {names} && git commit -m 'Access under code'    # then edit the file, and plan again")
