"""The session that all verbs share: common options, the output of reports, and problems turned into reports.

Also what the job's forge says of a change, and where the declaration is found.
"""

from __future__ import annotations

import codecs
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click
from msgspec import Struct
from msgspec.structs import replace

from siteward.access.diagnostic import error
from siteward.access.report import Report, exit_code
from siteward.cli.paths import files, folders, new_file
from siteward.transport.errors import PlatformError

if TYPE_CHECKING:
    from siteward.render import GroupBy, Options, Privacy

Env = Mapping[str, str]
Drawn = str | bytes | Iterator[str]  # what is printed or written; what may be large comes in pieces
NOTICE = "notice"
"""The word before the folder to which apply writes one text a person (`-o notice:DIR`)."""
NONE = "none"
"""The value of `--base` by which no base is used."""
_NO_COMMIT = "0" * 40


def base_of(env: Env) -> str | None:
    """Return the revision whose policy also applies to a change; `None` where this is no job about a change.

    In a job before a merge that is the target branch, in one after it the commit before.
    """
    if given := env.get("SITEWARD_BASE"):
        return given
    if branch := env.get("GITHUB_BASE_REF") or env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        return f"origin/{branch}"
    before = _text_at(event(env), "before") if env.get("GITHUB_EVENT_NAME") == "push" else None
    if env.get("CI_PIPELINE_SOURCE") == "push":
        before = env.get("CI_COMMIT_BEFORE_SHA")
    return before if before and before != _NO_COMMIT else None


def actors_of(env: Env) -> frozenset[tuple[str, str]]:
    """Return forge and login of everybody who asks for a change; the forge is empty for `SITEWARD_ACTOR`."""
    asked = event(env).get("pull_request")
    author = _text_at(asked.get("user"), "login") if isinstance(asked, dict) else None
    known = (
        ("", env.get("SITEWARD_ACTOR")),
        ("github", env.get("GITHUB_ACTOR")),
        ("github", env.get("GITHUB_TRIGGERING_ACTOR")),
        ("github", author),
        ("gitlab", env.get("GITLAB_USER_LOGIN")),
    )
    return frozenset((forge, login) for forge, login in known if login)


def is_public(env: Env) -> bool:
    """Return whether the forge calls the repository public, so that everybody can read its logs and comments."""
    visibility = env.get("GITHUB_REPOSITORY_VISIBILITY") or env.get("CI_PROJECT_VISIBILITY")
    repository = event(env).get("repository")
    visibility = visibility or _text_at(repository, "visibility")
    if visibility is None and isinstance(repository, dict):
        return repository.get("private") is False
    return visibility == "public"


def event(env: Env) -> Mapping[str, object]:
    """Return the event that started this job, as GitHub describes it in a file; empty outside of GitHub Actions."""
    path = env.get("GITHUB_EVENT_PATH")
    if not path or not env.get("GITHUB_ACTIONS"):
        return {}
    import json  # most runs are no job of a forge

    try:
        described = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


def _text_at(table: object, name: str) -> str | None:
    value = table.get(name) if isinstance(table, Mapping) else None
    return value if isinstance(value, str) and value else None


FOR_FORGES = frozenset({"github", "gitlab", "sarif", "junit"})
"""The formats in which a place is a path from the top of the repository."""
SIGNS = "⊘→·…✗≠✓╭─│╰"
Verb = TypeVar("Verb", bound=Callable[..., Any])


