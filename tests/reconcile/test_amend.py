"""A right is granted, taken or given for a time by an edit of the file that is proven to do exactly that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from siteward.access.window import Window
from siteward.reconcile import amend
from siteward.reconcile.amend import Amendment, CannotAmendError, Wish
from siteward.reconcile.project import Project, open_project
from siteward.reconcile.undo.edits import _load
from siteward.reconcile.undo.revert import NotProvenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HEAD = """\
version: 1
instances:
  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site}
  eu: {platform: matomo, url: "https://matomo.example.org", self: root}
sites:
  shop: {domain: shop.example.org, tags: [acme]}
  blog: {domain: blog.example.org}
  lab: {domain: lab.example.org, only: eu}
users:
  anna: {email: anna@example.org}
  ben: {email: ben@example.org}
  cem: {email: cem@example.org}
groups:
  team: [anna, ben]    # the team
"""
VIEW = "  - {to: team, role: view, sites: [shop, blog]}  # OPS-1\n"


def project(folder: Path, grants: str = VIEW, head: str = HEAD) -> Project:
    """Return the project of a file with these grants."""
    path = folder / "access.yaml"
    path.write_text(f"{head}grants:\n{grants}", encoding="utf-8")
    opened = open_project(path, "test")
    assert isinstance(opened, Project), opened.diagnostics
    return opened


def changed(project: Project, done: Amendment) -> list[str]:
    """Return the lines that went and came."""
    (text,) = done.edit.texts.values()
    before, after = project.path.read_text().splitlines(), text.splitlines()
    return [
        *(f"- {line}" for line in before if line not in after),
        *(f"+ {line}" for line in after if line not in before),
    ]


def grant(project: Project, subject: str, role: str, *targets: str, **more: Any) -> Amendment:
    return amend.grant(project, Wish(subject=subject, role=role, targets=targets, **more), NOW)


def revoke(project: Project, subject: str, *targets: str, **more: Any) -> Amendment:
    return amend.revoke(project, Wish(subject=subject, targets=targets, **more), NOW)


def refused(ask: Callable[[], object]) -> list[tuple[str, str | None]]:
    """Return the rules and suggestions of a refusal."""
    with pytest.raises(CannotAmendError) as problem:
        ask()
    return [(said.code, said.suggestion) for said in problem.value.diagnostics]


# -- grants


def test_a_grant_is_one_row_at_the_end(tmp_path: Path) -> None:
    """With what was said of it, and nothing else in the file changes."""
    found = project(tmp_path)
    row = {"until": "2027-01-31", "ticket": "OPS-7", "reason": "a: b # c"}
    done = grant(found, "CEM", "edit", "shop", row=row, window=Window(None, NOW + timedelta(days=62)))
    assert changed(found, done) == [
        "+   - {to: cem, role: edit, sites: shop, until: 2027-01-31, ticket: OPS-7, reason: 'a: b # c'}"
    ]
    assert next(iter(done.edit.texts.values())).startswith(found.path.read_text())
    assert done.said == ()


@pytest.mark.parametrize(
    ("subject", "role", "targets", "on", "row"),
    [
        ("cem", "view", ("shop.example.org", "blog"), (), "{to: cem, role: view, sites: [shop.example.org, blog]}"),
        ("cem@example.org", "view", ("tag:acme",), ("eu",), "{to: cem, role: view, sites: tag:acme, on: eu}"),
        ("cem", "admin", ("stats",), (), "{to: cem, role: admin, on: stats}"),
        ("team", "edit", ("lab",), (), "{to: team, role: edit, sites: lab}"),
        ("cem", "matomo:write", ("lab",), (), "{to: cem, role: matomo:write, sites: lab}"),
        ("cem", "view", ("*.example.org",), (), "{to: cem, role: view, sites: '*.example.org'}"),
    ],
)
def test_what_a_grant_may_name(
    tmp_path: Path, subject: str, role: str, targets: tuple[str, ...], on: tuple[str, ...], row: str
) -> None:
    """Users by handle and address, groups; sites by handle, domain, tag and pattern; instances for the account."""
    found = project(tmp_path)
    assert changed(found, grant(found, subject, role, *targets, on=on)) == [f"+   - {row}"]


def test_all_that_is_unknown_is_told_at_once(tmp_path: Path) -> None:
    """User, instance, site and role, each with what was likely meant."""
    found = project(tmp_path)
    assert refused(lambda: grant(found, "ana", "edti", "shpo.example.org", on=("stast",))) == [
        ("unknown-user", "anna"), ("unknown-instance", "stats"), ("unknown-site", "shop.example.org"), ("unknown-role", "edit"),
    ]  # fmt: skip


def test_a_group_by_its_former_name_is_told_by_the_present_one(tmp_path: Path) -> None:
    """And one that is called so now is edited."""
    found = project(
        tmp_path, head=HEAD.replace("team: [anna, ben]", "team: {members: [anna, ben], previously: [crew]}")
    )
    assert refused(lambda: grant(found, "crew", "edit", "blog")) == [("unknown-user", "team")]
    assert changed(found, grant(found, "team", "edit", "blog")) == ["+   - {to: team, role: edit, sites: blog}"]


def test_a_site_that_only_the_server_knows_is_said_to_be_new(tmp_path: Path) -> None:
    """Without that it may be a slip of the pen."""
    found = project(tmp_path)
    assert refused(lambda: grant(found, "cem", "view", "news.example.net"))[0][0] == "unknown-site"
    done = grant(found, "cem", "view", "news.example.net", new_sites=True)
    assert changed(found, done) == ["+   - {to: cem, role: view, sites: news.example.net}"]


def test_what_is_so_already_needs_no_edit(tmp_path: Path) -> None:
    """The line is named, and that of the group by which it comes; more than was asked for counts too."""
    found = project(tmp_path)
    done = grant(found, "anna", "view", "shop")
    assert done.edit.texts == {}
    line = found.path.read_text().splitlines().index(VIEW.rstrip()) + 1
    assert done.said == (
        f"anna holds team-view-only on shop.example.org of stats (access.yaml:{line}), by the group team (access.yaml:{line - 2})",
        f"anna holds view on shop.example.org of eu (access.yaml:{line}), by the group team (access.yaml:{line - 2})",
    )
    more = project(tmp_path, "  - {to: cem, role: manage, sites: shop}\n")
    assert grant(more, "cem", "view", "shop").edit.texts == {}
    assert grant(found, "team", "view", "shop").edit.texts == {}


def test_a_role_that_no_instance_has_there_gives_nothing(tmp_path: Path) -> None:
    """Such as another platform's own, and nothing is handed out."""
    found = project(tmp_path)
    assert refused(lambda: grant(found, "cem", "umami:boss", "shop")) == [("gives-nothing", None)]
    assert (
        refused(lambda: grant(found, "cem", "matomo:write", "shop", on=("stats",)))[0][0] == "role-of-another-platform"
    )


