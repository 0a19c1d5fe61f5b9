"""`siteward import`: writes a first declaration from the live state of an instance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import click
from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.inspect import Metadata, StructType, type_info
from msgspec.structs import replace

from siteward import platforms
from siteward.access.diagnostic import near
from siteward.cli.checkout import environment_of, keyring_of, reading_deadline
from siteward.cli.names import instances as declared_instances
from siteward.cli.names import journal_option
from siteward.cli.session import Session, find_config, now, with_session
from siteward.declaration.generate import first_file
from siteward.declaration.grammar import keys_of
from siteward.declaration.instances import NAME_HINT, can_name
from siteward.platforms.instance import Instance
from siteward.reconcile.journal.reading import path_of
from siteward.reconcile.own_account import claim_of, own_account
from siteward.reconcile.project import Project, open_project
from siteward.transport.link import Link
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from siteward.access.state import Live
    from siteward.access.traits import Traits


class Wanted(Struct, frozen=True, kw_only=True):
    """The instance to import, as far as the command line describes it."""

    name: str
    platform: str | None = None
    url: str | None = None
    self_account: str | None = None
    settings: tuple[str, ...] = ()


class _Place(Struct, frozen=True, kw_only=True):
    """The address and the settings of an instance: `written` as they stand in the file, `settings` as read."""

    platform: str
    url: str
    self_account: str | None
    written: Mapping[str, object]
    settings: Struct


class First(Struct, frozen=True, kw_only=True):
    """A first file: its text, and the instance as it was read for it."""

    text: str
    traits: Traits
    live: Live


def first_file_of(wanted: Wanted, project: Project | None, session: Session) -> First:
    """Read the instance, which `project` may declare already, and return the file that declares its access.

    Raises `UsageError` where the command line does not suffice to find it, and `PlatformError`.
    """
    if not can_name(wanted.name):
        raise click.UsageError(f"{wanted.name!r} cannot name an instance: {NAME_HINT}")
    env = environment_of(Path())
    place = (None if wanted.platform else _find_declared(project, wanted.name)) or _place_of(wanted)
    instance = Instance(
        name=wanted.name,
        platform=platforms.load(place.platform),
        settings=place.settings,
        self_account=place.self_account,
        link=Link(url=place.url, deadline=reading_deadline(session, env)),
        env=env,
        keyring=keyring_of(),
    )
    with instance.reading() as reader:
        traits, seed = instance.platform.probe(reader, place.settings)
        live = instance.platform.read(reader, place.settings, traits, seed)
    _, objections = own_account(live, traits, claim_of(instance, place.self_account))
    for objection in objections:
        raise click.UsageError(f"{objection.message}: say --self {live.me or 'LOGIN'}")
    self_account = place.self_account or live.me or _need_self(traits)
    block = {"platform": place.platform, "url": place.url, "self": self_account, **place.written}
    return First(text=first_file(wanted.name, block, live, traits), traits=traits, live=live)


def _place_of(wanted: Wanted) -> _Place:
    """Return the place that the command line and the environment describe; raises `UsageError` for what is missing."""
    platform = wanted.platform or _need_platform()
    url = wanted.url or environment_of(Path()).get(variable(wanted.name, "url"))
    if not url:
        raise click.UsageError(f"where is it? say --url URL, or set {variable(wanted.name, 'url')}")
    given = dict(_parse_setting(setting) for setting in wanted.settings)
    settings = _read_settings(platform, given, wanted.self_account or given.get("self"))
    values: Mapping[str, object] = to_builtins(settings)
    return _Place(
        platform=platform,
        url=url,
        self_account=wanted.self_account or given.get("self"),
        written={name: values[name] for name in given if name != "self"},
        settings=settings,
    )


def _find_declared(project: Project | None, name: str) -> _Place | None:
    """Return the place of an instance that a declaration already names; `None` where there is none."""
    if project is None or name not in project.declaration.instances:
        return None
    instance = project.declaration.instances[name]
    if instance.settings is None:
        return None
    written = cast("Mapping[str, Mapping[str, object]]", instance.location.source.data["instances"])[name]
    own = keys_of(type(instance.settings))
    return _Place(
        platform=instance.platform,
        url=instance.url,
        self_account=instance.self_account,
        written={key: value for key, value in written.items() if key in own and key not in {"platform", "url", "self"}},
        settings=instance.settings,
    )


def _read_settings(platform: str, given: Mapping[str, str], self_account: str | None) -> Struct:
    """Return the settings of a platform from the texts after `--set`; raises `UsageError` with a suggestion."""
    if platform not in platforms.names():
        raise click.UsageError(
            f"no platform {platform!r}; there are {', '.join(platforms.names())}"
            + _suggestion(platform, platforms.names())
        )
    model = platforms.settings_of(platform)
    about = _descriptions_of(model)
    for name in given.keys() - about.keys() - {"self"}:
        raise click.UsageError(
            f"--set {name}=…: no such setting; there are {', '.join(about)}{_suggestion(name, about)}"
        )
    texts = {**given, "self": self_account} if self_account and "self" in about else given
    try:
        return convert({name: value for name, value in texts.items() if name in about}, model, strict=False)
    except ValidationError as problem:
        name = next(
            (name for name in about if f"$.{name}`" in str(problem) or f"field `{name}`" in str(problem)), "KEY"
        )
        raise click.UsageError(f"say --set {name}=…: {problem}. {about.get(name, '')}".rstrip()) from problem


def _descriptions_of(model: type[Struct]) -> dict[str, str]:
    """Return the description of each setting of a platform, by its name in the file."""
    described = type_info(model)
    fields = described.fields if isinstance(described, StructType) else ()
    return {
        field.encode_name: (field.type.extra_json_schema or {}).get("description", "")
        for field in fields
        if isinstance(field.type, Metadata)
    }


def _suggestion(word: str, known: Iterable[str]) -> str:
    nearest = near(word, known)
    return f"; did you mean {nearest!r}?" if nearest else ""


def _parse_setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--set {text}: write KEY=VALUE")
    return name, value


def _need_platform() -> NoReturn:
    raise click.UsageError(f"which platform is it? say --platform with one of {', '.join(platforms.names())}")


def _need_self(traits: Traits) -> NoReturn:
    raise click.UsageError(f"{traits.platform} does not show whose credentials these are: say --self LOGIN")


def _find_project(session: Session) -> Project | None:
    """Return the project whose declaration this session would use, `None` where there is none or it cannot be read."""
    try:
        project = open_project(find_config(session), "import")
    except click.ClickException:
        return None
    return project if isinstance(project, Project) else None


def _begin_journal(session: Session, out: Path, name: str, first: First, other: Project | None) -> None:
    """Begin the journal of the instance as an apply without changes would, from what was read for the file.

    It is left alone where it exists, or belongs to another declaration (`other`) that may speak of other people.
    """
    from siteward.cli.checkout import open_checkout
    from siteward.reconcile.apply.beginning import Beginning, begin_journals
    from siteward.reconcile.plan import plan_and_survey

    checkout = open_checkout(replace(session, config=out), "import", names=(name,), writes=True)
    theirs = (session.journal_dir or other.journal_folder) if other is not None else None
    shared = theirs is not None and theirs.resolve() == checkout.book.folder.resolve()
    if shared or path_of(checkout.book.folder, name).exists():
        return
    run = replace(checkout.run(), snapshots={name: (first.traits, first.live)})
    report, surveys = plan_and_survey(checkout.project, checkout.instances, checkout.book, run, command="import")
    if report.plan is None:
        return
    given = Beginning(plan=report.plan, book=checkout.book, clock=now, passwords=checkout.passwords)
    for diagnostic in begin_journals(given, surveys):
        session.say(diagnostic.message)


@click.command("import")
@click.option(
    "--instance",
    "name",
    required=True,
    shell_complete=declared_instances,
    metavar="NAME",
    help="What the file calls the instance.",
)
@click.option("--platform", metavar="PLATFORM", help="Its platform; not needed where a declaration names it.")
@click.option("--url", metavar="URL", help="Its address; not needed where a declaration names it.")
@click.option("--self", "self_account", metavar="LOGIN", help="The account behind the credentials.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A setting of the platform; repeatable.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("access.yaml"), show_default=True)
@journal_option
@with_session()
def command(
    session: Session,
    name: str,
    platform: str | None,
    url: str | None,
    self_account: str | None,
    settings: tuple[str, ...],
    out: Path,
) -> int:
    """Read one instance and write the file that declares what it has; the plan that follows is empty.

    Unmanaged accounts are declared as users, equal sets of grants become groups, and what cannot be declared becomes a
    comment. A file that exists is never overwritten.
    """
    if out.exists():
        raise click.ClickException(f"{out} exists and is not overwritten; name another file with --out")
    wanted = Wanted(name=name, platform=platform, url=url, self_account=self_account, settings=settings)
    project = _find_project(session)
    first = first_file_of(wanted, project, session)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(first.text)
    except OSError as problem:
        raise click.ClickException(f"cannot write {out}: {problem.strerror}") from problem
    session.say(f"wrote {out}")
    _begin_journal(session, out, name, first, project)
    session.say(f"next: siteward plan -c {out}    (it should find nothing to do)")
    return 0
