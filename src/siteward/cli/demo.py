"""`siteward demo`: runs the main job from start to end, over HTTP against sandboxes.

Every verb runs as a process of its own, as a user would start it; nothing is played from a recording.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx

from siteward import platforms
from siteward.cli.session import sandbox_extra
from siteward.transport.secrets import variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.declaration.declared import Instance
    from siteward.platforms.fakery import Sandbox

# The example has end dates: evaluated at this one, it shows the same people whenever the demo is run.
AS_OF = "2026-12-01"
ROOT = Path(__file__).parents[3]
EXAMPLE = "access.example.yaml"


@click.command("demo")
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Work in DIR and leave everything there.")
def command(keep: Path | None) -> int:
    """Show the main job: validate, plan, apply, plan again, somebody interferes, drift."""
    with sandbox_extra(), ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="siteward-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        declared = _declared_instances()
        sandboxes = {name: _start_sandbox(stack, instance.platform) for name, instance in declared.items()}
        _copy_example(folder, {name: sandbox.url for name, sandbox in sandboxes.items()})
        owners = {name: instance.self_account for name, instance in declared.items() if instance.self_account}
        return _run_story(_Story(folder, _environment(sandboxes, owners)), sandboxes)


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


def _run_story(story: _Story, sandboxes: Mapping[str, Sandbox]) -> int:
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

    declaration = read(_example_folder() / EXAMPLE).declaration
    if declaration is None:
        raise click.ClickException(f"{EXAMPLE} is not valid: siteward validate -c {EXAMPLE}")
    return declaration.instances


def _example_folder() -> Path:
    """Return the folder of the example: the root of a checkout, or one beside this module in an installed program."""
    return ROOT if (ROOT / EXAMPLE).exists() else Path(__file__).parent / "example"


def _start_sandbox(stack: ExitStack, platform: str) -> Sandbox:
    """Serve the newest release of a platform, with users, sites and a history, until `stack` closes."""
    from siteward.platforms.fakery import serve

    factory = platforms.fake(platform)
    return stack.enter_context(serve(factory.lived_in(factory.releases[0], clock=lambda: datetime.now(UTC))))


def _copy_example(folder: Path, urls: Mapping[str, str]) -> None:
    """Copy the example and its includes, pointing each instance at its sandbox and changing nothing else."""
    source = _example_folder()
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
    with httpx.Client(base_url=sandbox.url) as http:
        token = http.post("/api/auth/login", json=sandbox.fake.credentials).json()["token"]
        http.headers["Authorization"] = f"Bearer {token}"
        users = {user["username"]: user["id"] for user in http.get("/api/admin/users?pageSize=1000").json()["data"]}
        sites = http.get("/api/admin/websites?pageSize=1000").json()["data"]
        shop = next(site for site in sites if site["domain"] == "shop.example.org")
        http.post(f"/api/users/{users['vera']}", json={"role": "admin"}).raise_for_status()
        member = {"userId": users["mia"], "role": "team-member"}
        http.post(f"/api/teams/{shop['teamId']}/users", json=member).raise_for_status()
