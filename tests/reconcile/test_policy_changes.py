"""Every setting that judges access is told when it differs between two revisions, at any depth, by its path."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from siteward import platforms
from siteward.access.model import Power
from siteward.access.policy import DEFAULT_LIMITS, Limit, Policy, Rule, Waiver
from siteward.declaration.declared import Instance
from siteward.declaration.load import load
from siteward.declaration.selector import parse
from siteward.reconcile.revisions.policy_changes import changed_rules, differences

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.declaration.declared import Declaration

FILE = """\
version: 1
instances:
  shop:
    platform: plausible
    url: https://plausible.example.org
    self: siteward@example.org
    manages: ["*", "!legacy.example.org"]
    team_members: {anna@example.org: owner, ivan@example.org: viewer}
    invitations: {max_sends: 2, resend_after: 72h}
    policy:
      limits: {removals: {count: 5, percent: 20}}
      rules:
        - {id: ask-for-a-ticket, match: {power: manage}, require: [ticket, reason]}
users:
  anna: {email: anna@example.org, forge: {github: anna, gitlab: anna}}
grants: []
"""


def read(folder: Path, text: str) -> Declaration:
    file = folder / "access.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = load(file, settings_of=platforms.settings_of, widest_of=platforms.widest_of, platforms=platforms.names())
    assert loaded.declaration is not None, loaded.diagnostics
    return loaded.declaration


def told(folder: Path, *edits: tuple[str, str]) -> list[tuple[str, str]]:
    """Return code and message of what is told when these words are replaced in the file."""
    text = FILE
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return [(found.code, found.message) for found in changed_rules(read(folder, FILE), read(folder, text))]


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("max_sends: 2", "max_sends: 3", "instance-changed", "shop: invitations.max_sends was 2 and becomes 3"),
        (
            "ivan@example.org: viewer", "ivan@example.org: admin",
            "instance-changed", "shop: team_members.ivan@example.org was viewer and becomes admin",
        ),
        (
            ", ivan@example.org: viewer", "",
            "instance-changed", "shop: team_members.ivan@example.org was viewer and becomes not set",
        ),
        ("count: 5", "count: 10", "policy-changed", "shop: policy.limits.removals.count was 5 and becomes 10"),
        (
            "power: manage", "power: admin",
            "policy-changed", "shop: policy.rules.ask-for-a-ticket.match.power was manage and becomes admin",
        ),
        (
            "[ticket, reason]", "[until, ticket]",
            "policy-changed", "shop: policy.rules.ask-for-a-ticket.require was changed: added until; removed reason",
        ),
        (
            '"!legacy.example.org"', '"!old.example.org", "!new.example.org"', "instance-changed",
            "shop: manages was changed: added !new.example.org, !old.example.org; removed !legacy.example.org",
        ),
        (
            "require: [ticket, reason]", "require: [ticket, reason], at_most_for: 90d",
            "policy-changed", "shop: policy.rules.ask-for-a-ticket.at_most_for was not set and becomes 90d",
        ),
        ("anna: {email", "anna: {id: 7f3c, email", "identity-changed", "anna: id was not set and becomes 7f3c"),
        ("github: anna", "github: mallory", "identity-changed", "anna: forge.github was anna and becomes mallory"),
    ],
)  # fmt: skip
def test_a_nested_setting_is_told_by_its_path(tmp_path: Path, old: str, new: str, code: str, message: str) -> None:
    """Only what differs is told, with the path as the file writes it."""
    assert told(tmp_path, (old, new)) == [(code, message)]


def test_a_list_in_another_order_is_the_same(tmp_path: Path) -> None:
    """Selectors, patterns and required fields mean the same in any order."""
    assert told(tmp_path, ('"*", "!legacy.example.org"', '"!legacy.example.org", "*"')) == []
    assert told(tmp_path, ("[ticket, reason]", "[reason, ticket]")) == []


def test_a_whole_rule_is_told_by_its_id(tmp_path: Path) -> None:
    """A rule that is gone is told with what it demanded."""
    rules = FILE[FILE.index("      rules:") : FILE.index("users:")]
    ((code, message),) = told(tmp_path, (rules, ""))
    assert code == "policy-changed"
    assert message == (
        "shop: policy.rules.ask-for-a-ticket was match power manage, require ticket, reason and becomes not set"
    )


POLICIES: dict[str, Any] = {
    "mode": "observe",
    "unmanaged": "remove",
    "admins_min": 2,
    "admins_max": 9,
    "limits": {**DEFAULT_LIMITS, "mails": Limit(count=1)},
    "wildcards_at_most": Power.ADMIN,
    "protect": ("root",),
    "ignore": ("bot-*",),
    "rules": (Rule(id="some-rule", match={}, at_most=Power.VIEW),),
    "accept_blind": frozenset({"team-members"}),
    "managers_min": 1,
    "reviews": {"admins": 90},
    "waivers": (
        Waiver(rule="public-access", reason="press page", until=datetime(2027, 7, 1, tzinfo=UTC), seen="0" * 16),
    ),
}
INSTANCES: dict[str, Any] = {
    "platform": "umami",
    "url": "https://elsewhere.example.org",
    "self_account": "root",
    "settings": None,
    "policy": Policy(mode="observe"),
    "manages": (parse("*.example.org"),),
    "ca_file": "ca.pem",
    "onboarding": "password",
    "closed": True,
    "managed_by": "sso",
    "native": True,
}


def test_every_field_of_a_policy_is_told(tmp_path: Path) -> None:
    """A field that is added to the policy has to be compared as well; places are no policy."""
    assert POLICIES.keys() == set(Policy.__struct_fields__) - {"admins_at", "managers_at"}
    for name, value in POLICIES.items():
        assert told_of_instance(tmp_path, policy=replace(Policy(), **{name: value})) == {"policy-changed"}, name


def test_every_field_of_an_instance_is_told(tmp_path: Path) -> None:
    """A key that is added to instances has to be compared as well; its name and places are no settings."""
    assert INSTANCES.keys() == set(Instance.__struct_fields__) - {"name", "at", "location"}
    for name, value in INSTANCES.items():
        assert told_of_instance(tmp_path, **{name: value}), name


def told_of_instance(folder: Path, **fields: Any) -> set[str]:
    """Return the codes of what is told when fields of an instance with the standard policy differ."""
    base = read(folder, FILE)
    plain = replace(base.instances["shop"], policy=Policy())
    before = replace(base, instances={"shop": plain})
    after = replace(base, instances={"shop": replace(plain, **fields)})
    return {found.code for found in changed_rules(before, after)}


def test_each_first_waiver_is_told_once_and_where_it_silences(tmp_path: Path) -> None:
    """One by one with its line, not all in one sentence, nor once more for each instance that it is not about."""
    old = FILE.replace(
        "users:", "  blog: {platform: umami, url: https://u.example.org, self: robot, layout: per-site}\nusers:"
    )
    rows = ("ghost-member, on: blog, about: x", "public-share-link")
    waivers = "".join(f"    - {{rule: {row}, reason: r, until: 2027-07-01, seen: {'a' * 16}}}\n" for row in rows)
    found = changed_rules(read(tmp_path, old), read(tmp_path, f"{old}policy:\n  waivers:\n{waivers}"))
    lines = len(old.splitlines())
    assert [(said.message.partition(" was not set")[0], said.at.line if said.at else 0) for said in found] == [
        (f"policy.waivers.public-share-link {'a' * 16}", lines + 4),
        (f"blog: policy.waivers.ghost-member x {'a' * 16}", lines + 3),
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": True}, {"a": 1}, ["a was true and becomes 1"]),
        ({"a": ["x"]}, {"a": ["x", "x"]}, ["a was changed: added x"]),
        ({"a": ["x", "x", "x"]}, {"a": ["x"]}, ["a was changed: removed x, x"]),
        ({"a": None}, {"a": []}, ["a was not set and becomes none"]),
        ({"a": {"b": {"c.d": "1"}}}, {"a": {"b": {"c.d": 1}}}, ["a.b.c.d was 1 and becomes 1"]),
        (
            {"a": [{"b": "1"}, {"b": "2"}]},
            {"a": [{"b": "2"}, {"b": "3"}]},
            ["a was changed: added b 3; removed b 1"],
        ),
        ({"a": {"b": "1"}}, {"a": {"b": "1"}}, []),
    ],
)
def test_trees_of_plain_values(old: dict[str, Any], new: dict[str, Any], expected: list[str]) -> None:
    """Whatever a platform's settings hold: a value of another kind and a repetition differ as well."""
    assert [str(difference) for difference in differences(old, new)] == expected


