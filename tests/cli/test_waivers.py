"""Waivers as an owner has them: a baseline, silence, the finding that comes back, and what a change may not bring."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from cli.repo import commit, edit

if TYPE_CHECKING:
    import httpx

    from cli.conftest import Program

NOW, LATER = "2026-12-01T09:00:00+00:00", "2027-03-15T09:00:00+00:00"
FILE = """version: 1
instances:
  stats: {platform: umami, url: 'URL', self: siteward, layout: existing, accept_blind: [board-links]}
users: {anna: {email: anna@example.org}, ben: {}}
grants:
  - {to: [anna, ben], role: admin, on: stats}
# the owners' policy
policy:
  admins: {min: 1}
"""
RULES = ["ghost-member", "orphan-site", "public-share-link"]


@pytest.fixture
def company(program: Program, umami: Any) -> Program:
    """A file about two admins of the lived-in sandbox, which has three findings that may be waived."""
    program.write(FILE.replace("URL", umami.url))
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.moment = NOW
    return program


@pytest.fixture
def waived(company: Program) -> Program:
    made = company("baseline", "--reason", "as found: OPS-1", "--write")
    assert made.code == 0, made.err
    return company


def told(program: Program, *arguments: str) -> Any:
    return program("plan", "-f", "json", *arguments).json()


def codes(data: Any) -> list[str]:
    return sorted(said["code"] for said in data["waived"])


def listed(program: Program, *arguments: str) -> set[str]:
    """The rules of findings that the plan lists as text."""
    return set(re.findall(r"(?m)^(?:  )?(?:warning|error) ([a-z-]+):", program("plan", *arguments).out))


def test_a_baseline_shows_its_edit_and_writes_it_when_asked(company: Program) -> None:
    """What is written are rows of the policy, for 90 days; nothing else of the file changes, and no row comes twice."""
    before = (company.folder / "access.yaml").read_text()
    shown = company("baseline", "--reason", "as found: OPS-1")
    assert shown.code == 0
    assert (company.folder / "access.yaml").read_text() == before
    assert "3 waivers to be written with --write, until 2027-03-01" in shown.err
    written = company("baseline", "--reason", "as found: OPS-1", "--write")
    assert written.out == shown.out
    lines = (company.folder / "access.yaml").read_text().splitlines()
    assert [line for line in lines if line not in before.splitlines()] == [
        line[1:] for line in shown.out.splitlines() if re.match(r"\+(?!\+)", line)
    ]
    assert set(before.splitlines()) <= set(lines)
    assert sum("until: 2027-03-01, seen: " in line for line in lines) == 3
    again = company("baseline", "--reason", "once more", "--write")
    assert (again.code, again.out) == (0, "")
    assert "nothing to waive; 3 findings waived already" in again.err
    assert (company.folder / "access.yaml").read_text().splitlines() == lines


def test_what_an_alias_repeats_is_refused_with_its_places(company: Program) -> None:
    """A policy that an instance shares by an alias would get the waivers of all: told, and nothing is written."""
    head, _, rest = (company.folder / "access.yaml").read_text().partition("# the owners' policy")
    assert "policy" in rest
    head = head.replace("layout: existing,", "layout: existing, policy: *rules,")
    company.write(head.replace("version: 1\n", "version: 1\npolicy: &rules {}\n"))
    refused = company("baseline", "--reason", "x", "--write")
    assert (refused.code, "is repeated at" in refused.out) == (1, True), refused.out


def test_what_is_waived_is_listed_nowhere_and_counted_everywhere(waived: Program) -> None:
    """No exit code and no step changes by it."""
    data = told(waived)
    assert codes(data) == RULES
    assert {row["rule"] for row in data["plan"]["waived"]} == set(RULES)
    assert data["plan"]["waived"][0] == {"rule": "ghost-member", "about": "acl:shop.example.org", "until": "2027-03-01"}
    assert data["summary"]["waived"] == 3
    assert not any("facts" in said for said in data["plan"]["instances"][0]["diagnostics"])
    bare = waived("plan", "--plain")
    assert not set(RULES) & listed(waived)
    assert "warnings (3 warnings waived)" in bare.out
    text = waived("plan", "-v").out
    assert "  Waived\n" in text
    assert "until 2027-03-01 UTC: as found: OPS-1" in text
    for form in ("github", "junit", "markdown", "html"):
        out = waived("plan", "-f", form).out
        assert "3 warnings waived" in out, form
        assert "belongs to nobody" not in out, form
    assert "orphan-site" not in waived("plan", "-f", "gitlab").out
    assert "3 warnings waived" in waived("drift").out
    (waived.folder / "access.yaml").write_text(
        re.sub(r"(?m)^  waivers:\n(    - .*\n)+", "", (waived.folder / "access.yaml").read_text())
    )
    open_plan = told(waived)
    assert (open_plan["exit_code"], open_plan["summary"] | {"waived": 3}) == (data["exit_code"], data["summary"])
    assert open_plan["plan"]["instances"][0]["steps"] == data["plan"]["instances"][0]["steps"]


def test_sarif_has_what_is_waived_as_suppressed(waived: Program) -> None:
    (run,) = waived("plan", "-f", "sarif").json()["runs"]
    silent = {result["ruleId"]: result["suppressions"] for result in run["results"] if "suppressions" in result}
    assert sorted(silent) == RULES
    reason = {"kind": "external", "status": "accepted", "justification": "as found: OPS-1 (until 2027-03-01 UTC)"}
    assert silent["orphan-site"] == [reason]


def test_a_saved_plan_is_shown_with_its_waivers(waived: Program) -> None:
    saved = waived("plan", "--out", "plan.json")
    assert saved.code == 0
    shown = waived("show", "plan.json", "-f", "json").json()
    assert codes(shown) == RULES
    assert waived("show", "plan.json", "-v").out.count("as found: OPS-1") == 3


def test_each_finding_says_by_what_it_may_be_waived(company: Program) -> None:
    """So that a waiver can be written by hand; what may not be waived says nothing."""
    (seen,) = re.findall(r"seen ([0-9a-f]{16}) \(on stats, about acl:shop.example.org\)", company("plan", "-v").out)
    edit(company, ("policy:\n", f"policy:\n  waivers: [{row('ghost-member', seen)}]\n"))
    assert codes(told(company)) == ["ghost-member"]
    assert "seen " not in company("plan").out


def row(rule: str, seen: str, until: str = "2027-03-01") -> str:
    return f"{{rule: {rule}, on: stats, reason: as found, until: {until}, seen: {seen}}}"


def test_a_waiver_that_is_over_is_told_and_so_is_the_finding(waived: Program) -> None:
    waived.moment = LATER
    assert {*RULES, "waiver-ended"} <= listed(waived)
    assert codes(told(waived)) == []
    valid = waived("validate")
    assert "waiver-ended" in valid.out
    assert "ended on 2027-03-01" in valid.out
    assert waived("baseline", "--reason", "still so: OPS-9", "--write").code == 0
    text = (waived.folder / "access.yaml").read_text()
    assert (text.count("seen: "), text.count("OPS-9"), text.count("2027-06-13")) == (3, 3, 3)
    assert "waiver-ended" not in listed(waived)


def test_a_finding_comes_back_when_its_facts_change(waived: Program, admin: httpx.Client) -> None:
    """The team has another ghost now: the waiver is of what was seen, and says so at its line."""
    sites = admin.get("/api/admin/websites", params={"pageSize": 100}).json()["data"]
    (blog,) = (site["id"] for site in sites if site["domain"] == "blog.example.org")
    shares = admin.get(f"/api/websites/{blog}/shares").json()["data"]
    for share in shares:
        admin.delete(f"/api/share/id/{share['id']}").raise_for_status()
    data = told(waived)
    assert codes(data) == ["ghost-member", "orphan-site"]
    (unused,) = (said for said in data["plan"]["diagnostics"] if said["code"] == "waiver-unused")
    assert unused["at"]["line"] == 13
    assert "of no finding" in unused["message"]


def test_a_waiver_of_other_facts_names_those_of_now(company: Program) -> None:
    edit(company, ("policy:\n", f"policy:\n  waivers: [{row('orphan-site', 'f' * 16)}, {about('f' * 16)}]\n"))
    unused = [said for said in told(company)["plan"]["diagnostics"] if said["code"] == "waiver-unused"]
    assert len(unused) == 2
    assert "of no finding" in unused[0]["message"]
    assert "of other facts than those of now" in unused[1]["message"]
    (seen,) = re.findall(r"`seen: ([0-9a-f]{16})`", unused[1]["hint"])
    edit(company, (about("f" * 16), about(seen)))
    assert codes(told(company)) == ["ghost-member"]
    assert "waiver-unused" not in listed(company, "--only", "user:anna")


def about(seen: str) -> str:
    return row("ghost-member", seen).replace("on: stats", "on: stats, about: 'acl:shop.example.org'")


def test_a_change_cannot_bring_its_own_waiver(company: Program) -> None:
    """With a base only what stands in both silences; added and prolonged waivers are changes of policy."""
    commit(company)
    company("baseline", "--reason", "as found: OPS-1", "--write")
    first = company("plan", "--base", "HEAD")
    assert {*RULES, "policy-changed"} <= listed(company, "--base", "HEAD")
    assert "waived" not in first.out.splitlines()[-3]
    assert codes(told(company, "--base", "HEAD")) == []
    commit(company)
    assert codes(told(company, "--base", "HEAD")) == RULES
    edit(company, ("public-share-link, on: stats", "public-share-link"), ("2027-03-01", "2027-06-01"))
    changed = company("plan", "--base", "HEAD")
    assert changed.out.count("warning policy-changed") == 4
    assert "until was 2027-03-01 and becomes 2027-06-01" in changed.out
    assert codes(told(company, "--base", "HEAD")) == RULES
    company.moment = LATER
    assert codes(told(company, "--base", "HEAD")) == []


def test_a_new_instance_and_a_first_file_bring_no_waiver(company: Program) -> None:
    """What the base does not know stands in one revision alone."""
    commit(company)
    company("baseline", "--reason", "as found: OPS-1", "--write")
    edit(company, ("  stats: {", "  other: {"), ("on: stats}", "on: other}"))
    text = (company.folder / "access.yaml").read_text().replace("on: stats", "on: other")
    company.write(text)
    company.env |= {name.replace("STATS", "OTHER"): value for name, value in company.env.items()}
    seen = dict(re.findall(r"warning ([a-z-]+): .*\n.*\n      seen ([0-9a-f]{16})", company("plan", "-v").out))
    assert set(seen) == set(RULES)
    for rule, digits in seen.items():
        text = re.sub(rf"(rule: {rule},.*seen: )[0-9a-f]{{16}}", rf"\g<1>{digits}", text)
    company.write(text)
    assert codes(told(company)) == RULES
    assert codes(told(company, "--base", "HEAD")) == []
    company.write(text, "new.yaml")
    company.moment = NOW
    assert codes(company("plan", "-c", "new.yaml", "-f", "json").json()) == RULES
    assert codes(company("plan", "-c", "new.yaml", "-f", "json", "--base", "HEAD").json()) == []


def test_a_waiver_is_short(company: Program) -> None:
    """At most 400 days; a longer one silences nothing and is an error at its line."""
    seen = {
        said["code"]: said["seen"] for said in told(company)["plan"]["instances"][0]["diagnostics"] if "seen" in said
    }
    edit(company, ("policy:\n", f"policy:\n  waivers: [{row('orphan-site', seen['orphan-site'], '2028-01-05')}]\n"))
    assert company("validate").code == 0
    edit(company, ("2028-01-05", "2028-01-06"))
    for verb in ("validate", "plan"):
        refused = company(verb)
        assert refused.code == 1
        assert "error waiver-too-long" in refused.out
        assert "access.yaml:9" in refused.out
    assert codes(told(company)) == []


def test_a_baseline_of_what_cannot_be_read_or_written(waived: Program) -> None:
    """Nothing is written, and the exit code says so."""
    assert waived("baseline").code == 1
    assert waived("baseline", "--reason", " ").code == 1
    edit(waived, ("  waivers:\n", "  timezone: Europe/Berlin\n  waivers:\n"))
    path = waived.folder / "access.yaml"
    path.write_text(re.sub(r"(?m)^    - \{rule: orphan-site.*\n", "", path.read_text()))
    text = path.read_text()
    lost = waived("baseline", "--reason", "x", "--write", SITEWARD_STATS_PASSWORD="no longer")
    assert (lost.code, path.read_text()) == (1, text)
    path.write_text(text.replace("ben: {}", "ben: {stat: x}"))
    unproven = waived("baseline", "--reason", "x", "--write")
    assert (unproven.code, "not-proven" in unproven.out) == (1, True)
    assert path.read_text() == text.replace("ben: {}", "ben: {stat: x}")
    path.write_text(text)
    path.rename(waived.folder / "real.yaml")
    path.symlink_to("real.yaml")
    assert waived("baseline", "--reason", "x", "--write").code == 1
    assert path.read_text() == text
    path.unlink()
    (waived.folder / "real.yaml").rename(path)
    if os.geteuid() != 0:
        waived.folder.chmod(0o500)
        unwritten = waived("baseline", "--reason", "x", "--write")
        waived.folder.chmod(0o700)
        assert unwritten.code == 1
        assert "cannot write" in unwritten.err


def test_a_baseline_that_may_be_published_names_nobody(company: Program) -> None:
    """Handles alone, as in all other output; and with counts no line of the file."""
    edit(company, ("policy:\n", "policy: # ask ben@example.org\n"))
    shown = company("baseline", "--reason", "as petra@example.org said", "--privacy", "handles")
    assert "petra@" not in shown.out
    assert "ben@" not in shown.out
    assert company("baseline", "--reason", "x", "--privacy", "counts").out == ""
