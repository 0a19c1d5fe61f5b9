"""The README is held to the program: its sample plan is what comes out, its table is what the platforms say.

`pytest --update-golden` rewrites the parts between the marks.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from cli.conftest import Program, program
from docs.walk import is_part_of, list_blocks, read_shortened
from siteward import platforms
from siteward.platforms.fakery import World, WorldAccount, WorldGrant, WorldSite, serve
from siteward.platforms.interface import Platform
from siteward.platforms.known import KeysRead

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
__all__ = ["program"]  # the fixture of the command line serves here too
WORLD = World(
    accounts=(
        WorldAccount(login="siteward", role="admin"),
        WorldAccount(login="admin", role="admin"),
        WorldAccount(login="anna", role="user"),
        WorldAccount(login="ben", role="user"),
    ),
    sites=(WorldSite(name="Shop", domain="shop.example.org"), WorldSite(name="Blog", domain="blog.example.org")),
    grants=(
        WorldGrant(account="ben", site="shop.example.org", role="team-member"),
        WorldGrant(account="anna", site="shop.example.org", role="team-view-only"),
    ),
)
CLOCK = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture
def section(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a marked part of the README with what it should be, or rewrite it when that was asked for."""
    update = bool(request.config.getoption("--update-golden")) and not os.environ.get("CI")

    def compare(name: str, wanted: str) -> None:
        text = README.read_text(encoding="utf-8")
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        assert pattern.search(text), f"the README has no part {name}"
        new = pattern.sub(lambda found: f"{found[1]}{wanted}{found[2]}", text)
        if update:
            README.write_text(new, encoding="utf-8")
        assert text == new or update, f"the README's {name} is not what the program says; run pytest --update-golden"

    return compare


def test_the_sample_plan_is_what_comes_out(program: Program, section: Callable[[str, str], None]) -> None:
    """The ten-line file, planned against a small server, gives the plan that stands below it, saved as architecture.md shows."""
    declaration = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[0]
    assert len(yaml.safe_load(declaration)) >= 4
    fake = platforms.fake("umami").of(WORLD, "3.2", clock=lambda: CLOCK)
    with serve(fake) as sandbox:
        program.write(declaration.replace("https://stats.example.org", sandbox.url))
        env = {f"SITEWARD_STATS_{name.upper()}": value for name, value in fake.credentials.items()}
        result = program(
            "plan", "--as-of", "2026-12-01", "--passwords-out", "passwords.txt", "--out", "plan.json", **env
        )
    assert result.code == 2, result.out
    shown = result.out.replace(sandbox.url, "https://stats.example.org")
    shown = re.sub(r"sha256:[0-9a-f]{64}", "sha256:9f2c…", shown).strip()
    (sample,) = (block.text for block in list_blocks(ARCHITECTURE.read_text(encoding="utf-8")) if block.kind == "json")
    assert is_part_of(read_shortened(sample), json.loads((program.folder / "plan.json").read_text(encoding="utf-8")))
    section("plan", f"<!-- run by: tests/docs/test_readme.py -->\n\n```text\n{shown}\n```")


def test_the_platform_table_is_what_the_platforms_say(section: Callable[[str, str], None]) -> None:
    """Names, releases and roles come from the adapters' own tables."""
    rows = [_row(platforms.load(name)) for name in platforms.names()]
    head = (
        "| platform | releases | site roles | account roles | accounts are made by |\n| --- | --- | --- | --- | --- |"
    )
    section("platforms", "\n".join((head, *rows)))


def _describe_keys(releases: Iterable[KeysRead]) -> Iterator[str]:
    yield from ("Keys and tokens, which act as their owner, and what is read of them:", "")
    yield from ("| release | what is read | from | when |", "| --- | --- | --- | --- |")
    yield from (f"| {keys.release} | {keys.what} | {keys.source} | {keys.date} |" for keys in releases)
    yield ""


def test_the_page_of_platforms_is_what_the_platforms_say(request: pytest.FixtureRequest) -> None:
    """Credential fields and limits, in the adapters' own words."""
    parts = [
        "# Platforms",
        "",
        "What each adapter says of itself: the credentials it asks for, and what is not possible. Beside its credentials every",
        "instance has `URL`, the address that they are for, and may have `HEADERS`, what opens a gate before it ([gates.md](gates.md)).",
        "",
        "How well a release is known stands in its table: *driven live* (a real server of it was driven), *recorded* (what it",
        "answered is replayed against the sandbox in the tests), or only *read* (source, changelog or documentation). `siteward",
        "doctor` says it of the server at hand.",
    ]
    for name in platforms.names():
        platform = platforms.load(name)
        fields = {
            **platform.fields,
            **{f"{field} (optional)": about for field, about in platform.optional_fields.items()},
        }
        parts += [
            "",
            f"## {platform.title} (`{name}`)",
            "",
            f"Sandboxes (`siteward sandbox {name} --release R`): {', '.join(platform.releases)}.",
            "",
            "| release | how it is known | from | when |",
            "| --- | --- | --- | --- |",
            *(
                f"| {known.release} | {', '.join(known.how)} | {known.source} | {known.date} |"
                for known in platform.known
            ),
            "",
            *_describe_keys(platform.keys),
            "Credentials:",
            "",
        ]
        parts += [
            f"- `{field.split()[0].upper()}`{field.partition(' ')[1]}{field.partition(' ')[2]}: {about}"
            for field, about in fields.items()
        ]
        if platform.setup:
            parts += ["", "The role of the database, made by its owner in the database of the product:", ""]
            parts += [f"<!-- run by: tests/crossings/test_pgbouncer.py -->\n\n```sql\n{platform.setup}```"]
        parts += ["", "What it cannot do, and what to know:", "", *(f"- {limit}" for limit in platform.limits)]
    wanted, page = "\n".join(parts) + "\n", ROOT / "docs" / "platforms.md"
    if request.config.getoption("--update-golden") and not os.environ.get("CI"):
        page.write_text(wanted, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == wanted, "docs/platforms.md is out of date; run pytest --update-golden"


def test_every_verb_is_in_the_readme() -> None:
    """No verb is left out of the table of verbs."""
    from siteward.cli.app import VERBS

    table = README.read_text(encoding="utf-8")
    assert not [verb for verb in VERBS if f"`{verb}`" not in table]


def _releases(platform: Platform) -> str:
    """The releases that have a sandbox: those that were driven live, then those that were only read about."""
    driven = {known.release for known in platform.known if known.is_driven}
    live = [release for release in platform.releases if release in driven]
    read = [release for release in platform.releases if release not in driven]
    return "; ".join((*([", ".join(live)] if live else ()), *([f"only read about: {', '.join(read)}"] if read else ())))


def _row(platform: Platform) -> str:
    traits = platform.widest
    sites = [role for kind in ("site", "metasite") for role in traits.roles.get(kind, ()) if role.declarable]
    names = list(dict.fromkeys(f"{site.name}" + (f" ({site.portable})" if site.portable else "") for site in sites))
    account = [role.name for role in reversed(traits.roles.get("instance", ())) if role.declarable]
    cells = (
        f"**{platform.title}** `{platform.name}`",
        _releases(platform),
        ", ".join(names) or "none",
        ", ".join(account) or "none",
        " or ".join(sorted(traits.onboarding)),
    )
    return f"| {' | '.join(cells)} |"