class Session(Struct, frozen=True, kw_only=True):
    """One call of the program: its common options, and the output of reports, answers and remarks."""

    config: Path | None = None
    journal_dir: Path | None = None
    color: str = "auto"
    quiet: bool = False
    verbose: int = 0
    formats: tuple[str, ...] = ("text",)
    format_given: bool = False
    outputs: tuple[tuple[str, Path], ...] = ()
    exit_zero: bool = False
    plain: bool = False
    group_by: GroupBy = "person"
    privacy: Privacy = "full"

    def leave(self, report: Report) -> int:
        """Print and write the report in every format asked for; return the exit code."""
        from siteward.render import draw

        self._put_out(lambda form, options: draw(form, report, _from_top(form, options)), tables=False)
        code = exit_code(report)
        return 0 if self.exit_zero and code in {2, 3, 4} else code

    def answer(self, rendered: Callable[[str, Options], str | bytes], report: Report, *, long: bool = False) -> int:
        """Print and write an answer in every format asked for; return 1 where `report` has errors, 4 where it is stale.

        `rendered` turns a format and the options into text. Of a `long` answer that goes into files only what
        needs attention is printed, and the summary, where no `--format` asks for more. The errors are printed on stderr.
        """
        from siteward.render.privacy import errors_of
        from siteward.render.safe import show

        in_files = long and bool(self.outputs) and not self.format_given
        self._put_out(lambda form, options: rendered(form, _from_top(form, options)), brief=in_files)
        for _, path in self.outputs if in_files else ():
            self.say(f"wrote {path}")
        errors = errors_of(report, self.privacy)
        for problem in errors:
            where = f"{problem.instance}: " if problem.instance else ""
            click.echo(show(f"error {problem.code}: {where}{problem.message}"), err=True)
        return 1 if errors else 4 if report.stale else 0

    def show(self, report: Report, *, err: bool = False) -> None:
        """Print the report as text, in the middle of a verb that goes on; on stdout, or with `err` on stderr."""
        from siteward.render import render

        text = render("text", report, replace(self._options_for(sys.stderr if err else sys.stdout), goes_on=True))
        if err:
            click.echo(text, color=True, nl=False, err=True)
        else:
            _print(text)

    def say(self, line: str) -> None:
        """Print one line on stderr, unless --quiet was given; e-mails are hidden as `privacy` asks."""
        if not self.quiet:
            from siteward.render.privacy import hide_mails
            from siteward.render.safe import no_commands

            click.echo(no_commands(line if self.privacy == "full" else hide_mails(line)), err=True)

    def _put_out(self, rendered: Callable[[str, Options], Drawn], *, tables: bool = True, brief: bool = False) -> None:
        """Write what was asked for into files, then print it, each in its format; or `brief`, as with --quiet.

        Without `tables` no workbook is written, and text is printed in place of one.
        """
        for name, path in self.outputs:
            if name == NOTICE:
                continue  # the verb writes into that folder by itself, once it knows what was done
            if tables or name != "xlsx":
                _write(path, rendered(name, self._render_options(color=False)))
        for name in self.formats:
            options = self._options_for(sys.stdout)
            shown = replace(options, quiet=options.quiet or brief)
            _print(rendered(name if tables or name != "xlsx" else "text", shown))

    def _options_for(self, stream: TextIO | None) -> Options:
        options = self._render_options(color=self._uses_color(stream), width=_columns_of(stream))
        return options if _can_say_signs(stream) else replace(options, plain=True)

    def _render_options(self, *, color: bool, width: int | None = None) -> Options:
        from siteward.render import Options

        return Options(
            color=color,
            width=width,
            quiet=self.quiet,
            verbose=self.verbose > 0,
            plain=self.plain,
            group_by=self.group_by,
            privacy=self.privacy,
            moment=now(),
        )

    def _uses_color(self, stream: Any) -> bool:
        """Return whether to colour text on `stream`.

        In this order decide --color, NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE, then the terminal with TERM and CLICOLOR.
        """
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR"):
            return False
        if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
            return True
        return (
            bool(stream and stream.isatty()) and os.environ.get("TERM") != "dumb" and os.environ.get("CLICOLOR") != "0"
        )


