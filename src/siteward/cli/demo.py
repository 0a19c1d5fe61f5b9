"""`siteward demo`: runs the main job from start to end, over HTTP against sandboxes.

It has two sizes: one server and six people, or (`--full`) the example's four platforms. Every verb runs as a process of
its own, as a user would start it; nothing is played from a recording.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx

from siteward import platforms
from siteward.cli import demo_world
from siteward.cli.paths import NewFile
from siteward.cli.session import sandbox_extra
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siteward.declaration.declared import Instance
    from siteward.platforms.fakery import Sandbox

# The example has end dates: evaluated at this one, it shows the same people whenever the demo is run.
AS_OF = "2026-12-01"
ROOT = Path(__file__).parents[3]
EXAMPLE = "access.example.yaml"


@click.command("demo")
@click.option("--full", is_flag=True, help="Show the example on sandboxes of all four platforms instead.")
@click.option("--keep", metavar="DIR", type=NewFile(), help="Work in DIR and leave everything there.")
def command(keep: Path | None, *, full: bool) -> int:
    """Show the main job on one server with six people: from validate to the page of who has what.

    The files it worked with stay, for you to look at; with --full they do only where --keep is given.
    """
    with sandbox_extra(), ExitStack() as stack:
        return _show_full(stack, keep) if full else _show_small(stack, keep)


def _show_small(stack: ExitStack, keep: Path | None) -> int:
    """Show the small world in a folder that stays."""
    from siteward.platforms.fakery import serve

    today = datetime.now(UTC).date()
    factory = platforms.fake("umami")
    world = factory.of(demo_world.small_world(), factory.releases[0], clock=lambda: datetime.now(UTC))
    sandbox = stack.enter_context(serve(world))
    folder = _make_folder(keep or Path(tempfile.mkdtemp(prefix="siteward-demo-")))
    (folder / "access.yaml").write_text(demo_world.small_file(sandbox.url, today), encoding="utf-8")
    environment = _environment({demo_world.INSTANCE: sandbox}, {demo_world.INSTANCE: demo_world.SELF})
    return _run_small_story(_Story(folder, environment), sandbox, demo_world.after_the_end(today))


def _show_full(stack: ExitStack, keep: Path | None) -> int:
    """Show the example in `keep`, or in a folder that goes."""
    folder = _make_folder(keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siteward-demo-"))))
    declared = _declared_instances()
    sandboxes = {name: _start_sandbox(stack, instance.platform) for name, instance in declared.items()}
    _copy_example(folder, {name: sandbox.url for name, sandbox in sandboxes.items()})
    owners = {name: instance.self_account for name, instance in declared.items() if instance.self_account}
    return _run_full_story(_Story(folder, _environment(sandboxes, owners)), sandboxes)


def _make_folder(folder: Path) -> Path:
    """Return the folder, made where it is missing. Raises `ClickException` for one that cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise click.ClickException(f"cannot make the folder {folder}: {problem.strerror}") from problem
    return folder


class _Story:
    """A demo in progress: runs verbs in its folder and shows each as it would look in a terminal."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def say(self, text: str) -> None:
        click.echo(click.style(f"\n# {text}", fg="cyan", bold=True))

    def run(self, *arguments: str, expect: int) -> None:
        """Run one verb; raises `ClickException` where it leaves with another exit code than `expect`."""
        click.echo(click.style(f"$ siteward {' '.join(arguments)}", bold=True))
        color = "always" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else "never"
        done = subprocess.run(
            [sys.executable, "-m", "siteward", "--color", color, *arguments],
            cwd=self.folder,
            env=self.environment,
            check=False,
        )
        if done.returncode != expect:
            raise click.ClickException(f"the demo expected that to leave with {expect}, not {done.returncode}")


def _run_small_story(story: _Story, sandbox: Sandbox, later: str) -> int:
    """Run the verbs on the small world, each with its point in one line; `later` is a date after its contractor's end."""
    click.echo(f"# An Umami sandbox answers at {sandbox.url}; {story.folder / 'access.yaml'} declares six people.")
    story.say("1. validate: the file is checked, every error at once, and nothing is contacted.")
    story.run("validate", expect=0)
    story.say("2. plan: what would change, the dangerous first, each line with its cause; nothing is changed.")
    story.run("plan", "--out", "plan.json", "--passwords-out", "passwords.txt", expect=2)
    story.say("3. apply: exactly that plan, each write read back; the new password goes to its own file.")
    story.run("apply", "plan.json", "--yes", "--passwords-out", "passwords.txt", "-q", expect=0)
    story.say("4. plan again: live access equals the file.")
    story.run("plan", "-q", expect=0)
    story.say("5. drift: an admin works around the file and lets dmitri back in; it is noticed.")
    _let_in(sandbox, "dmitri", "shop.example.org")
    story.run("drift", "-q", expect=2)
    story.say("6. who-can: who could change the shop now, declared or not?")
    story.run("who-can", "edit", "shop.example.org", expect=0)
    story.say(f"7. An end date: the nightly job, as on {later}, takes the contractor's access without a merge.")
    story.run("apply", "--only", "expiries", "--as-of", later, "--yes", "-q", expect=0)
    story.say("8. matrix: who has what, on one page.")
    story.run("matrix", "-o", "matrix.html", expect=0)
    click.echo(
        f"\nOpen {story.folder / 'matrix.html'} in a browser; file, plan and journal are beside it.\n"
        "next: siteward demo --full      the same on four platforms\n"
        "      siteward init             your own server under code"
    )
    return 0