def test_rules_are_told_of_the_new_row_alone(tmp_path: Path) -> None:
    """A broken rule blocks; a warning is a finding, and what was said of the file before is not said again."""
    rule = "policy:\n  rules:\n    - {id: asks, match: {power: manage}, require: [ticket]}\n"
    found = project(tmp_path, head=HEAD + rule)
    assert refused(lambda: grant(found, "cem", "manage", "shop")) == [("asks", None)]
    done = grant(found, "cem", "manage", "shop", row={"ticket": "OPS-1"})
    assert [said.code for said in done.findings] == []


def test_a_first_grant_is_not_written(tmp_path: Path) -> None:
    """Without any, the file manages no grants; with one, it would take all others."""
    path = tmp_path / "access.yaml"
    path.write_text(HEAD)
    opened = open_project(path, "test")
    assert isinstance(opened, Project)
    assert refused(lambda: grant(opened, "cem", "view", "shop")) == [("no-grants", None)]


def test_a_row_that_gives_nothing_is_refused(tmp_path: Path) -> None:
    """Such as on an instance where the site is not."""
    found = project(tmp_path)
    assert refused(lambda: grant(found, "cem", "view", "lab", on=("stats",)))[0][0] in {
        "gives-nothing",
        "site-not-on-instance",
    }


def test_an_elevation_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    """What somebody had before counts again after it; the proof looks at that moment too."""
    found = project(tmp_path)
    end = NOW + timedelta(hours=4)
    done = grant(
        found, "anna", "manage", "shop", row={"until": "2026-12-01T16:00:00Z", "reason": "x"}, window=Window(None, end)
    )
    assert changed(found, done) == [
        "+   - {to: anna, role: manage, sites: shop, until: 2026-12-01T16:00:00Z, reason: x}"
    ]
    with pytest.raises(CannotAmendError, match="would not be as asked for"):
        grant(found, "anna", "manage", "shop", window=Window(None, end))


# -- what is taken


def test_who_loses_a_part_of_what_a_group_gives(tmp_path: Path) -> None:
    """On all instances in one row, and the group is told with its line."""
    found = project(tmp_path)
    done = revoke(found, "anna", "shop")
    assert changed(found, done) == [
        "-   - {to: team, role: view, sites: [shop, blog]}  # OPS-1",
        "+   team-without-anna: [team, '!anna']",
        "+   - {to: team-without-anna, role: view, sites: [shop, blog]}  # OPS-1",
        "+   - {to: anna, role: view, sites: [blog]}",
    ]
    assert all("by the group team (access.yaml:14)" in line for line in done.said)


def test_who_loses_all_that_a_group_gives_leaves_it(tmp_path: Path) -> None:
    """And no row changes."""
    found = project(tmp_path)
    assert changed(found, revoke(found, "anna", "stats", "eu")) == [
        "-   team: [anna, ben]    # the team",
        "+   team: [ben]    # the team",
    ]


def test_what_would_be_given_later_is_taken_too(tmp_path: Path) -> None:
    """A row that begins next month gives nothing now, and is gone with the rest."""
    rows = "  - {to: cem, role: view, sites: shop}\n  - {to: cem, role: edit, sites: shop, from: 2027-01-01}\n"
    found = project(tmp_path, rows + VIEW)
    assert changed(found, revoke(found, "cem", "shop")) == [f"- {line}" for line in rows.splitlines()]