PEOPLE = """\
version: 1
instances: {shop: {platform: umami, url: "https://umami.example.org", self: robot, layout: per-site}}
users:
  anna: {tags: [lead]}
  ben: {}
groups: {leads: {from: {tag: lead}, members: [ben]}}
grants: [{to: leads, role: view, sites: a.example.org}]
"""


@pytest.mark.parametrize(("old", "new", "message"), [
    ("  ben: {}", "  ben: {}\n  cem: {tags: [lead]}", "1 person comes into `leads` by itself: cem (tag lead)"),
    ("  ben: {}", "  ben: {}\n  cem: {tags: [lead]}\n  dora: {tags: [lead]}", "2 people come into `leads` by itself: cem (tag lead), dora (tag lead)"),
    ("{tag: lead}, members: [ben]", "{all: people}", None),
    ("[ben]", "[ben, anna]", None),
    ("  ben: {}", "  ben: {tags: [lead]}", None),
    ("members: [ben]}", "members: [ben]}, all: {from: {kind: person}}", "2 people come into `all` by itself: anna (kind person), ben (kind person)"),
    ("anna: {tags: [lead]}", "zed: {tags: [lead], previously: anna}", None),
    ("anna: {tags: [lead]}", "Anna: {tags: [lead]}", None),
    ("leads: {from: {tag: lead}", "chiefs: {previously: leads, from: {tag: lead}", None),
    ("leads: {from: {tag: lead}", "chiefs: {from: {tag: lead}", "1 person comes into `chiefs` by itself: anna (tag lead)"),
])  # fmt: skip
def test_the_growth_of_a_group_that_takes_in_by_itself_is_told(
    tmp_path: Path, old: str, new: str, message: str | None
) -> None:
    """Who comes without a line of their own; a line in the group is one, and who was in it stays."""
    assert old in PEOPLE
    after = PEOPLE.replace(old, new)
    after = after.replace("to: leads", "to: chiefs") if "chiefs" in new else after
    found = changed_rules(read(tmp_path, PEOPLE), read(tmp_path, after))
    told_of = [said.message for said in found if said.code == "group-grows"]
    assert [said.partition("shop: ")[2] or said for said in told_of] == ([message] if message else [])


def test_another_login_in_the_file_of_a_directory_is_another_account(tmp_path: Path) -> None:
    """Nobody edits that file, and whoever does could give a person's grants to somebody else's account."""
    made = 'made: {platform: matomo, url: "https://made.example.org", self: root, managed_by: directory}'
    more = "directories: {hq: {file: hq.csv}}\ninclude: [{path: hq.yaml, directory: hq}]\n"
    text = FILE.replace("instances:\n", f"instances:\n  {made}\n").replace("users:\n", f"{more}users:\n")
    people = "directory: hq\nusers:\n  ben: {id: '1', login: ben@corp}\n"
    (tmp_path / "hq.yaml").write_text(people)
    base = read(tmp_path, text)
    (tmp_path / "hq.yaml").write_text(people.replace("ben@corp", "boss"))
    assert [(found.code, found.message) for found in changed_rules(base, read(tmp_path, text))] == [
        ("identity-changed", "ben: logins.made was ben@corp and becomes boss")
    ]