def _run_full_story(story: _Story, sandboxes: Mapping[str, Sandbox]) -> int:
    """Run the verbs in order, each with a heading; raises `ClickException` at the first unexpected exit code."""
    story.say("Sandbox servers answer, with users, sites and some history:")
    for name, sandbox in sandboxes.items():
        click.echo(f"#    {name}: {sandbox.fake.platform} {sandbox.fake.release} at {sandbox.url}")
    story.say("1. Check the files. Nothing is contacted.")
    story.run("validate", expect=0)
    story.say("2. What would change? Nothing is changed; the plan is saved for review.")
    story.run(
        "plan",
        "--as-of",
        AS_OF,
        "--allow-delete",
        "--passwords-out",
        "passwords.txt",
        "--out",
        "plan.json",
        expect=2,
    )
    story.say("3. Carry out exactly that plan. New passwords go to a file only its owner can read.")
    story.run(
        "apply", "plan.json", "--as-of", AS_OF, "--yes", "--allow-delete", "--passwords-out", "passwords.txt", expect=0
    )
    story.say(
        "4. Once more: nothing is left to do. Where a directory's group gives somebody more than the file, that is told."
    )
    story.run("plan", "--as-of", AS_OF, "-q", expect=2)
    story.say("5. Somebody works around the file: an admin makes Vera an admin and lets Mia back in.")
    _interfere(sandboxes["stats"])
    story.say("6. Drift: who now has what, that the file does not explain.")
    story.run("drift", "--as-of", AS_OF, "-q", expect=2)
    _suggest_next()
    return 0


def _suggest_next() -> None:
    click.echo(
        "\n# What to try next (in a clone the program is .venv/bin/siteward)\n"
        "  siteward sandbox umami --port 8001          a server of your own to break, with the same people\n"
        "  export SITEWARD_STATS_USERNAME=siteward SITEWARD_STATS_PASSWORD=sandbox-siteward\n"
        "  siteward import --instance stats --platform umami --url http://127.0.0.1:8001 --set layout=per-site\n"
        "  siteward plan                               the file it wrote declares what is there: nothing to do\n"
        "  siteward explain jonas staging.example.org  why somebody has access, line by line\n"
        "  siteward who-can edit shop.example.org      who could change a site\n"
        "  siteward matrix -o matrix.html             who has what, on one page\n"
    )


def _declared_instances() -> Mapping[str, Instance]:
    """Return the instances that the example declares, by name."""
    from siteward.reconcile.project import read

    declaration = read(example_folder() / EXAMPLE).declaration
    if declaration is None:
        raise click.ClickException(f"{EXAMPLE} is not valid: siteward validate -c {EXAMPLE}")
    return declaration.instances


def example_folder() -> Path:
    """Return the folder of the example: the root of a checkout, or one beside this module in an installed program."""
    return ROOT if (ROOT / EXAMPLE).exists() else Path(__file__).parent / "example"


def _start_sandbox(stack: ExitStack, platform: str) -> Sandbox:
    """Serve the newest release of a platform, with users, sites and a history, until `stack` closes."""
    from siteward.platforms.fakery import serve

    factory = platforms.fake(platform)
    return stack.enter_context(serve(factory.lived_in(factory.releases[0], clock=lambda: datetime.now(UTC))))


def _copy_example(folder: Path, urls: Mapping[str, str]) -> None:
    """Copy the example and its includes, pointing each instance at its sandbox and changing nothing else."""
    source = example_folder()
    text = (source / EXAMPLE).read_text(encoding="utf-8")
    for name, url in urls.items():
        text = re.sub(rf"(?m)(^  {name}:\n(?:    .*\n)*?    url: )\S+", rf"\g<1>{url}", text, count=1)
    (folder / "access.yaml").write_text(text, encoding="utf-8")
    for path in (source / "examples").rglob("*.yaml"):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")


def _environment(sandboxes: Mapping[str, Sandbox], owners: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the verbs: ours without any credentials, and the credentials of the sandboxes."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SITEWARD_")}
    return (
        inherited
        | {
            variable(name, field): value
            for name, sandbox in sandboxes.items()
            for field, value in sandbox.fake.credentials.items()
        }
        | {variable(name, "self"): owner for name, owner in owners.items()}
    )


def _interfere(sandbox: Sandbox) -> None:
    """Change access beside the file, as an admin would in the web interface of Umami."""
    with _sign_in(sandbox) as http:
        http.post(f"/api/users/{_users_of(http)['vera']}", json={"role": "admin"}).raise_for_status()
    _let_in(sandbox, "mia", "shop.example.org")


def _let_in(sandbox: Sandbox, login: str, domain: str) -> None:
    """Make somebody a member of a site's team, beside the file."""
    with _sign_in(sandbox) as http:
        sites = http.get("/api/admin/websites?pageSize=1000").json()["data"]
        team = next(site["teamId"] for site in sites if site["domain"] == domain)
        member = {"userId": _users_of(http)[login], "role": "team-member"}
        http.post(f"/api/teams/{team}/users", json=member).raise_for_status()


@contextmanager
def _sign_in(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Give a client that is signed in at an Umami sandbox."""
    with httpx.Client(base_url=sandbox.url) as http:
        token = http.post("/api/auth/login", json=sandbox.fake.credentials).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


def _users_of(http: httpx.Client) -> dict[str, str]:
    """Return the ids of the accounts by login."""
    return {user["username"]: user["id"] for user in http.get("/api/admin/users?pageSize=1000").json()["data"]}
