"""`init`: from a live server to access under code, in CI too; what it asks, what it leaves alone, and what it never writes."""

from __future__ import annotations

import codecs
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ruamel.yaml import YAML

from cli.conftest import base_environment, start
from siteward import platforms
from siteward.cli.ci_files import RECIPES, Filled, add, fill, recipes
from siteward.platforms.fakery import Sandbox, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Program

UMAMI = ("--platform", "umami", "--set", "layout=per-site")
CI = Path(__file__).parents[2] / "examples" / "ci"


@pytest.fixture
def matomo() -> Iterator[Sandbox]:
    with serve(start("matomo")) as sandbox:
        yield sandbox


def trust(program: Program, name: str, sandbox: Sandbox) -> None:
    program.env |= {
        f"SITEWARD_{name.upper()}_{field.upper()}": value for field, value in sandbox.fake.credentials.items()
    }


def files_of(program: Program) -> dict[str, str]:
    """Return the texts of all files that are there, by path."""
    return {
        path.relative_to(program.folder).as_posix(): path.read_text()
        for path in program.folder.rglob("*")
        if path.is_file() and ".git/" not in path.as_posix()
    }


def wait_until_asleep(process: int) -> None:
    """Wait until a process waits: a signal just before a question is read is heard with the answer only, as in all of Python."""
    state = Path(f"/proc/{process}/stat")
    time.sleep(0.0 if state.exists() else 0.2)
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] in "RD":
        time.sleep(0.01)


def typed(program: Program, *words: str, arguments: tuple[str, ...] = ("init",)) -> tuple[int, str]:
    """Run at a terminal and answer each question when it is asked; return the exit code, and everything that was said.

    `^C` interrupts it instead.
    """
    ours, theirs = pty.openpty()
    text = codecs.getincrementaldecoder("utf-8")()
    answers, said, ends = list(words), "", time.monotonic() + 120
    with subprocess.Popen(
        [sys.executable, "-m", "siteward", *arguments],
        cwd=program.folder, env=base_environment() | program.env, stdin=theirs, stdout=theirs, stderr=theirs,
    ) as running:  # fmt: skip
        os.close(theirs)
        asked = 0
        while time.monotonic() < ends and (running.poll() is None or select.select([ours], [], [], 0)[0]):
            try:
                said += text.decode(os.read(ours, 65536)) if select.select([ours], [], [], 0.2)[0] else ""
            except OSError:
                break  # the other side is closed
            if answers and said[asked:].endswith(": "):
                asked, word = len(said), answers.pop(0)
                if word != "^C":
                    os.write(ours, f"{word}\n".encode())
                    continue
                wait_until_asleep(running.pid)
                running.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            running.wait(60)
        running.kill()
    os.close(ours)
    assert "Traceback" not in said, said
    return running.returncode, said


def test_two_servers_are_under_code_in_three_commands(program: Program, umami: Sandbox, matomo: Sandbox) -> None:
    """An Umami with 30 accounts and a Matomo beside it: two files of answers, an empty plan, CI that knows both."""
    trust(program, "stats", umami)
    trust(program, "eu", matomo)
    first = program("init", *UMAMI, "--url", umami.url, "--ci", "github")
    second = program(
        "init", "--instance", "eu", "--platform", "matomo", "--url", matomo.url, "--self", "root", "--ci", "github"
    )
    planned = program("plan")
    assert (first.code, second.code, planned.code) == (0, 0, 0), first.err + second.err + planned.out
    assert "read 30 accounts" in first.out
    assert planned.out.count("no changes: ") == 2
    assert program("validate").out.startswith("valid: 0 errors, 0 warnings")
    assert (umami.fake.writes, matomo.fake.writes) == (0, 0)
    there = files_of(program)
    needed = {"SITEWARD_STATS_URL", "SITEWARD_STATS_USERNAME", "SITEWARD_STATS_PASSWORD", "SITEWARD_EU_URL"} | {
        "SITEWARD_EU_SELF", "SITEWARD_EU_TOKEN", "SITEWARD_EU_PASSWORD", "SITEWARD_JOURNAL_KEY",
        "SITEWARD_STATS_HEADERS", "SITEWARD_EU_HEADERS",
    }  # fmt: skip
    for name in ("siteward-plan", "siteward-apply", "siteward-dates", "siteward-record", "siteward-drift"):
        jobs = yaml.safe_load(there[f".github/workflows/{name}.yml"])["jobs"].values()
        steps = [
            step["env"].keys()
            for job in jobs
            for step in job.get("steps", ())
            if "SITEWARD_STATS_URL" in step.get("env", {})
        ]
        assert steps
        assert all(needed == set(step) & needed | {"SITEWARD_JOURNAL_KEY"} for step in steps), name


