"""The declaration in a checkout, and the instances it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward import platforms
from siteward.access.diagnostic import warning
from siteward.access.hosts import address_of
from siteward.access.report import Report
from siteward.declaration.checks import Context, findings
from siteward.declaration.load import Loaded, load
from siteward.transport.redacted import Redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Accounts
    from siteward.access.traits import Traits
    from siteward.declaration import declared
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.reconcile.revisions.base_policy import BasePolicy
    from siteward.transport.link import Exchange
    from siteward.transport.secrets import Keyring


_TRACKED = ("--untracked-files=no", "--ignore-submodules=dirty", "--no-renames", "--no-ahead-behind")


class Commit(Struct, frozen=True, kw_only=True):
    """Where a checkout stands in git: the commit, and whether files differ from it."""

    id: str
    dirty: bool


class Project(Struct, frozen=True, kw_only=True):
    """A valid declaration, with the texts it was read from, and what a change of it must pass, if that is known."""

    path: Path
    loaded: Loaded
    declaration: Declaration
    commit: Commit | None
    base_policy: BasePolicy | None = None

    @property
    def said(self) -> tuple[Diagnostic, ...]:
        """The diagnostics of the files, by themselves and against the base."""
        return (*self.loaded.diagnostics, *(self.base_policy.remarks if self.base_policy else ()))

    @property
    def journal_folder(self) -> Path:
        """Where the journals of this declaration's instances are kept."""
        return self.path.parent / self.declaration.journal_dir


def validate(path: Path, base_policy_of: Callable[[Declaration], BasePolicy | None] = lambda _: None) -> Report:
    """Return all that can be said of the files without contacting anything, and by `gate_of` what they must pass."""
    loaded = read(path)
    base_policy = base_policy_of(loaded.declaration) if loaded.declaration is not None else None
    more = (*base_policy.remarks, *judged(base_policy, loaded.diagnostics)) if base_policy is not None else ()
    return Report(
        command="validate",
        diagnostics=(*loaded.diagnostics, *more),
        texts=loaded.texts,
        files=loaded.files,
        accounts=known_accounts(loaded.accounts, base_policy),
    )


def known_accounts(accounts: Accounts, base_policy: BasePolicy | None) -> dict[str, dict[str, str | None]]:
    """Return the account names that a declaration speaks of, with those of the base that `gate` holds against it."""
    base = base_policy.base.accounts() if base_policy is not None and base_policy.base is not None else {}
    return {name: {**base.get(name, {}), **accounts.get(name, {})} for name in {**accounts, **base}}


def judged(base_policy: BasePolicy, known: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return what the files' own check says by the strictest policy of both revisions, beside what is `known`."""
    context = Context(base_policy.as_judged(), frozenset(), _widest_of, platforms.names())
    seen = set(known)
    return tuple(finding for finding in findings(context) if finding not in seen)


def read(path: Path, called: Path | None = None) -> Loaded:
    """Read and check the files, with what the installed platforms say about their instances; `called` as in `load`."""
    loaded = load(path, settings_of=_settings_of, widest_of=_widest_of, platforms=platforms.names(), called=called)
    return replace(loaded, diagnostics=(*loaded.diagnostics, *_unfinished_platforms()))


def _unfinished_platforms() -> Iterator[Diagnostic]:
    """Yield what those who write a platform should know: a folder that lacks something is not taken for one."""
    for folder, lacks in platforms.unfinished().items():
        yield warning(
            "unfinished-platform",
            f"the folder siteward/platforms/{folder} is not a platform yet: {lacks}",
            hint="docs/add-a-platform.md leads through the files of a platform",
        )


def open_project(path: Path, command: str) -> Project | Report:
    """Return the project, or the report that says why there is none."""
    loaded = read(path)
    if loaded.declaration is None or any(diagnostic.blocks for diagnostic in loaded.diagnostics):
        return Report(
            command=command,
            diagnostics=loaded.diagnostics,
            texts=loaded.texts,
            files=loaded.files,
            next="siteward validate",
            accounts=loaded.accounts,
        )
    return Project(path=path, loaded=loaded, declaration=loaded.declaration, commit=commit_of(path.parent))


class Surroundings(Redacted, frozen=True, kw_only=True):
    """The parts of the machine that a run uses: the environment, the keyring, and the observers of requests and waits."""

    env: Mapping[str, str]
    keyring: Keyring | None = None
    observer: Callable[[Exchange], None] | None = None
    waiting: Callable[[float, str], None] | None = None
    timeout: float = 60.0
    workers: int = 8


def instances(project: Project, names: Iterable[str], around: Surroundings) -> tuple[Instance, ...]:
    """Return the named instances, or all, ready to be opened; nothing is contacted. Raises `KeyError`."""
    return tuple(
        _instance(project, project.declaration.instances[name], around)
        for name in (tuple(names) or project.declaration.instances)
    )


def _instance(project: Project, given: declared.Instance, around: Surroundings) -> Instance:
    from siteward.platforms.instance import Instance  # noqa: PLC0415 — `validate` loads this module, and opens nothing
    from siteward.transport.link import Link  # noqa: PLC0415

    ca_file = project.path.parent / given.ca_file if given.ca_file else None
    link = Link(
        url=address_of(given.url),
        ca_file=ca_file,
        read=around.timeout,
        workers=around.workers,
        observer=around.observer,
        waiting=around.waiting,
    )
    if given.settings is None:
        raise ValueError(f"{given.name} has no settings, so the declaration was not valid")
    platform = platforms.load(given.platform)
    return Instance(
        name=given.name,
        platform=platform,
        settings=given.settings,
        self_account=given.self_account,
        link=link,
        env=around.env,
        keyring=around.keyring,
    )


def settings_models() -> Mapping[str, type[Struct]]:
    """Return what an instance of each platform may say in the file, by platform."""
    return {name: platforms.settings_of(name) for name in platforms.names()}


def commit_of(folder: Path) -> Commit | None:
    """Return the commit a folder's checkout is at; `None` outside a repository, before a first commit or without git."""
    from siteward.reconcile.revisions.git import GitError, ask_about_files  # noqa: PLC0415 — see above

    try:
        told = ask_about_files(folder, "status", "--porcelain=v2", "--branch", "-z", *_TRACKED)
    except GitError:
        return None
    commit, changed = None, False
    for line in told.split(b"\0"):
        if line.startswith(b"# branch.oid "):
            commit = line.removeprefix(b"# branch.oid ").decode()
        changed = changed or (not line.startswith((b"#", b"?")) and bool(line))
    return Commit(id=commit, dirty=changed) if commit is not None and commit != "(initial)" else None


def _settings_of(platform: str) -> type[Struct] | None:
    return platforms.settings_of(platform) if platform in platforms.names() else None


def _widest_of(platform: str) -> Traits | None:
    return platforms.widest_of(platform) if platform in platforms.names() else None
