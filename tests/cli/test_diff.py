"""Two revisions by effective access: offline, without credentials, the dangerous first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.conftest import AS_OF, ROOT
from cli.repo import commit, edit, git

if TYPE_CHECKING:
    from cli.conftest import Program


@pytest.fixture
def repo(program: Program) -> Program:
    """The example in a repository of its own; no server, no credentials."""
    program.write((ROOT / "tests/cli/access.yaml").read_text(encoding="utf-8"))
    for path in (ROOT / "examples").rglob("*.yaml"):
        program.write(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    commit(program, "Begin")
    return program


def diff(program: Program, *arguments: str) -> Any:
    result = program("diff", "main", *AS_OF, *arguments, "--format", "json")
    data = result.json()
    assert result.code == data["exit_code"], result.err
    return data


def told(data: Any) -> set[tuple[str, str, str]]:
    return {(movement["kind"], movement["person"], movement["scope"][-1]) for movement in data["movements"]}


def only(data: Any, person: str) -> Any:
    found = [movement for movement in data["movements"] if movement["person"] == person]
    assert len(found) == 1, found
    return found[0]


def test_nothing_differs(repo: Program) -> None:
    """A comment is no difference."""
    edit(repo, ("version: 1\n", "version: 1    # still\n"))
    assert diff(repo)["summary"]["people"] == 0
    assert repo("diff", "main", *AS_OF).code == 0


def test_a_group_gains_a_member(repo: Program) -> None:
    """The line of the group was edited; told is what its members get, and through what."""
    edit(repo, ("newsroom: [julia, ivan]", "newsroom: [julia, ivan, lena]"))
    data = diff(repo)
    assert told(data) == {("gained", "lena", "blog.example.org")}
    after = only(data, "lena")["after"]
    assert after["via"] == ["group newsroom", "role publisher"]
    assert (repo.folder / "access.yaml").read_text().splitlines()[after["line"] - 1].startswith("  - {to: newsroom")


def test_a_role_is_redefined(repo: Program) -> None:
    """Whoever holds the role moves, and where it raises power that is told first."""
    edit(repo, ('publisher: {umami: "umami:team-member"}', "publisher: {umami: manage}"))
    data = diff(repo)
    assert told(data) == {("raised", "julia", "blog.example.org"), ("raised", "ivan", "blog.example.org")}
    assert data["summary"]["escalations"] == 2
    text = repo("diff", "main", *AS_OF).out
    assert "Privilege increased" in text
    assert "team-member → team-manager" in text


def test_a_tag_moves(repo: Program) -> None:
    """A site that bears a tag more is reached by everybody whom the tag leads there."""
    edit(
        repo, ("docs: {domain: docs.example.org, tags: [production]}", "docs: {domain: docs.example.org, tags: [acme]}")
    )
    data = diff(repo)
    assert ("gained", "jonas", "docs.example.org") in told(data)
    gained = next(movement for movement in data["movements"] if movement["person"] == "jonas")
    assert "tag acme" in gained["after"]["via"]
    assert gained["band"] == "outsider"


def test_a_date_passes_and_a_date_moves(repo: Program) -> None:
    """A later end is told as longer, an end that lies before today as a loss, with the reason."""
    edit(repo, ("until: 2027-06-30}", "until: 2027-12-31}"), name="examples/teams/shop.yaml")
    edit(repo, ("{user: jonas, until: 2027-02-28}", "{user: jonas, until: 2026-11-30}"))
    data = diff(repo)
    assert ("longer", "tessa", "shop.example.org") in told(data)
    lost = [movement for movement in data["movements"] if movement["person"] == "jonas"]
    assert {movement["kind"] for movement in lost} == {"lost"}
    assert {movement["ending"] for movement in lost} == {"expired"}


def test_what_begins_later_is_told_with_its_day(repo: Program) -> None:
    """A grant that is not in force yet cannot slip by."""
    edit(repo, ("grants:\n", "grants:\n  - {to: lena, role: manage, sites: shop, from: 2027-02-01}\n"))
    data = diff(repo)
    later = only(data, "lena")
    assert (later["kind"], later["escalation"]) == ("gained", True)
    assert later["begins"].startswith("2027-01-31 23:00")


def test_an_exclusion_that_falls_away_is_a_gain(repo: Program) -> None:
    """Without known sites a pattern stands for itself, and what is left out of it still counts."""
    edit(repo, ('"!internal.example.org", ', ""))
    data = diff(repo)
    assert ("wider", "carla", "*.example.org") in told(data)
    assert "anna" not in {movement["person"] for movement in data["movements"]}  # an admin has it anyway


def test_selectors_are_resolved_against_a_snapshot(checkout: Program) -> None:
    """With the sites of a snapshot, a wildcard is told as the sites it means; nobody's name is in the snapshot."""
    commit(checkout)
    checkout("plan", *AS_OF, "--save-snapshot", "sites")
    assert "anna" not in (checkout.folder / "sites" / "stats.json").read_text()
    edit(checkout, ('"!internal.example.org", ', ""))
    checkout.env.clear()
    data = diff(checkout, "--snapshot", "sites")
    assert ("gained", "carla", "internal.example.org") in told(data)
    assert not data["unresolved"]
    assert diff(checkout)["unresolved"] == ["stats"]


