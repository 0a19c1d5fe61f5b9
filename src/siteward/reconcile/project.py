"""Projects: the declaration in a checkout, its git commit, and the instances it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from siteward import platforms
from siteward.access.diagnostic import warning
from siteward.access.hosts import address_of
from siteward.access.known_names import merge_accounts
from siteward.access.report import Report
from siteward.declaration.checks import Context, findings
from siteward.declaration.dead import find_dead_lines, tell
from siteward.declaration.load import Loaded, load
from siteward.declaration.waivers import judge_ends, waivers_of
from siteward.transport.redacted import Redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from siteward.access.diagnostic import Diagnostic
    from siteward.access.model import Accounts
    from siteward.access.traits import Traits
    from siteward.declaration import declared
    from siteward.declaration.load import Declaration
    from siteward.platforms.instance import Instance
    from siteward.reconcile.revisions.base_policy import BasePolicy
    from siteward.transport.deadline import Deadline
    from siteward.transport.link import Exchange
    from siteward.transport.secrets import Keyring


WITHOUT_EFFECT = frozenset(
    {"unused-group", "grant-to-nobody", "rule-of-nobody", "service-unattended", "approval-wanted"}
)
"""The rule ids of warnings about rows that change nothing: `validate` tells them to whoever edits the file."""
_TRACKED = ("--untracked-files=no", "--ignore-submodules=dirty", "--no-renames", "--no-ahead-behind")


class Commit(Struct, frozen=True, kw_only=True):
    """The commit of a checkout; `dirty` is true where tracked files differ from it."""

    id: str
    dirty: bool


class Project(Struct, frozen=True, kw_only=True):
    """A valid declaration, the texts it was read from, and the policy of the base branch, if one was given."""

    path: Path
    loaded: Loaded
    declaration: Declaration
    commit: Commit | None
    base_policy: BasePolicy | None = None

    @property
    def said(self) -> tuple[Diagnostic, ...]:
        """The diagnostics of the files that matter to a plan, and of their changes against the base."""
        told = (said for said in self.loaded.diagnostics if said.blocks or said.code not in WITHOUT_EFFECT)
        return (*told, *(self.base_policy.remarks if self.base_policy else ()))

    @property
    def journal_folder(self) -> Path:
        """The folder of the journals of this declaration's instances."""
        return self.path.parent / self.declaration.journal_dir


def validate(
    path: Path,
    base_policy_of: Callable[[Declaration], BasePolicy | None] = lambda _: None,
    *,
    as_of: Callable[[Declaration], datetime] | None = None,
) -> Report:
    """Check the files without contacting anything; return the report.

    `base_policy_of` returns the policy of the base branch for the declaration, or `None` without a base; `as_of` the
    moment at which lines are dead and rights are judged, without which nothing is told that depends on it.
    """
    loaded = read(path, as_of=as_of)
    base_policy = base_policy_of(loaded.declaration) if loaded.declaration is not None else None
    more = (*base_policy.remarks, *judged(base_policy, loaded.diagnostics, as_of)) if base_policy is not None else ()
    return Report(
        command="validate",
        diagnostics=(*loaded.diagnostics, *more, *_tell_what_ends(loaded.usable, as_of)),
        texts=loaded.texts,
        files=loaded.files,
        accounts=known_accounts(loaded.accounts, base_policy),
    )


def _tell_what_ends(
    declaration: Declaration | None, as_of: Callable[[Declaration], datetime] | None
) -> Iterator[Diagnostic]:
    if declaration is None or as_of is None:
        return
    now = as_of(declaration)
    yield from tell(find_dead_lines(declaration, now))
    yield from judge_ends(waivers_of(declaration), now, now)


def known_accounts(accounts: Accounts, base_policy: BasePolicy | None) -> Accounts:
    """Return the account names and handles of a declaration by instance, with those of the base, if there is one."""
    base = base_policy.base.accounts() if base_policy is not None and base_policy.base is not None else {}
    return merge_accounts(base, accounts)


def judged(
    base_policy: BasePolicy, known: Iterable[Diagnostic], as_of: Callable[[Declaration], datetime] | None = None
) -> tuple[Diagnostic, ...]:
    """Return the findings on the files by the strictest policy of both revisions, without those in `known`.

    `as_of` is that of `validate`.
    """
    now = as_of(base_policy.head) if as_of is not None else None
    context = Context(base_policy.as_judged(), frozenset(), _widest_of, platforms.names(), now)
    seen = set(known)
    return tuple(finding for finding in findings(context) if finding not in seen)