class StoppedError(Exception):
    """An error for which a verb cannot go on; `report` says why, and gives the exit code."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.command)
        self.report = report


def with_session(*formats: str, without: tuple[str, ...] = (), folders: tuple[str, ...] = ()) -> Callable[[Verb], Verb]:
    """Give a verb the common options and, if it renders a report in `formats`, those about output.

    `without` names the options that would do nothing for this verb; they are left out. `folders` are words for `-o` alone,
    of what the verb itself writes to a folder. The verb is called with a
    `Session` and returns an exit code. A `StoppedError` or `PlatformError` that it raises is printed as a report in the
    same formats, so that JSON stays JSON in every outcome.
    """

    def decorate(verb: Verb) -> Verb:
        @functools.wraps(verb)
        @click.pass_context
        def run(ctx: click.Context, /, **given: Any) -> int:
            session = _take_session(ctx.obj or {}, given, formats, folders)
            try:
                code: int = verb(session=session, **given)
            except StoppedError as stopped:
                code = session.leave(stopped.report)
            except PlatformError as problem:
                failure = error(problem.code, str(problem), hint=problem.hint)
                code = session.leave(Report(command=ctx.info_name or "", diagnostics=(failure,)))
            return code

        return functools.reduce(lambda command, option: option(command), _common_options(formats, without), run)  # type: ignore[return-value]  # click keeps the callable's role, not its type

    return decorate


def _common_options(formats: tuple[str, ...], without: tuple[str, ...]) -> list[Callable[[Any], Any]]:
    options = [
        click.option("-v", "--verbose", count=True, help="Everything; -vv also logs requests, without bodies."),
        click.option("-q", "--quiet", is_flag=True, help="Only what needs attention, and the summary."),
        click.option("--color", type=click.Choice(["auto", "always", "never"]), help="Colour in text output."),
        click.option(
            "-c",
            "--config",
            metavar="FILE",
            shell_complete=files,
            help="The configuration; default: search access.yaml upwards.",
        ),
        click.option("-C", "--directory", metavar="DIR", shell_complete=folders, help="Work as if started in DIR."),
    ]
    return [*options, *_output_options(formats, without)] if formats else options


def _output_options(formats: tuple[str, ...], without: tuple[str, ...]) -> list[Callable[[Any], Any]]:
    """Return the options about output in some of the formats."""
    grouping = click.option(
        "--group-by", type=click.Choice(["person", "site"]), help="How text is grouped; default person."
    )
    lenient = click.option(
        "--exit-zero", is_flag=True, help="Leave with 0 where only differences or blocks were found."
    )
    return [
        click.option(
            "--privacy",
            type=click.Choice(["full", "handles", "counts"]),
            help="What may be published; default full, and handles where the forge calls the repository public.",
        ),
        *(() if "--group-by" in without else (grouping,)),
        click.option("--plain", is_flag=True, help="Words instead of symbols."),
        *(() if "--exit-zero" in without else (lenient,)),
        click.option(
            "-o",
            "--output",
            "outputs",
            multiple=True,
            metavar="[FORMAT:]FILE",
            shell_complete=files,
            help="Also write to FILE.",
        ),
        click.option(
            "-f",
            "--format",
            "formats",
            multiple=True,
            type=click.Choice(formats),
            metavar="FORMAT",
            help=f"Output format: {', '.join(formats)}; default {formats[0]}.",
        ),
    ]


def _take_session(
    before: dict[str, Any], given: dict[str, Any], formats: tuple[str, ...], folders: tuple[str, ...] = ()
) -> Session:
    """Take the options of the session out of `given` and return it; options after the verb override those before it.

    The working directory changes first, so that --config and the files of other options are found from there.
    """
    own = {name: given.pop(name) for name in ("directory", *Session.__struct_fields__) if name in given}
    chosen = {**before, **{name: value for name, value in own.items() if value not in (None, False, 0, ())}}
    change_directory(chosen.pop("directory", None))
    chosen["format_given"] = "formats" in chosen
    if formats:
        chosen.setdefault("privacy", "handles" if is_public(os.environ) else "full")
    if "outputs" in chosen:
        chosen["outputs"] = tuple(_parse_output(output, formats, folders) for output in chosen["outputs"])
    chosen.update({name: Path(chosen[name]) for name in ("config", "journal_dir") if name in chosen})
    return Session(**chosen)


def change_directory(directory: str | None) -> None:
    """Change the working directory, for the files found there and those named on the command line."""
    if directory is None:
        return
    try:
        os.chdir(directory)
    except OSError as problem:
        raise click.ClickException(f"cannot work in {directory}: {problem.strerror}") from problem


def _parse_output(text: str, formats: tuple[str, ...], folders: tuple[str, ...] = ()) -> tuple[str, Path]:
    """Return the format and the path that `-o` names, the format by the file's suffix where it is not given."""
    from siteward.render import SUFFIXES

    name, colon, rest = text.partition(":")
    if colon and name in (*formats, *folders) and rest:
        return name, new_file(rest)
    by_suffix = SUFFIXES.get(Path(text).suffix)
    if by_suffix not in formats:
        raise click.UsageError(f"-o {text}: write FORMAT:FILE with one of {', '.join(formats)}")
    return by_suffix, Path(text)


