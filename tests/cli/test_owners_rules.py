"""The owners' rules, judged by one engine: what `validate` refuses, `plan` reports under the same id, and never gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.repo import commit

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox

HEAD = """\
version: 1
instances:
  stats: {{platform: umami, url: {url}, self: siteward, layout: per-site, accept_blind: [board-links]}}
sites: {{shop: {{domain: shop.example.org, tags: [production]}}}}
users: {{zoe: {{email: zoe@example.org}}}}
"""


@pytest.fixture
def stats(program: Program, umami: Sandbox) -> Program:
    """A folder with the credentials of a sandbox at hand."""
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.env |= {"SITEWARD_STATS_URL": umami.url}
    return program


def steps_given(plan: Any) -> list[str]:
    """Return the roles that steps of a plan would give and that nothing blocks."""
    steps = (step for instance in plan["plan"]["instances"] for step in instance["steps"])
    sides = [step["change"]["after"] or {} for step in steps if not step["blocked"]]
    return [side["role"] for side in sides if "role" in side]


def step_codes(plan: Any) -> set[str]:
    """Return the ids of what is said of steps as an error."""
    steps = (step for instance in plan["plan"]["instances"] for step in instance["steps"])
    return {said["code"] for step in steps for said in step.get("diagnostics", ()) if said["severity"] == "error"}


@pytest.mark.parametrize(
    "match",
    [
        "site: shop.example.org", "site: shop", 'site: "*.example.org"', 'site: "tag:production"', "user: zoe",
        "account: zoe", "scope: site", "role: team-manager", "role: manage", "kind: person", "power: manage",
    ],
)  # fmt: skip
@pytest.mark.parametrize("sites", ["shop", "shop.example.org", '"tag:production"'])
def test_a_rule_on_any_key_stops_validate(stats: Program, umami: Sandbox, match: str, sites: str) -> None:
    """The file alone shows that the grant reaches what the rule is about."""
    rule = f"policy: {{rules: [{{id: by-key, match: {{{match}}}, require: [ticket], at_most: view}}]}}\n"
    stats.write(HEAD.format(url=umami.url) + f"grants:\n  - {{to: zoe, role: manage, sites: {sites}}}\n" + rule)
    checked = stats("validate", "--format", "json")
    assert [diagnostic["code"] for diagnostic in checked.json()["diagnostics"]] == ["by-key", "by-key"]
    assert checked.code == 1


def test_a_rule_on_a_site_that_only_the_server_knows_stops_the_plan(stats: Program, umami: Sandbox) -> None:
    """A pattern reaches the site; which sites there are is known once the server has been read."""
    rule = "policy: {wildcards: {at_most: manage}, rules: [{id: by-site, match: {site: shop.example.org}, at_most: view}]}\n"
    text = HEAD.format(url=umami.url).replace("sites: {shop: {domain: shop.example.org, tags: [production]}}\n", "")
    stats.write(text + 'grants:\n  - {to: zoe, role: manage, sites: "*.example.org"}\n' + rule)
    assert stats("validate").code == 0
    plan = stats("plan", "--passwords-out", "pw.txt", "--format", "json").json()
    assert "by-site" in step_codes(plan)
    refused = [step for instance in plan["plan"]["instances"] for step in instance["steps"] if step["blocked"]]
    assert ["by-site" in {said["code"] for said in step["diagnostics"]} for step in refused] == [True]


@pytest.mark.parametrize(
    "demand", ["at_most_for: 90d", "not_with: {group: Developers}", 'login: "*@example.org"', "require: [nda]"]
)
def test_what_a_rule_demands_of_a_right_is_judged_by_validate_and_by_plan(
    stats: Program, umami: Sandbox, demand: str
) -> None:
    """How long it lasts, beside which group, by which login, and what the person attests."""
    head = HEAD.format(url=umami.url).replace("users: {", "users: {yan: {attests: {nda: 2026-01-01}}, ")
    text = f"{head}groups: {{developers: [zoe]}}\ngrants:\n  - {{to: zoe, role: view, sites: shop}}\n"
    stats.write(f"{text}policy: {{rules: [{{id: by-demand, match: {{user: zoe}}, {demand}}}]}}\n")
    checked = stats("validate", "--format", "json")
    errors = [said["code"] for said in checked.json()["diagnostics"] if said["severity"] == "error"]
    assert errors == ["by-demand"]
    plan = stats("plan", "--passwords-out", "pw.txt", "--format", "json").json()
    everywhere = (plan["plan"], *plan["plan"]["instances"])
    assert "by-demand" in step_codes(plan) | {
        said["code"] for part in everywhere for said in part.get("diagnostics", ())
    }
    assert steps_given(plan) == []


RULES = """\
policy:
  rules:
    - {id: by-role, match: {role: admin}, require: [ticket]}
    - {id: by-scope, match: {scope: instance}, require: [ticket]}
    - {id: by-account, match: {account: zoe}, at_most: view}
    - {id: by-site, match: {site: "tag:production", power: manage}, require: [reason]}
