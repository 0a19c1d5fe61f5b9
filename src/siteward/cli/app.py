"""The command line: the group of verbs, the last handler of errors, and the exit code.

A verb's module is imported only when it is called, so that `--help` imports little more than click.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from importlib import import_module
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from siteward import __version__
from siteward.cli.paths import files, folders

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType


VERBS: dict[str, tuple[str, str]] = {
    "init": ("init", "Put a live server under code: file, schema, CI; the first plan is empty."),
    "validate": ("validate", "Check the files; contacts nothing."),
    "plan": ("plan", "Show what apply would change; changes nothing."),
    "apply": ("apply", "Carry out a plan, exactly as reviewed."),
    "drift": ("drift", "Show live access that the configuration does not explain."),
    "show": ("show", "Show saved plans in any format, several as one picture."),
    "diff": ("diff", "Show who gains and loses what between two revisions; contacts nothing."),
    "explain": ("explain:explain", "Say why a user has, or has not, access to a site, or what they have."),
    "who-can": ("explain:who_can", "List who holds a role or more on a site, or anywhere."),
    "matrix": ("matrix", "Show who holds what: people by sites, live and declared."),
    "review": ("review", "List every right to decide on; start a round of decisions, and close it."),
    "baseline": ("baseline", "Waive what is found now and may be waived, for a time."),
    "grant": ("amend:grant", "Grant a role by an edit of the file, shown as a patch."),
    "revoke": ("amend:revoke", "Take a right from a user by an edit of the file, shown as a patch."),
    "elevate": ("amend:elevate", "Grant a role for a time by an edit of the file, shown as a patch."),
    "adopt": ("adopt", "Declare what is live and undeclared by an edit of the file, shown as a patch."),
    "ending": ("ends", "List what ends soon, by who answers for it; contacts nothing."),
    "import": ("import_", "Write a first file from the live state of an instance."),
    "history": ("history", "Tell who gained and lost what, when, by whom and why, as the journals have it."),
    "undo": ("undo", "Take back what a run changed: an edit of the file first, then a plan of just that."),
    "offboard": ("offboard", "Let somebody leave: the edit of the file, and a checklist of what no edit ends."),
    "evidence": ("evidence", "Bundle what the journals say of a ticket, a person or a time, with what proves it."),
    "journal": ("journal", "Verify the journal, go on from an older one, or erase what it says of somebody."),
    "people": ("people", "Take people and their groups over from the directories that know them."),
    "doctor": ("doctor", "Check credentials, connectivity and versions; never prints a secret."),
    "instances": ("instances", "List the instances, for people or for the matrix of a job."),
    "schema": ("schema", "Print the JSON Schema of the file or of a plan."),
    "sandbox": ("sandbox", "Serve a sandbox analytics server to try things on."),
    "demo": ("demo", "Show the main job on a sandbox, in a few minutes of reading."),
    "completion": ("completion", "Print the shell completion script."),
}
"""For each verb, in the order of `--help`: its module, with `:command` where that is not called so; one line of help."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "init": (
        "siteward init",
        "siteward init --platform umami --set layout=per-site --ci github",
        "siteward init --instance eu --credential token=file:token.txt --same anna",
    ),
    "validate": ("siteward validate -c access.yaml", "siteward validate --online"),
    "plan": ("siteward plan --out plan.json", "siteward plan -f markdown -o html:plan.html"),
    "apply": ("siteward apply plan.json", "siteward apply --only user:nora --yes"),
    "drift": ("siteward drift -f json",),
    "show": ("siteward show plan.json -f markdown", "siteward show plan-*.json -o html:plans.html"),
    "diff": ("siteward diff main HEAD",),
    "explain": ("siteward explain nora shop.example.org", "siteward explain nora"),
    "who-can": ("siteward who-can edit shop.example.org", "siteward who-can admin"),
    "matrix": ("siteward matrix -o matrix.html",),
    "review": (
        "siteward review -o review.csv",
        "siteward review --decisions review.csv --write",
        "siteward review start 2027-q1 --reviewers by-owner --due 2027-01-31",
        "siteward review status 2027-q1",
        "siteward review close 2027-q1 --write",
    ),
    "baseline": ('siteward baseline --reason "as found at the start, OPS-12" --write',),
    "grant": (
        "siteward grant anna edit on shop.example.org --ticket OPS-7 --write",
        "siteward grant analysts view on tag:acme --until +90d",
        'siteward grant nora admin on stats --reason "second admin"',
    ),
    "revoke": ("siteward revoke anna on shop.example.org --write", "siteward revoke anna on stats"),
    "elevate": ('siteward elevate anna admin on stats --for 4h --reason "restore, INC-7"',),
    "adopt": (
        "siteward adopt user:petra --ticket OPS-7",
        "siteward adopt all --instance stats --write",
        "siteward adopt --decisions review.csv --write",
    ),
    "ending": ("siteward ending --within 30d", "siteward ending -f csv -o ending.csv"),
    "import": ("siteward import --instance stats --platform umami --set layout=per-site",),
    "history": ("siteward history --user nora", "siteward history --since 2026-11-01 --by others -f csv"),
    "undo": (
        "siteward undo 20261201T011703Z",
        "siteward undo 20261201T011703Z-5e7a3f10 --write --out undo.json",
    ),
    "offboard": (
        "siteward offboard nora --write --ticket HR-77",
        'siteward offboard nora --done stats/tokens --reason "changed, HR-77"',
    ),
    "evidence": (
        "siteward evidence make --ticket OPS-7 --to evidence.zip",
        "siteward evidence verify evidence.zip --signers signers",
    ),
    "journal": (
        "siteward journal verify",
        "siteward journal verify --instance stats --head SUM",
        'siteward journal migrate stats --reason "sealed from now on"',
        'siteward journal erase --user nora --reason "erasure requested, HR-77"',
    ),
    "people": ("siteward people refresh staff", "siteward people refresh --check -f markdown"),
    "doctor": ("siteward doctor --instance stats",),
    "instances": ("siteward instances", "siteward instances --format github-matrix"),
    "schema": ("siteward schema > access.schema.json", "siteward schema report"),
    "sandbox": ("siteward sandbox umami --port 18099",),
    "demo": ("siteward demo", "siteward demo --full"),
}
"""Examples at the end of each verb's help; `completion` has its own."""