def _columns_of(stream: TextIO | None) -> int | None:
    """Return the number of columns of the terminal behind a stream; `None` where it is no terminal, or of unknown width."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if stream is not None else None
    except (OSError, ValueError):
        return None


def _from_top(form: str, options: Options) -> Options:
    """Return options with the place of the working directory in its repository, and links, for what forges read."""
    if form in {"markdown", "html"}:
        from siteward.cli.forge_links import links_of

        blob, run = links_of(os.environ)
        options = replace(options, blob=blob, run=run)
    if form not in FOR_FORGES and not options.blob:
        return options
    from siteward.reconcile.revisions.git import repository_of

    here = Path.cwd().resolve()
    repository = repository_of(here)
    if repository is None:
        return options
    top = repository.top.resolve()
    return replace(options, top=top.as_posix(), below=here.relative_to(top).as_posix())


def _can_say_signs(stream: TextIO | None) -> bool:
    """Return whether the encoding of a stream has the signs of text output; what is ASCII gets UTF-8 from click."""
    try:
        encoding = codecs.lookup(getattr(stream, "encoding", None) or "utf-8").name
        SIGNS.encode("utf-8" if encoding == "ascii" else encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _print(text: Drawn) -> None:
    """Print on stdout, what comes in pieces piece by piece; raises `ClickException` where it was closed, which is an error as a full disk is."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 — the end of the process flushes it
        raise click.ClickException("cannot write the output: stdout is closed")
    for piece in (text,) if isinstance(text, str | bytes) else text:
        click.echo(piece, color=True, nl=False)


def _write(path: Path, text: Drawn) -> None:
    from siteward.reconcile.outputs import write_output

    pieces = (text,) if isinstance(text, str | bytes) else text
    try:
        write_output(path, (piece.encode() if isinstance(piece, str) else piece for piece in pieces))
    except OSError as problem:
        raise click.ClickException(f"cannot write {path}: {problem.strerror}") from problem


def find_config(session: Session) -> Path:
    """Return the path of the declaration: --config, $SITEWARD_CONFIG, or access.yaml here or above.

    The search goes up to the top of the repository; outside of one, to the root of the file system. Raises
    `ClickException` where no access.yaml is found.
    """
    if session.config:
        return session.config
    if given := os.environ.get("SITEWARD_CONFIG"):
        return Path(given)
    beside = Path("access.yaml")
    if beside.exists():
        return beside
    # Imported only here: a verb that is called beside its file needs no git to find it.
    from siteward.reconcile.revisions.git import repository_of

    start = Path.cwd()
    repository = repository_of(start)
    for folder in (start, *start.parents):
        if (folder / "access.yaml").exists():
            return folder / "access.yaml"
        if repository and folder == repository.top:
            break
    raise click.ClickException(
        f"no access.yaml in {start} or above it; name one with -c FILE, or write a first one with `siteward import`"
    )


def now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)


def parse_day(text: str | None, timezone: str, option: str, *, last: bool) -> datetime | None:
    """Return the moment that an option names, in UTC; of a date its beginning, or its end (`last`), in that time zone.

    Raises `UsageError` as `parse_instant` does.
    """
    if text is None or len(text) != len("2027-03-31"):
        return parse_instant(text, timezone, option)
    from zoneinfo import ZoneInfo

    day = parse_instant(text, timezone, option)
    if day is None:
        return None
    try:
        midnight = day.astimezone(ZoneInfo(timezone)).replace(hour=0)
        return (midnight + timedelta(days=1 if last else 0)).astimezone(UTC)
    except OverflowError:
        raise click.UsageError(f"{option}: {text} is out of the range of dates") from None


def parse_instant(text: str | None, timezone: str, option: str = "--as-of") -> datetime | None:
    """Return the moment that an option names, in UTC; `None` where it was not given.

    A date is its noon in the declaration's time zone. Raises `UsageError` for an instant without an offset, and for any
    other text.
    """
    if text is None:
        return None
    from zoneinfo import ZoneInfo  # most verbs are asked about now

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise click.UsageError(
            f"{option}: {text!r} is neither a date (2027-03-31) nor an instant with offset"
        ) from problem
    if moment.tzinfo is None and len(text) == len("2027-03-31"):
        moment = moment.replace(hour=12, tzinfo=ZoneInfo(timezone))
    if moment.tzinfo is None:
        raise click.UsageError(f"{option}: {text!r} needs an offset, such as {text}Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise click.UsageError(f"{option}: {text} is out of the range of dates") from None


@contextmanager
def sandbox_extra() -> Iterator[None]:
    """Turn a missing library of the sandbox into a `ClickException` that says how to install it."""
    try:
        yield
    except ImportError as missing:
        raise click.ClickException(f"the sandbox needs {missing.name}: pip install 'siteward[sandbox]'") from missing


def problem_as_json(code: str, message: str, *, hint: str | None, leave: int) -> str:
    """Return a problem outside of any report as JSON, with the keys that JSON reports have."""
    import json  # a run without problems has no use for it

    return json.dumps(
        {
            "format": "siteward.report/2",
            "exit_code": leave,
            "diagnostics": [{"code": code, "severity": "error", "message": message, "hint": hint}],
        }
    )