def test_no_credential_is_in_any_file(program: Program, umami: Sandbox) -> None:
    """Nor is one said."""
    trust(program, "stats", umami)
    told = program("init", *UMAMI, "--url", umami.url, "--ci", "gitlab", "-vv")
    secret = umami.fake.credentials["password"]
    assert secret not in told.out + told.err
    assert [name for name, text in files_of(program).items() if secret in text] == []


def test_it_ends_with_what_comes_next(program: Program, umami: Sandbox) -> None:
    """Three commands, what `unmanaged` leads to, whose journal counts; the first of them finds nothing to do."""
    trust(program, "stats", umami)
    told = program("init", *UMAMI, "--url", umami.url, "--ci", "github")
    lines = told.err.splitlines()
    after = [line.strip() for line in lines[lines.index("next:") + 1 :]]
    assert [line.split("    #")[0] for line in after] == [
        "siteward plan",
        "siteward matrix -o matrix.html",
        "git add access.yaml schemas/access.schema.json .gitignore .github/workflows .github/actions ci && git commit -m 'Access under code'",
    ]
    assert "Plan: nothing to do." in told.out
    assert "unmanaged: revoke" in told.err
    assert "the journal that counts is the one that CI pulls" in told.err
    assert program("plan").code == 0


def test_the_schema_is_where_the_file_says(program: Program, umami: Sandbox) -> None:
    """An editor finds it, and git ignores what must not be committed."""
    trust(program, "stats", umami)
    program("init", *UMAMI, "--url", umami.url)
    there = files_of(program)
    assert there["access.yaml"].startswith("# yaml-language-server: $schema=./schemas/access.schema.json\n")
    assert json.loads(there["schemas/access.schema.json"]) == program("schema").json()
    assert there[".gitignore"].splitlines() == [".siteward/", ".env", "passwords.txt", "plan.json", "*.plan.json"]


# -- what is missing


@pytest.mark.parametrize("platform", platforms.names())
def test_what_is_missing_is_one_error_where_nobody_can_be_asked(platform: str, program: Program) -> None:
    """Every option and variable at once, no waiting, and no file."""
    told = program("init", "--platform", platform)
    assert told.code == 1
    assert "--url URL" in told.err
    fields = {**platforms.load(platform).fields} or {**platforms.load(platform).optional_fields}
    assert all(f"SITEWARD_STATS_{field.upper()}" in told.err for field in fields)
    assert ("--self LOGIN" in told.err) == (not platforms.widest_of(platform).knows_self)
    assert ("--set layout=per-site|existing" in told.err) == (platform == "umami")
    assert files_of(program) == {}


def test_without_anything_it_says_where_to_begin(program: Program) -> None:
    told = program("init")
    assert told.code == 1
    assert "--platform PLATFORM    one of matomo, piwik-pro, plausible, umami" in told.err
    assert "--url URL" in told.err


@pytest.mark.parametrize("given", ["password=hunter22", "password", "password=env:", "password=keyring:x"])
def test_a_value_never_stands_on_the_command_line(given: str, program: Program) -> None:
    """It is refused, and not said again."""
    told = program("init", *UMAMI, "--credential", given)
    assert told.code == 1
    assert "a value never stands on a command line" in told.err
    assert "hunter22" not in told.err


def test_a_field_that_the_platform_has_not_is_told(program: Program) -> None:
    told = program("init", *UMAMI, "--url", "http://127.0.0.1:9", "--credential", "tokn=env:HOME")
    assert told.code == 1
    assert "Umami (self-hosted) has username, password" in told.err


@pytest.mark.parametrize("source", ["env:MINE", "file:secret.txt", "command:cat secret.txt"])
def test_a_credential_is_taken_from_where_it_is_said_to_be(source: str, program: Program, umami: Sandbox) -> None:
    """And the next commands are told where that is, without it."""
    secret = umami.fake.credentials["password"]
    program.write(f"{secret}\n", "secret.txt")
    program.env |= {"SITEWARD_STATS_USERNAME": "siteward", "MINE": secret}
    told = program("init", *UMAMI, "--url", umami.url, "--credential", f"password={source}")
    assert told.code == 0, told.err
    assert "export SITEWARD_STATS_PASSWORD" in told.err
    assert secret not in told.err


