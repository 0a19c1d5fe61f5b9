"""`import`: a first file from a live instance, which validates and leaves nothing to plan; and what it refuses."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from cli.conftest import start
from siteward.platforms.fakery import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

SETTINGS = {
    "umami": ("--set", "layout=per-site"),
    "matomo": ("--self", "root"),
    "piwik-pro": ("--set", "native=true"),
    "plausible": ("--self", "siteward@example.org", "--set", "requests_per_hour=700", "--set", "edition=cloud"),
}


@pytest.fixture(params=["umami", "matomo", "piwik-pro", "plausible"])
def place(request: pytest.FixtureRequest, program: Program) -> Iterator[tuple[Program, str, str]]:
    """A lived-in server of each platform: the program with its credentials, the platform, and the address."""
    fake = start(request.param)
    with ExitStack() as stack:
        sandbox = stack.enter_context(serve(fake))
        program.env |= {f"SITEWARD_IT_{name.upper()}": value for name, value in fake.credentials.items()}
        yield program, request.param, sandbox.url


def _import(place: tuple[Program, str, str], *more: str) -> tuple[int, str]:
    program, platform, url = place
    result = program("import", "--instance", "it", "--platform", platform, "--url", url, *more)
    assert "Traceback" not in result.err
    return result.code, result.err


def test_the_file_is_right_and_its_plan_is_empty(place: tuple[Program, str, str]) -> None:
    """The round: live, file, plan without a step; a second import never overwrites."""
    program, platform, _ = place
    code, told = _import(place, *SETTINGS[platform])
    assert code == 0, told
    assert program("validate").code == 0, program("validate").out
    planned = program("plan", "--format", "json").json()
    assert [instance["steps"] for instance in planned["plan"]["instances"]] == [[]]
    code, told = _import(place, *SETTINGS[platform])
    assert code == 1
    assert "not overwritten" in told


def test_what_is_never_shown_is_accepted_and_said(place: tuple[Program, str, str]) -> None:
    """The plan that follows has exit code 0: what the platform can never show is named, with what it is."""
    program, platform, _ = place
    assert _import(place, *SETTINGS[platform])[0] == 0
    planned = program("plan", "--format", "json")
    (instance,) = planned.json()["plan"]["instances"]
    spots = instance.get("blind_spots", [])
    assert spots == instance.get("accepted_blind", [])
    assert planned.code == 0
    text = (program.folder / "access.yaml").read_text(encoding="utf-8")
    assert text.count("# Never shown here: ") == len(spots)
    assert len(spots) == {"umami": 1, "plausible": 2}.get(platform, 0)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--self", "nobody"), "nobody"),
        (("--set", "layuot=per-site"), "no such setting"),
        (("--instance", "u m"), "cannot name an instance"),
        (("--platform", "umammi"), "no platform 'umammi'"),
    ],
)
def test_what_it_refuses_it_refuses_before_writing(
    more: tuple[str, ...], said: str, place: tuple[Program, str, str]
) -> None:
    """A wrong name, setting, platform or account is told, and no file is left."""
    if place[1] == "plausible" and said == "nobody":
        pytest.skip("no call of Plausible's API tells whose key it is")
    code, told = _import(place, *SETTINGS[place[1]], *more)
    assert code == 1
    assert said in told
    assert not (place[0].folder / "access.yaml").exists()


def test_a_wrong_value_names_its_key_and_what_it_is(place: tuple[Program, str, str]) -> None:
    """One key and one description, not those of all settings."""
    program, _, _ = place
    result = program(
        "import", "--instance", "it", "--platform", "plausible", "--url", "https://p.test", "--set", "edition=Cloud"
    )
    assert result.code == 1
    assert "say --set edition=auto|cloud|enterprise|ce: " in result.err
    assert "is none of these" in result.err
    assert "requests" not in result.err


def test_who_is_taken_out_of_the_imported_file_loses_access(program: Program) -> None:
    """`import` begins the journal, and no apply has to come first."""
    with serve(start("umami")) as sandbox:
        program.env |= {f"SITEWARD_IT_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        assert _import((program, "umami", sandbox.url), *SETTINGS["umami"])[0] == 0
        assert (program.folder / ".siteward" / "it.jsonl").exists()
        assert sandbox.fake.writes == 0
        path = program.folder / "access.yaml"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line.replace("kofi, ", "") for line in lines if "  kofi:" not in line))
        assert "kofi" not in path.read_text()
        planned = program("plan", "--format", "json").json()
        (instance,) = planned["plan"]["instances"]
        assert {(step["person"], step["cause"]) for step in instance["steps"]} == {("kofi", "left")}


def test_a_second_file_begins_no_journal_for_the_first_ones_project(program: Program) -> None:
    """A file beside a declaration that has fewer people would make leavers of all others."""
    with serve(start("umami")) as sandbox:
        program.env |= {f"SITEWARD_IT_{name.upper()}": value for name, value in sandbox.fake.credentials.items()}
        text = (
            f"version: 1\ninstances: {{it: {{platform: umami, url: '{sandbox.url}', layout: per-site}}}}\nusers: {{}}\n"
        )
        program.write(text)
        assert program("import", "--instance", "it", "--out", "look.yaml").code == 0
        assert not (program.folder / ".siteward" / "it.jsonl").exists()


@pytest.mark.parametrize("remembered", [True, False])
def test_adopting_all_from_nothing_leaves_nothing_to_plan(place: tuple[Program, str, str], *, remembered: bool) -> None:
    """The same round by `adopt`, on a file that declares nobody: what cannot be declared is told, and no step follows."""
    program, platform, _ = place
    settings = () if platform == "piwik-pro" else SETTINGS[platform]
    assert _import(place, *settings)[0] in {0, 2}  # as the plan that follows leaves, where groups are not declared
    path = program.folder / "access.yaml"
    if not remembered:
        shutil.rmtree(program.folder / ".siteward")
    head = path.read_text(encoding="utf-8").partition("\nsites:")[0]
    path.write_text(
        f"{head.replace('    native: true', '    # lists follow')}\nusers: {{}}\ngrants: []\n", encoding="utf-8"
    )
    done = program("adopt", "all", "--write")
    assert done.code in {0, 3}, done.out + done.err
    assert (done.code == 3) == ("left to you" in done.err)
    assert program("validate").code == 0
    planned = program("plan", "--format", "json").json()
    steps = [step for instance in planned["plan"]["instances"] for step in instance["steps"]]
    told = done.err.count("not adopted, so the next plan changes it")
    assert len(steps) == told
    assert ("unmanaged: revoke" in done.err) != remembered


@pytest.mark.parametrize("verb", ["import", "init"])
def test_a_file_that_is_wrong_is_not_passed_over(program: Program, verb: str) -> None:
    """What the file beside it says of the instance may not be ignored because the file has an error somewhere."""
    text = "version: 1\ninstances: {it: {platform: umami, url: https://stats.example.org, self: siteward}}\n"
    (program.folder / "access.yaml").write_text(text)
    result = program(
        verb, "--out", "new.yaml", "--instance", "it", "--platform", "umami", "--url", "http://127.0.0.1:9"
    )
    assert result.code == 1
    assert "missing-key" in result.out + result.err
    assert "access.yaml:2:13" in result.out + result.err
    assert not (program.folder / "new.yaml").exists()