def test_who_leaves_the_file_loses_everything(repo: Program) -> None:
    """An omission is told as that, at the line that once granted."""
    edit(repo, ("  lena: {email: lena@example.org}\n", ""), ("[marco, lena]", "marco"))
    lost = only(diff(repo), "lena")
    assert (lost["kind"], lost["ending"]) == ("lost", "left")
    assert "access.yaml:73 at main" in repo("diff", "main", *AS_OF).out


def test_rules_settings_and_kinds_are_told(repo: Program) -> None:
    """What judges access is no access, and stands above it."""
    edit(
        repo,
        ("vera: {email: vera@agency.test, kind: contractor", "vera: {email: vera@agency.test, kind: person"),
        ("      admins: {min: 2, max: 4}", "      admins: {min: 1, max: 4}"),
        ("    mode: full ", "    mode: observe "),
        ("forge: {github: anna-berg}", "forge: {github: mallory}"),
        ("require: [ticket, reason]}", "require: [ticket]}"),
        ('sites: [shop.example.org, "*.shop.example.org"], at_most: edit', "at_most: manage"),
    )
    data = diff(repo)
    assert {notice["code"] for notice in data["notices"]} == {
        "kind-changed", "policy-changed", "identity-changed",
    }  # fmt: skip
    messages = " / ".join(notice["message"] for notice in data["notices"])
    for word in (
        "admins.min was 2 and becomes 1",
        "mode was full and becomes observe",
        "admin-needs-ticket",
        "may grant",
    ):
        assert word in messages
    assert data["exit_code"] == 2


def test_two_revisions_without_the_checkout(repo: Program) -> None:
    """Both sides may be commits; what lies in the checkout is then not looked at."""
    edit(repo, ("newsroom: [julia, ivan]", "newsroom: [julia, ivan, lena]"))
    commit(repo)
    repo.write("nonsense: [")
    data = repo("diff", "HEAD~1", "HEAD", *AS_OF, "--format", "json").json()
    assert told(data) == {("gained", "lena", "blog.example.org")}


def test_the_numbers_are_the_same_everywhere(repo: Program) -> None:
    """Text, comment and data count from one object."""
    edit(
        repo,
        ("newsroom: [julia, ivan]", "newsroom: [julia, ivan, lena, tessa, jonas]"),
        ("role: publisher", "role: view"),
    )
    data = diff(repo)
    headline = ", ".join(
        f"{data['summary'][kind]} {kind}" for kind in ("gained", "lowered", "lost") if data["summary"][kind]
    )
    assert f"Diff: {headline}" in repo("diff", "main", *AS_OF).out
    assert f"Access diff: {headline}" in repo("diff", "main", *AS_OF, "--format", "markdown").out
    assert sum(data["summary"][kind] for kind in ("gained", "lowered", "lost")) == len(data["movements"])


def test_privacy(repo: Program) -> None:
    """Handles hide logins and e-mails, counts hide everybody."""
    edit(
        repo,
        ("{to: kofi-mensah, role: view, sites: docs}", "{to: kofi-mensah, role: edit, sites: docs}"),
        ("vera@agency.test", "vera@other.test"),
    )
    for form in ("text", "markdown", "json"):
        full = repo("diff", "main", *AS_OF, "--format", form).out
        handles = repo("diff", "main", *AS_OF, "--format", form, "--privacy", "handles").out
        counts = repo("diff", "main", *AS_OF, "--format", form, "--privacy", "counts").out
        assert "other.test" in full
        assert "other.test" not in handles
        assert "kofi-mensah" in handles
        assert "kofi" not in counts
    data = json.loads(repo("diff", "main", *AS_OF, "--format", "json", "--privacy", "handles").out)
    assert only(data, "kofi-mensah")["after"]["account"] == "kofi-mensah"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "no revision nowhere"),
        (("--", "--upload-pack=x"), "no revision"),
        (("main", "nowhere"), "no revision"),
    ],
)
def test_a_revision_that_is_not_there(repo: Program, arguments: tuple[str, ...], said: str) -> None:
    result = repo("diff", *arguments)
    assert result.code == 1
    assert said in result.out
    assert "next:" in result.out