def test_wrong_credentials_leave_nothing_behind(program: Program, umami: Sandbox) -> None:
    trust(program, "stats", umami)
    program.env["SITEWARD_STATS_PASSWORD"] = "wrong"
    told = program("init", *UMAMI, "--url", umami.url, "--ci", "github")
    assert told.code == 1
    assert files_of(program) == {}


# -- at a terminal


def test_what_the_environment_names_is_not_missing(program: Program, matomo: Sandbox) -> None:
    """The address and the account behind the credentials stand beside these; `import` takes them from there too."""
    trust(program, "eu", matomo)
    program.env |= {"SITEWARD_EU_URL": matomo.url, "SITEWARD_EU_SELF": "root"}
    told = program("init", "--instance", "eu", "--platform", "matomo")
    assert told.code == 0, told.err
    assert yaml.safe_load(files_of(program)["access.yaml"])["instances"]["eu"]["self"] == "root"
    told = program("import", "--instance", "eu", "--platform", "matomo", "--out", "again.yaml")
    assert told.code == 0, told.err


def test_it_asks_for_what_is_missing(program: Program, umami: Sandbox) -> None:
    """Platform, address, the choice it cannot make, and the credentials; the password is neither shown nor kept."""
    secret = umami.fake.credentials["password"]
    code, said = typed(program, "umami", umami.url, "per-site", "siteward", secret)
    assert code == 0, said
    assert "per-site: Siteward keeps one team for each site" in said
    assert "existing: teams stay as they are" in said
    assert secret not in said
    assert "as you typed it; it is written nowhere" in said
    assert [name for name, text in files_of(program).items() if secret in text] == []


def test_self_is_explained_where_the_platform_cannot_tell(program: Program, matomo: Sandbox) -> None:
    trust(program, "stats", matomo)
    code, said = typed(program, "matomo", matomo.url, "root")
    assert code == 0, said
    assert "does not show whose credentials are in use" in said


def test_a_source_may_be_typed_too(program: Program, umami: Sandbox) -> None:
    program.write(umami.fake.credentials["password"], "secret.txt")
    arguments = ("init", *UMAMI, "--url", umami.url)
    code, said = typed(program, "siteward", "file:secret.txt", arguments=arguments)
    assert code == 0, said
    assert f"export SITEWARD_STATS_PASSWORD_FILE={program.folder / 'secret.txt'}" in said


def test_an_interrupted_question_leaves_nothing_behind(program: Program) -> None:
    """^C at a prompt, and the end of what is typed."""
    for word in ("^C", "\x04"):
        code, _ = typed(program, "umami", word)
        assert code == 130
        assert files_of(program) == {}


# -- what is there already


def test_what_is_there_stays(program: Program, umami: Sandbox) -> None:
    """Lines are added to .gitignore; a schema and workflows that somebody has changed stay; twice is refused."""
    trust(program, "stats", umami)
    program.write("*.log\n.env", ".gitignore")
    program.write("{}", "schemas/access.schema.json")
    program.write("mine\n", ".github/workflows/siteward-check.yml")
    told = program("init", *UMAMI, "--url", umami.url, "--ci", "github")
    assert told.code == 0, told.err
    there = files_of(program)
    assert there[".gitignore"].splitlines() == [
        "*.log",
        ".env",
        ".siteward/",
        "passwords.txt",
        "plan.json",
        "*.plan.json",
    ]
    assert there["schemas/access.schema.json"] == "{}"
    assert there[".github/workflows/siteward-check.yml"] == "mine\n"
    again = program("init", *UMAMI, "--url", umami.url, "--ci", "github")
    assert again.code == 1
    assert "declares stats already" in again.err
    assert files_of(program) == there


