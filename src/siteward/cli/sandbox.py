"""`siteward sandbox`: serves a sandbox on a real socket, to try a change where nothing can break."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from siteward import platforms
from siteward.cli.session import sandbox_extra

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

    from siteward.platforms.fakery import Fake, Fault, GateKind, World
    from siteward.platforms.interface import FakeFactory


@click.command("sandbox")
@click.argument("platform", type=click.Choice(platforms.names()))
@click.option("--release", metavar="R", help="Which release to stand in for; default the newest that was driven live.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port to listen on; 0 takes a free one."
)
@click.option("--fresh", is_flag=True, help="Start in the product's own first state.")
@click.option("--world", type=click.Path(path_type=Path), help="Start with the world of this YAML or JSON file.")
@click.option(
    "--latency",
    type=click.IntRange(min=0),
    default=0,
    metavar="MS",
    help="Answer no sooner than after MS milliseconds, and take the time of hashes and mails.",
)
@click.option(
    "--fault", "faults", multiple=True, metavar="SPEC", help="What goes wrong: KIND[@AFTER][xTIMES][:METHOD PATH]."
)
@click.option(
    "--gate",
    type=click.Choice(["401", "403", "basic", "login", "redirect"]),
    help="Put a gate before it that lets through only requests with the header that the credentials name.",
)
@click.option("--clock", metavar="INSTANT", help="Let the server's clock start here (ISO 8601).")
def command(
    platform: str,
    release: str | None,
    host: str,
    port: int,
    *,
    fresh: bool,
    world: Path | None,
    latency: int,
    faults: tuple[str, ...],
    gate: GateKind | None,
    clock: str | None,
) -> int:
    """Serve a stateful sandbox of PLATFORM until told to stop.

    When it is ready it prints one line of JSON: platform, release, url and the sandbox's own credentials.
    Without --fresh or --world it holds the lived-in state that the demo shows.
    """
    if fresh and world:
        raise click.UsageError("--fresh and --world exclude each other")
    with sandbox_extra():
        factory = platforms.fake(platform)
        from siteward.platforms.fakery import CannotStandInError, SandboxGate
    try:
        fake = _start(factory, release or factory.releases[0], fresh=fresh, world=world, clock=_clock_from(clock))
    except CannotStandInError as missing:
        raise click.ClickException(str(missing)) from missing
    fake.latency = latency / 1000
    fake.faults.extend(_parse_faults(faults))
    fake.gate = SandboxGate(gate, secrets.token_urlsafe(16)) if gate else None
    _serve(fake, host, port)
    return 0


def _start(
    factory: FakeFactory, release: str, *, fresh: bool, world: Path | None, clock: Callable[[], datetime]
) -> Fake:
    """Return a sandbox in the state that was asked for; raises `UsageError` for an unknown release."""
    if release not in factory.releases:
        raise click.UsageError(f"no release {release!r}; there are {', '.join(factory.releases)}")
    if fresh:
        return factory.fresh(release, clock=clock)
    if world:
        return _start_with_world(factory, release, world, clock)
    return factory.lived_in(release, clock=clock)


def _start_with_world(factory: FakeFactory, release: str, path: Path, clock: Callable[[], datetime]) -> Fake:
    from pydantic import ValidationError

    world = read_world(path)
    try:
        return factory.of(world, release, clock=clock)
    except ValidationError as problem:
        raise wrong_world(path, problem) from problem
    except ValueError as problem:
        raise click.ClickException(f"{path}: {problem}") from problem


def _parse_faults(specs: tuple[str, ...]) -> list[Fault]:
    from siteward.platforms.fakery import Fault

    try:
        return [Fault.parse(spec) for spec in specs]
    except ValueError as problem:
        raise click.UsageError(f"--fault: {problem}") from problem


def _clock_from(start: str | None) -> Callable[[], datetime]:
    """Return a clock that starts at `start` and runs at the usual speed; the clock of this machine for `None`."""
    if start is None:
        return lambda: datetime.now(UTC)
    try:
        begin = datetime.fromisoformat(start)
    except ValueError as problem:
        raise click.UsageError(f"--clock: {start!r} is not a valid ISO 8601 instant") from problem
    offset: timedelta = begin.astimezone(UTC) - datetime.now(UTC)
    return lambda: datetime.now(UTC) + offset


def _serve(fake: Fake, host: str, port: int) -> None:
    """Serve the sandbox until SIGTERM or SIGINT; one line of JSON on stdout says that it is ready."""
    from siteward.platforms.fakery import serve

    told = _hear_signals()
    try:
        sandbox = serve(fake, host=host, port=port)
    except OSError as problem:
        raise click.ClickException(f"cannot listen on {host}:{port}: {problem.strerror}") from problem
    with sandbox:
        ready = {
            "platform": fake.platform,
            "release": fake.release,
            "url": sandbox.url,
            "credentials": {**fake.credentials, **({"headers": fake.gate.headers} if fake.gate else {})},
        }
        click.echo(json.dumps(ready))
        sys.stdout.flush()
        os.read(told, 1)


def _hear_signals() -> int:
    """Return a file to read from: it gets a byte with each SIGTERM and SIGINT from now on.

    Whatever this process does at that moment, the byte is there; a wait that has just begun would miss the signal.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return told


def read_world(path: Path) -> World:
    """Return the world that a YAML or JSON file describes; raises `ClickException` for one that describes none."""
    import yaml
    from pydantic import ValidationError

    from siteward.platforms.fakery import World

    try:
        return World.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as problem:
        raise click.ClickException(f"cannot read {path}: {problem.strerror}") from problem
    except yaml.YAMLError as problem:
        raise click.ClickException(f"{path} is not YAML: {str(problem).splitlines()[0]}") from problem
    except ValidationError as problem:
        raise wrong_world(path, problem) from problem


def wrong_world(path: Path, problem: ValidationError) -> click.ClickException:
    """Return the error that lists the faults of a world file, each with its place."""
    faults = (f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}" for fault in problem.errors())
    return click.ClickException(f"{path}: {'; '.join(faults)}")