def test_the_first_pull_request_gives_everything(program: Program) -> None:
    """Where the base has no such file, all is gained."""
    program.write("nothing yet\n", "README")
    commit(program)
    program.write((ROOT / "tests/cli/access.yaml").read_text(encoding="utf-8").replace("include:\n", "").replace(
        '  - {path: examples/teams/shop.yaml, sites: [shop.example.org, "*.shop.example.org"], at_most: edit}\n', ""))  # fmt: skip
    data = diff(program)
    assert {movement["kind"] for movement in data["movements"]} == {"gained", "deleted"}  # old-ed is absent


def test_a_hostile_revision_stays_in_its_folder(repo: Program) -> None:
    """Attributes, links and filters of a revision are not followed when it is read."""
    secret = repo.folder.parent / "secret.yaml"
    secret.write_text("users: {stolen: {email: secret@example.org}}\n")
    (repo.folder / "examples" / "link.yaml").symlink_to(secret)
    (repo.folder / "examples" / "climb.yaml").symlink_to("../../secret.yaml")
    (repo.folder / "examples" / "inside.yaml").symlink_to("teams/shop.yaml")
    repo.write("*.yaml export-ignore filter=evil\n", ".gitattributes")
    git(repo, "config", "filter.evil.smudge", "touch ../pwned")
    edit(repo, ("path: examples/teams/shop.yaml", "path: examples/inside.yaml"))
    git(repo, "config", "filter.evil.clean", "cat")
    commit(repo)
    assert repo("diff", "main", *AS_OF).code == 0
    for before, name in (("inside", "link"), ("link", "climb")):
        edit(repo, (f"examples/{before}.yaml", f"examples/{name}.yaml"))
        commit(repo)
        result = repo("diff", "main~1", "main", *AS_OF)
        assert result.code == 1
        assert "stolen" not in result.out
    assert not (repo.folder.parent / "pwned").exists()


def test_a_user_who_is_renamed_loses_and_gains_nothing(repo: Program) -> None:
    """`previously` names the former handle: it is told that they are one, and where the platform renames, no more."""
    edit(repo, ("  lena: {email: lena@example.org}", "  lena-m: {email: lena@example.org, previously: [lena]}"),
         ("{to: [marco, lena], role: edit", "{to: [marco, lena-m], role: edit"))  # fmt: skip
    data = diff(repo)
    assert told(data) == set()
    assert [notice["code"] for notice in data["notices"]] == ["renamed"]
    assert "lena is called lena-m now" in repo("diff", "main", *AS_OF).out


def test_an_instance_that_leaves_the_file_takes_nothing_from_anybody(repo: Program) -> None:
    """What was managed is left as it is; the warning says so, and there is no list of losses."""
    text = (repo.folder / "access.yaml").read_text()
    other = "  other: {platform: matomo, url: https://m.example.org, self: root}\n"
    repo.write(text.replace("instances:\n", f"instances:\n{other}", 1).replace(
        "grants:\n", "grants:\n  - {to: carla, role: view, sites: shop.example.org, on: other}\n", 1))  # fmt: skip
    commit(repo, "Have another instance")
    repo.write(text)
    data = diff(repo)
    assert told(data) == set()
    assert "instance-changed" in {notice["code"] for notice in data["notices"]}


def test_a_handle_gives_a_runner_no_commands(repo: Program) -> None:
    """A log of GitHub's takes `::…` at the beginning of a line, blanks or not, for a command."""
    edit(repo, ("  lena: {email: lena@example.org}", '  "::add-mask::x": {email: mask@example.org}\n  lena: {email: lena@example.org}'),
         ("{to: [marco, lena], role: edit", '{to: [marco, lena, "::add-mask::x"], role: edit'))  # fmt: skip
    for form in ("text", "markdown"):
        text = repo("diff", "main", *AS_OF, "--format", form).out
        assert "mask" in text
        assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