def test_a_second_instance_goes_into_workflows_that_somebody_has_changed(
    program: Program, umami: Sandbox, matomo: Sandbox
) -> None:
    """Only the lines of the new one are added."""
    trust(program, "stats", umami)
    trust(program, "eu", matomo)
    program("init", *UMAMI, "--url", umami.url, "--ci", "github")
    path = program.folder / ".github" / "workflows" / "siteward-drift.yml"
    changed = path.read_text().replace("43 5 * * *", "1 2 * * *")
    path.write_text(changed)
    settings = ("--instance", "eu", "--platform", "matomo", "--url", matomo.url, "--self", "root")
    assert program("init", *settings, "--ci", "github").code == 0
    lines = [line for line in path.read_text().splitlines() if "SITEWARD_EU_" not in line]
    assert lines == changed.splitlines()


def test_a_folder_that_cannot_be_written_is_told(program: Program, umami: Sandbox) -> None:
    trust(program, "stats", umami)
    told = program("init", *UMAMI, "--url", umami.url, "--out", "missing/access.yaml")
    assert told.code == 1
    assert "cannot write missing/access.yaml" in told.err


# -- the recipes


def loaded(text: str) -> Any:
    return YAML(typ="safe").load(text)


@pytest.mark.parametrize("of", ["inputs", "matrix"])
def test_a_job_has_the_secrets_of_its_own_instance(of: str) -> None:
    """As the recipe has it: an instance that is added gets lines of its own, with its name in the condition."""
    line = (
        f"          SITEWARD_STATS_TOKEN: ${{{{ {of}.instance == 'stats' && secrets.SITEWARD_STATS_TOKEN || '' }}}}\n"
    )
    text = add(fill(line, Filled(name="eu-1", secret=("token",))), Filled(name="web", secret=("token",)))
    assert f"SITEWARD_EU_1_TOKEN: ${{{{ {of}.instance == 'eu-1' && secrets.SITEWARD_EU_1_TOKEN || '' }}}}\n" in text
    assert f"SITEWARD_WEB_TOKEN: ${{{{ {of}.instance == 'web' && secrets.SITEWARD_WEB_TOKEN || '' }}}}\n" in text
    assert "          SITEWARD_WEB_URL: ${{ vars.SITEWARD_WEB_URL }}\n" in text


def test_gitlab_is_told_its_instances(program: Program, umami: Sandbox, matomo: Sandbox) -> None:
    """In the file that its jobs include, as `siteward instances` writes it."""
    trust(program, "stats", umami)
    trust(program, "eu", matomo)
    assert program("init", *UMAMI, "--url", umami.url, "--ci", "gitlab").code == 0
    settings = ("--instance", "eu", "--platform", "matomo", "--url", matomo.url, "--self", "root")
    assert program("init", *settings, "--ci", "gitlab").code == 0
    written = (program.folder / "ci" / "instances.yml").read_text()
    assert written == program("instances", "--format", "gitlab-parallel").out
    assert [row["INSTANCE"] for row in loaded(written)[".siteward-instances"]["parallel"]["matrix"]] == ["stats", "eu"]


@pytest.mark.parametrize("path", sorted(path for path in CI.rglob("*") if path.is_file()), ids=lambda path: path.name)
def test_filling_twice_changes_nothing_more(path: Path) -> None:
    """Every recipe stays what it is where it has no instance, and an instance is added but once."""
    recipe = path.read_text()
    eu = Filled(name="eu", secret=("token",))
    once = add(fill(recipe, Filled(name="stats", secret=("username", "password", "headers"))), eu)
    assert add(once, eu) == once
    assert fill(recipe, Filled(name="stats", secret=("username", "password", "headers"))) == recipe
    if path.suffix == ".yml":
        assert loaded(once) is not None


def test_every_recipe_with_credentials_is_filled() -> None:
    """No job is left that speaks of the recipe's own instance."""
    for path in {*CI.rglob("*.yml")} - {CI / "ci" / "instances.yml"}:
        filled = fill(path.read_text(), Filled(name="web", secret=("api_key",), plain=("url", "self")))
        assert "SITEWARD_STATS" not in filled, path
        assert "'stats'" not in filled, path


def test_what_an_installation_compiles_is_no_recipe(tmp_path: Path) -> None:
    """`pip install` leaves compiled files beside the recipes' Python."""
    shutil.copytree(CI, tmp_path / "ci")
    compiled = tmp_path / "ci" / "ci" / "__pycache__" / "pages.cpython-311.pyc"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_bytes(b"\xa7\r\r\n")
    for forge in RECIPES:
        names = recipes(forge, tmp_path / "ci").keys()
        assert "ci/pages.py" in names
        assert not [name for name in names if "__pycache__" in name]