_GRACE = 1.5
"""The seconds after a signal in which a verb says that it was interrupted, before it is ended as it is."""
_INTERRUPTED = 130
_NOT_WRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""The errors of an output that takes no more: a full disk, a quota, a size limit, a failing device."""


def _write_examples(examples: Iterable[str]) -> str:
    """Return examples as the end of a help text, line by line."""
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


class Verbs(click.Group):
    """The group of verbs, each of which is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 — click's signature
        """Return the names of the verbs in the order in which a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 — click's signature
        """Import one verb and add its examples; return `None` for a name that no verb has."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"siteward.cli.{module}"), name or "command")
        if examples := EXAMPLES.get(cmd_name):
            command.epilog = _write_examples(examples)
        for sub in command.commands.values() if isinstance(command, click.Group) else ():
            sub.epilog = _write_examples(line for line in examples or () if line.split()[2] == sub.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 — click's signature
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in VERBS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; raises `UsageError` for an unknown one, with a suggestion."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            raise click.UsageError(f"no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""), ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="siteward", message="%(prog)s %(version)s")
@click.option("-C", "--directory", metavar="DIR", shell_complete=folders, help="Work as if started in DIR.")
@click.option(
    "-c",
    "--config",
    metavar="FILE",
    shell_complete=files,
    help="The configuration; default $SITEWARD_CONFIG, then access.yaml upwards.",
)
@click.option("--color", type=click.Choice(["auto", "always", "never"]), help="Colour in text output; default auto.")
@click.option("-q", "--quiet", is_flag=True, help="Only what needs attention, and the summary.")
@click.option("-v", "--verbose", count=True, help="Everything; -vv also logs requests on stderr, without bodies.")
@click.pass_context
def main(ctx: click.Context, /, **common: object) -> None:
    """Access as code for web analytics.

    Declare who may see and manage which site in access.yaml; `plan` shows the difference to the live
    servers, `apply` carries out exactly that, `drift` tells what others changed.

    \b
    Exit codes:
      0   nothing differs, or done
      1   error in use, file, credentials or connection
      2   differences
      3   blocked by a guard or rule
      4   stale, or not everything was read
      5   partly applied
      130 interrupted
    """  # noqa: D301 — \b tells click to keep the lines
    ctx.obj = {name: value for name, value in common.items() if value not in (None, False, 0)}