"""


def test_the_rules_of_the_base_bind_plan_and_apply_on_every_key(stats: Program, umami: Sandbox) -> None:
    """The change takes the policy away and uses the room; the job with the credentials gives none of it."""
    head = HEAD.format(url=umami.url)
    stats.write(head + "grants:\n  - {to: zoe, role: view, sites: shop}\n" + RULES)
    commit(stats)
    untagged = head.replace(", tags: [production]", "")
    grants = "grants:\n  - {to: zoe, role: admin, on: stats}\n  - {to: zoe, role: manage, sites: shop}\n"
    stats.write(untagged + grants)
    commit(stats)
    wanted = {"by-role", "by-scope", "by-account", "by-site"}
    checked = stats("validate", "--base", "main~1", "--format", "json")
    assert {
        diagnostic["code"] for diagnostic in checked.json()["diagnostics"] if diagnostic["severity"] == "error"
    } == wanted
    assert checked.code == 1
    allowed = ("--base", "main~1", "--passwords-out", "pw.txt")
    result = stats("plan", *allowed, "--format", "json")
    assert step_codes(result.json()) == wanted
    assert steps_given(result.json()) == []
    assert result.code == 3
    stats("apply", *allowed, "--yes")
    again = stats("plan", "--passwords-out", "pw.txt", "--format", "json")
    assert sorted(steps_given(again.json())) == ["admin", "team-manager"], "nothing of it was given"


def test_only_a_star_is_special_in_every_pattern(stats: Program, umami: Sandbox) -> None:
    """`zo?` and `[z]oe` are names that nobody has: for rules, for what is protected and for what is ignored."""
    policy = 'policy: {protect: ["zo?", "[z]oe"], rules: [{id: by-mark, match: {user: "zo?"}, require: [ticket]}]}\n'
    text = HEAD.format(url=umami.url).replace("layout: per-site}", 'layout: per-site, ignore: ["z?e", "zo[e]"]}')
    stats.write(text + "grants:\n  - {to: zoe, role: view, sites: shop}\n" + policy)
    checked = stats("validate", "--format", "json")
    assert [diagnostic["code"] for diagnostic in checked.json()["diagnostics"]] == ["rule-of-nobody"]
    plan = stats("plan", "--passwords-out", "pw.txt", "--format", "json").json()
    assert step_codes(plan) == set()
    assert steps_given(plan) == ["team-view-only"]


def test_another_handle_is_no_way_out_of_a_rule_of_the_base(stats: Program, umami: Sandbox) -> None:
    """The base's rule on a user is about the account that this user had there, whatever the change calls them."""
    head = HEAD.format(url=umami.url)
    rule = "policy: {rules: [{id: by-user, match: {user: zoe}, at_most: view}]}\n"
    stats.write(head + "grants:\n  - {to: zoe, role: view, sites: shop}\n" + rule)
    commit(stats)
    renamed = head.replace("{zoe: {email: zoe@example.org}}", "{other: {email: zoe@example.org, logins: {stats: zoe}}}")
    stats.write(renamed + "grants:\n  - {to: other, role: manage, sites: shop}\n")
    commit(stats)
    result = stats("plan", "--base", "main~1", "--passwords-out", "pw.txt", "--format", "json")
    assert step_codes(result.json()) == {"by-user"}
    assert steps_given(result.json()) == []