def test_a_site_is_left_out_of_a_pattern(tmp_path: Path) -> None:
    """The sites that the file does not know stay."""
    found = project(tmp_path, '  - {to: cem, role: view, sites: "*.example.org"}\n' + VIEW)
    assert changed(found, revoke(found, "cem", "shop", on=("stats",))) == [
        '-   - {to: cem, role: view, sites: "*.example.org"}',
        """+   - {to: cem, role: view, sites: ["*.example.org", '!shop.example.org'], on: stats}""",
        '+   - {to: cem, role: view, sites: "*.example.org", on: eu}',
    ]


def test_nothing_to_take_is_said(tmp_path: Path) -> None:
    """Nothing is written; a group is no user."""
    found = project(tmp_path)
    done = revoke(found, "cem", "shop")
    assert (dict(done.edit.texts), done.said) == ({}, ("cem holds nothing on shop by the file",))
    assert refused(lambda: revoke(found, "team", "shop")) == [("unknown-user", None)]


def test_a_line_that_has_ended_goes_with_what_is_taken(tmp_path: Path) -> None:
    """An elevation that is over is no right, and its line no use; one of others, of more sites, or that ends it stays."""
    over = "  - {to: anna, role: manage, sites: shop, until: 2026-11-01, reason: x}\n"
    found = project(tmp_path, VIEW + over)
    done = revoke(found, "anna", "shop")
    assert f"- {over.rstrip()}" in changed(found, done)
    assert any("`manage` on shop to anna (access.yaml:" in line and "ended 2026-11-01" in line for line in done.said)
    admin = "  - {to: cem, role: admin, on: stats, until: 2026-11-01, reason: x}\n"
    found = project(tmp_path, VIEW + admin)
    assert changed(found, revoke(found, "cem", "stats")) == [f"- {admin.rstrip()}"]
    for kept in (
        over.replace("anna", "[anna, ben]"), over.replace("shop", "[shop, blog]"), over.replace("manage, sites: shop", "view, sites: '*'"),
        over.replace("anna", "cem"),
    ):  # fmt: skip
        found = project(tmp_path, VIEW + kept)
        assert f"- {kept.rstrip()}" not in changed(found, revoke(found, "anna", "shop"))
    found = project(tmp_path, VIEW + admin, HEAD.replace("siteward,", "siteward, mode: add-only,"))
    assert dict(revoke(found, "cem", "stats").edit.texts) == {}


def test_what_an_add_only_instance_keeps_is_said(tmp_path: Path) -> None:
    """There an apply takes nothing that only leaves the file."""
    found = project(tmp_path, head=HEAD.replace("self: root", "self: root, mode: add-only"))
    told = revoke(found, "anna", "shop").said
    assert told[-1].startswith("eu is in mode add-only: what leaves the file stays there")


def test_a_file_in_error_is_mended_first(tmp_path: Path) -> None:
    """Its errors are told, and nothing is edited."""
    found = project(tmp_path, VIEW + "  - {to: nobody, role: view, sites: shop}\n")
    assert refused(lambda: grant(found, "cem", "view", "shop"))[0][0] == "unknown-user"


def test_what_an_alias_repeats_is_not_edited(tmp_path: Path) -> None:
    """The refusal names both places."""
    rows = "  - {to: cem, role: view, sites: &sites [shop, blog]}\n  - {to: ben, role: edit, sites: *sites}\n"
    found = project(tmp_path, rows)
    with pytest.raises(CannotAmendError, match="is repeated at"):
        revoke(found, "cem", "shop")


def test_a_word_that_means_a_site_and_an_instance_is_asked_about(tmp_path: Path) -> None:
    """Neither is guessed."""
    found = project(
        tmp_path, head=HEAD.replace("  shop:", "  stats:"), grants="  - {to: team, role: view, sites: blog}\n"
    )
    assert refused(lambda: grant(found, "cem", "view", "stats"))[0][0] == "unknown-site"


def test_no_edit_writes_the_file_of_a_directory(tmp_path: Path) -> None:
    """Neither one of rows, nor the revert of a commit: only `people refresh` does, and both say so."""
    staff = tmp_path / "people" / "staff.yaml"
    staff.parent.mkdir()
    staff.write_text(
        "directory: staff\nusers:\n  zoe: {id: z1, email: zoe@example.org}\ngroups:\n  staff-team: {members: [zoe]}\n"
    )
    head = (
        f"{HEAD}directories: {{staff: {{file: staff.csv}}}}\ninclude: [{{path: people/staff.yaml, directory: staff}}]\n"
    )
    found = project(tmp_path, "  - {to: staff-team, role: view, sites: shop}\n", head)
    why = "is written by `siteward people refresh staff` alone"
    with pytest.raises(CannotAmendError, match=why):
        revoke(found, "zoe", "shop")
    with pytest.raises(NotProvenError, match=why):
        _load(found, {str(staff): staff.read_text().replace("[zoe]", "[]")})