def _prepare_process() -> None:
    """Let signals end a verb tidily, and let no text that an encoding lacks end it at all."""
    # CI stops a job by SIGTERM: it should end as tidily as one that is interrupted by hand.
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run() -> None:
    """Run the command line and exit with the code that the report gives."""
    interrupted = False
    try:
        _prepare_process()
        code = _call()
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        interrupted = isinstance(stop.__cause__ or stop, KeyboardInterrupt)
        code = _report_problem("interrupted", str(stop) or "interrupted; nothing more is done", leave=_INTERRUPTED)
    code = _flush(code)
    if interrupted:
        os._exit(code)  # the end of the process would wait for threads, and those for servers
    sys.exit(code)


def _call() -> int:
    """Call the verb, report what stops it, and return the exit code; after that a signal ends the process at once."""
    try:
        code = main(prog_name="siteward", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_wanted:
        click.echo(help_wanted.ctx.get_help())
        code = 0
    except click.ClickException as problem:
        context = getattr(problem, "ctx", None)
        code = _report_problem(
            "usage", problem.format_message(), hint=f"{context.command_path if context else 'siteward'} --help"
        )
    except BrokenPipeError:
        code = _leave_closed_pipe()
    except OSError as problem:
        code = _report_lost_output(problem)
    _end_by_signals()
    return code if isinstance(code, int) else 0


def _end_by_signals() -> None:
    """Let the next signal end the process at once: the verb has ended, or it was asked to end before."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End the verb at the first signal, within `_GRACE` seconds whatever it is doing; a second one kills the process."""
    _end_by_signals()
    last = threading.Timer(_GRACE, os._exit, [_INTERRUPTED])
    last.daemon = True
    last.start()
    raise KeyboardInterrupt


def _report_problem(code: str, message: str, *, hint: str | None = None, leave: int = 1) -> int:
    """Print a problem on stderr, or as JSON on stdout where JSON was asked for; return the exit code `leave`."""
    if _wants_json(sys.argv[1:]):
        from siteward.cli.session import problem_as_json

        click.echo(problem_as_json(code, message, hint=hint, leave=leave))
        return leave
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"next: {hint}", err=True)
    return leave


def _wants_json(arguments: list[str]) -> bool:
    """Return whether JSON is among the formats asked for; click may have failed before it read them."""
    pairs = zip_longest(arguments, arguments[1:], fillvalue="")
    return any(
        word in {"--format=json", "-fjson"} or (word in {"--format", "-f"} and value == "json") for word, value in pairs
    )


def _leave_closed_pipe() -> int:
    """Return the exit code after the reader of our output has gone; nothing is said, as with other filters."""
    _drop_stdout()
    return 128 + signal.SIGPIPE


def _report_lost_output(problem: OSError) -> int:
    """Report output that could not be written, on a full disk for one; raise any other error of files again: it is a bug."""
    if problem.errno not in _NOT_WRITABLE:
        raise problem
    _drop_stdout()
    click.echo(f"error: cannot write the output: {problem.strerror}", err=True)
    return 1


def _drop_stdout() -> None:
    """Lead stdout to nowhere, so that Python's own flush at the end of the process does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _flush(code: int) -> int:
    """Write out what stdout still holds; return `code`, or the code for output that was lost."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _leave_closed_pipe()
    except OSError as problem:
        return _report_lost_output(problem)
    return code