def read(path: Path, called: Path | None = None, as_of: Callable[[Declaration], datetime] | None = None) -> Loaded:
    """Load and check the files, with the settings and traits of the installed platforms; the rest is as in `load`."""
    loaded = load(
        path,
        settings_of=_settings_of,
        widest_of=_widest_of,
        platforms=platforms.names(),
        called=called,
        as_of=as_of,
    )
    return replace(loaded, diagnostics=(*loaded.diagnostics, *_warn_unfinished_platforms()))


def _warn_unfinished_platforms() -> Iterator[Diagnostic]:
    """Yield a warning for each platform folder that lacks a file or name, for authors of a platform."""
    for folder, lack in platforms.unfinished().items():
        yield warning(
            "unfinished-platform",
            f"the folder siteward/platforms/{folder} is not a platform yet: {lack}",
            hint="docs/add-a-platform.md leads through the files of a platform",
        )


def open_project(path: Path, command: str) -> Project | Report:
    """Return the project, or for invalid files the report of `command` with their errors.

    Errors of single rows do not stand in the way: such rows give nothing and take nothing, and are told.
    """
    loaded = read(path)
    if loaded.usable is None:
        return Report(
            command=command,
            diagnostics=loaded.diagnostics,
            texts=loaded.texts,
            files=loaded.files,
            next="siteward validate",
            accounts=loaded.accounts,
        )
    return Project(path=path, loaded=loaded, declaration=loaded.usable, commit=commit_of(path.parent))


class Surroundings(Redacted, frozen=True, kw_only=True):
    """The parts of the machine that a run uses: environment, keyring, and observers of requests and waits.

    `timeout` is in seconds; `deadline` ends all that is waited for; `workers` is the number of requests at a time to one
    instance.
    """

    env: Mapping[str, str]
    keyring: Keyring | None = None
    observer: Callable[[Exchange], None] | None = None
    waiting: Callable[[float, str], None] | None = None
    timeout: float = 60.0
    deadline: Deadline | None = None
    workers: int = 8


def instances(project: Project, names: Iterable[str], around: Surroundings) -> tuple[Instance, ...]:
    """Return the named instances, or all, ready to be opened; nothing is contacted. Raises `KeyError`."""
    return tuple(
        _build_instance(project, project.declaration.instances[name], around)
        for name in (tuple(names) or project.declaration.instances)
    )


def _build_instance(project: Project, declared_instance: declared.Instance, around: Surroundings) -> Instance:
    from siteward.platforms.instance import Instance  # noqa: PLC0415 — `validate` loads this module, and opens nothing
    from siteward.transport.deadline import Deadline  # noqa: PLC0415
    from siteward.transport.link import Link  # noqa: PLC0415

    ca_file = project.path.parent / declared_instance.ca_file if declared_instance.ca_file else None
    link = Link(
        url=address_of(declared_instance.url),
        ca_file=ca_file,
        read=around.timeout,
        deadline=around.deadline or Deadline(),
        workers=around.workers,
        observer=around.observer,
        waiting=around.waiting,
    )
    if declared_instance.settings is None:
        raise ValueError(f"{declared_instance.name} has no settings, so the declaration was not valid")
    platform = platforms.load(declared_instance.platform)
    return Instance(
        name=declared_instance.name,
        platform=platform,
        settings=declared_instance.settings,
        self_account=declared_instance.self_account,
        link=link,
        env=around.env,
        keyring=around.keyring,
    )


def settings_models() -> Mapping[str, type[Struct]]:
    """Return the model of an instance's settings in the file, by platform."""
    return {name: platforms.settings_of(name) for name in platforms.names()}


def commit_of(folder: Path) -> Commit | None:
    """Return the commit of a folder's checkout; `None` outside a repository, before a first commit or without git."""
    from siteward.reconcile.revisions.git import GitError, ask_about_files  # noqa: PLC0415 — see above

    try:
        status = ask_about_files(folder, "status", "--porcelain=v2", "--branch", "-z", *_TRACKED)
    except GitError:
        return None
    commit, changed = None, False
    for line in status.split(b"\0"):
        if line.startswith(b"# branch.oid "):
            commit = line.removeprefix(b"# branch.oid ").decode()
        changed = changed or (not line.startswith((b"#", b"?")) and bool(line))
    return Commit(id=commit, dirty=changed) if commit is not None and commit != "(initial)" else None


def _settings_of(platform: str) -> type[Struct] | None:
    return platforms.settings_of(platform) if platform in platforms.names() else None


def _widest_of(platform: str) -> Traits | None:
    return platforms.widest_of(platform) if platform in platforms.names() else None
