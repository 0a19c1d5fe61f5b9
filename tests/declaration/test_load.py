"""Files to a declaration: what is laid over what, what is handed to whom, and what stays quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import pytest
from msgspec import Meta, Struct

from declaration.tables import HEAD, TRAITS, Plausible, declared, read_text, told
from siteward.access.catalog import FILE_RULES as RULES
from siteward.access.model import Power
from siteward.access.policy import DEFAULT_LIMITS, Limit, Policy
from siteward.access.window import ALWAYS
from siteward.declaration.load import load
from siteward.reconcile.project import settings_models
from siteward.render.privacy import Pseudonyms

if TYPE_CHECKING:
    from pathlib import Path

TWO = """\
version: 1
journal: {dir: records}
instances:
  eu:
    platform: matomo
    url: https://eu.example.org
    self: root
    mode: add-only
    unmanaged: revoke
    ignore: [sso-*]
    policy:
      admins: {min: 1}
      limits: {removals: {count: 1}, mails: {percent: 10}}
      wildcards: {at_most: edit}
      protect: [vip-*]
      rules: [{id: a, match: {kind: client}, require: [ticket]}, {id: c, match: {power: admin}, at_most: manage}]
  us: {platform: matomo, url: "https://us.example.org", self: root, accept_blind: []}
policy:
  timezone: Europe/Berlin
  admins: {min: 2, max: 3}
  limits: {removals: {percent: 30}}
  protect: [root, vip-*]
  rules: [{id: a, match: {kind: client}, at_most: view}, {id: b, match: {kind: vendor}, require: [until]}]
"""


def test_an_instance_lays_its_policy_over_the_file_s(tmp_path: Path) -> None:
    """Numbers replace number by number; protection adds up; a rule of the same id stands in place of the file's."""
    declaration = declared(tmp_path, TWO)
    eu, us = (declaration.instances[name].policy for name in ("eu", "us"))
    assert (eu.mode, eu.unmanaged, eu.ignore) == ("add-only", "revoke", ("sso-*",))
    assert (us.mode, us.unmanaged, us.accept_blind) == ("full", "report", frozenset())
    assert not us.ignore
    assert ((eu.admins_min, eu.admins_max), (us.admins_min, us.admins_max)) == ((1, 3), (2, 3))
    assert _numbers(us.limits["removals"]) == (5, 30)
    assert _numbers(eu.limits["removals"]) == (1, 30)
    assert _numbers(eu.limits["mails"]) == (50, 10)
    assert eu.limits["expiries"] == DEFAULT_LIMITS["expiries"]
    assert (eu.wildcards_at_most, us.wildcards_at_most) == (Power.EDIT, Power.VIEW)
    assert (eu.protect, us.protect) == (("root", "vip-*"), ("root", "vip-*"))
    assert [(rule.id, rule.require, rule.at_most) for rule in eu.rules] == [
        ("a", ("ticket",), None), ("b", ("until",), None), ("c", (), Power.MANAGE),
    ]  # fmt: skip
    assert [rule.id for rule in us.rules] == ["a", "b"]
    assert str(us.admins_at).endswith(":20:11")
    assert str(eu.admins_at).endswith(":12:15")
    assert (declaration.journal_dir, str(declaration.timezone)) == ("records", "Europe/Berlin")


def _numbers(limit: Limit) -> tuple[int | None, int | None]:
    return limit.count, limit.percent


def test_silence_is_the_default(tmp_path: Path) -> None:
    """A file that says nothing of policy has the one that the code documents."""
    declaration = declared(tmp_path, HEAD)
    assert declaration.instances["stats"].policy == Policy()
    assert (declaration.journal_dir, str(declaration.timezone), declaration.grants) == (".siteward", "UTC", None)


def test_settings_are_the_platform_s_and_share_common_keys_it_asks_for(tmp_path: Path) -> None:
    """A model sees its own keys, and those common ones that it names too."""
    text = """version: 1
instances:
  cloud: {platform: plausible, url: "https://plausible.io", self: r@x.org, team: t1, team_members: {o@x.org: owner}}
"""
    settings = declared(tmp_path, text).instances["cloud"].settings
    assert settings == Plausible(url="https://plausible.io", team="t1", team_members={"o@x.org": "owner"})


class Even(Struct, forbid_unknown_fields=True):
    """Settings whose value has a form."""

    layout: Annotated[str, Meta(pattern="^(..)+$")]


class Hinted(Struct, forbid_unknown_fields=True):
    """Settings whose value has a form that is told by an example."""

    layout: Annotated[str, Meta(pattern="^(..)+$", extra={"hint": "write it as abcd"})]


class Filled(Struct, forbid_unknown_fields=True):
    """Settings with a list that may not be empty."""

    layout: Annotated[list[str], Meta(min_length=1)]


class Picky(Struct, forbid_unknown_fields=True):
    """Settings that judge for themselves."""

    layout: str

    def __post_init__(self) -> None:
        raise ValueError("no layout is good enough")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Even, "3:86-89 error wrong-value: `layout` must look like `^(..)+$`, found the text `abc`"),
        (Hinted, "3:86-89 error wrong-value: `layout` cannot be the text `abc`\n    hint: write it as abcd"),
        (Picky, "3:10-90 error wrong-value: no layout is good enough"),
    ],
)
def test_what_a_platform_says_of_its_settings_is_told(tmp_path: Path, settings: type[Struct], said: str) -> None:
    """A form is told at the value's place; what only the platform's own code refuses, at the instance, in its words."""
    path = tmp_path / "access.yaml"
    path.write_text(HEAD.replace("per-site", "abc"))
    loaded = load(path, settings_of=lambda _: settings, widest_of=TRAITS.get)
    assert [told(diagnostic) for diagnostic in loaded.diagnostics] == [f"access.yaml:{said}"]


def test_what_no_word_of_ours_explains_is_told_in_those_of_the_checker(tmp_path: Path) -> None:
    """At the value's place, under the code of values that do not satisfy their key."""
    path = tmp_path / "access.yaml"
    path.write_text(HEAD.replace("per-site", "[]"))
    (found,) = load(path, settings_of=lambda _: Filled, widest_of=TRAITS.get).diagnostics
    assert told(found).startswith(
        "access.yaml:3:86-88 error wrong-value: `layout` is refused: List should have at least 1"
    )


def test_hostile_names_that_hide_nothing_are_names(tmp_path: Path) -> None:
    """Brackets, quotes, markup, mentions and emoji are for renderers to worry about."""
    names = [
        "[/x]",
        "<b>",
        "@team",
        "=1+1",
        "a|b",
        "`x`",
        "🦄",
        "Jürgen",
        "a b",
        "y" * 255,
        "tag:x",
        "·list",
        "{{x}}",
        "-",
    ]
    users = "".join(f'  "{name}": {{logins: {{stats: "login {name[:200]}"}}}}\n' for name in names)
    declaration = declared(tmp_path, f"{HEAD}users:\n{users}")
    assert list(declaration.users) == names


def test_names_are_handed_out_once_and_places_are_kept(tmp_path: Path) -> None:
    """Every declared thing knows where it stands, also in another file."""
    text = (
        HEAD
        + "include: [team.yaml]\nusers:\n  anna: {}\ngrants:\n  - {to: anna, role: view, sites: [a.example.org, b.example.org]}\n"
    )
    declaration = declared(tmp_path, text, team="# first line\nusers: {ben: {email: b@x.org}}\n")
    assert str(declaration.users["anna"].at).endswith("access.yaml:6:3")
    assert str(declaration.users["ben"].location.at("email")).endswith("team.yaml:2:22")
    grants = declaration.grants
    assert grants is not None
    assert str(grants[0].at).endswith("access.yaml:8:5")
    assert str(grants[0].location.at("sites", 1)).endswith("access.yaml:8:51")
    assert grants[0].window is ALWAYS


def test_an_instance_where_an_account_is_wanted_is_nobody_s_login(tmp_path: Path) -> None:
    """Else the instance would have a person's handle in reports without names."""
    loaded = read_text(tmp_path, HEAD + "users: {anna: {email: a@x.org, accounts: stats, previously: ann}}\n")
    assert loaded.accounts == {"stats": {"siteward": None, "anna": "anna", "a@x.org": "anna", "ann": "anna"}}
    assert Pseudonyms(loaded.accounts).of("stats").text("stats wants ann") == "stats wants anna"


def test_what_was_refused_once_is_not_called_unknown(tmp_path: Path) -> None:
    """One mistake is told once: rows that are wrong, or a file that is not there, draw no further complaints."""
    text = """version: 1
include: [gone.yaml]
instances:
  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site, mood: good}
users: {anna: {emial: anna@example.org}}
groups: {team: [anna, from-the-file-that-is-gone], more: {membres: [anna]}}
roles: {analyst: {umami: [view]}}
grants:
  - {to: [anna, team, more, nobody-here], role: analyst, sites: "*", on: stats}
"""
    loaded = read_text(tmp_path, text)
    assert sorted(diagnostic.code for diagnostic in loaded.diagnostics) == [
        "unknown-key", "unknown-key", "unknown-key", "unreadable", "wrong-type",
    ]  # fmt: skip


def test_an_unknown_name_is_told_once_beside_a_row_in_error(tmp_path: Path) -> None:
    """Rows of which a part is refused are looked at again, which tells what the other rows say for a second time."""
    text = """version: 1
instances:
  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site}
  more: {platform: umami, url: "https://more.example.org", self: siteward, layout: per-site, mode: none}
users: {anna: {email: anna@example.org}}
grants:
  - {to: anna, role: view, sites: shop.example.org, on: third}
"""
    assert [said.code for said in read_text(tmp_path, text).diagnostics] == ["unknown-value", "unknown-instance"]


def test_an_include_may_be_bounded_in_power_alone(tmp_path: Path) -> None:
    """Then it may grant everywhere, up to that."""
    text = HEAD + "include: [{path: team.yaml, at_most: edit}]\nusers: {anna: {}}\n"
    team = "grants: [{to: anna, role: %s, sites: shop.example.org}]\n"
    assert not read_text(tmp_path, text, team=team % "edit").diagnostics
    assert [diagnostic.code for diagnostic in read_text(tmp_path, text, team=team % "manage").diagnostics] == [
        "beyond-include"
    ]


def test_a_pattern_may_reach_into_what_a_bound_leaves_out(tmp_path: Path) -> None:
    """So it is refused, where a name beside it is fine."""
    text = HEAD + 'include: [{path: team.yaml, sites: ["*.example.org", "!secret.example.org"]}]\nusers: {anna: {}}\n'
    team = "grants: [{to: anna, role: view, sites: %s}]\n"
    assert not read_text(tmp_path, text, team=team % "shop.example.org").diagnostics
    for written in ('"s*.example.org"', "secret.example.org"):
        assert [diagnostic.code for diagnostic in read_text(tmp_path, text, team=team % written).diagnostics] == [
            "beyond-include"
        ]


def test_a_rule_on_a_site_is_judged_where_the_file_tells(tmp_path: Path) -> None:
    """By handle, domain, tag, and where one pattern takes the other in; not where something may be left out."""
    text = (
        "version: 1\ninstances:\n"
        '  stats: {platform: umami, url: "https://stats.example.org", self: siteward, layout: per-site%s}\n'
        "sites: {shop: {domain: Shop.example.org, tags: [acme]}, blog: {domain: blog.example.org, only: [stats]}}\n"
        "users: {anna: {}}\n"
        "grants: [{to: anna, role: edit, sites: %s}]\n"
        "policy: {wildcards: {at_most: manage}, rules: [{id: a-rule, match: {site: %s}, at_most: view}]}\n"
    )
    for sites, site, refused in (
        ("shop", "shop.example.org", True), ("SHOP.example.org", "shop", True), ("shop", '"tag:acme"', True),
        ('"tag:acme"', "shop", True), ("blog", "shop", False), ("bücher.test", "xn--bcher-kva.test", True),
        ("xn--bcher-kva.test", "bücher.test", True), ('"*.example.org"', '"*.org"', True),
        ('"*.example.org"', "shop", True), ('"*.test"', '"*.example.org"', False), ('"*"', '"*"', True),
        ('["*.example.org", "!shop"]', "shop", False), ('["*.example.org", "!tag:acme"]', "shop.example.org", False),
        ('["*.example.org", "!shop"]', '"*.example.org"', True), ('"id:7"', '"id:7"', True), ('"id:7"', "shop", False),
        ('"sitegroup:Shops"', '"sitegroup:shops"', True), ("shop", '"sh?p"', False),
    ):  # fmt: skip
        found = [
            diagnostic.code
            for diagnostic in read_text(tmp_path, text % ("", sites, site)).diagnostics
            if diagnostic.blocks
        ]
        assert found == ["a-rule"] * refused, (sites, site)
    for manages, refused in (('["blog.*"]', False), ('["*.example.org"]', True), ('["*", "!tag:acme"]', False)):
        loaded = read_text(tmp_path, text % (f", manages: {manages}", "[shop, blog]", "shop"))
        assert ["a-rule"] * refused == [diagnostic.code for diagnostic in loaded.diagnostics if diagnostic.blocks], (
            manages
        )


def test_rules_look_at_people_roles_and_kinds_of_scope(tmp_path: Path) -> None:
    """All conditions of a rule must hold."""
    text = (
        HEAD
        + """users:
  anna: {email: anna@example.org, logins: {stats: a.berg}}
  ben: {}
grants:
  - {to: [anna, ben], role: edit, sites: shop.example.org}
  - {to: ben, role: admin, on: stats}
policy:
  rules: [{id: a-rule, match: %s, require: [email, reason]}]
"""
    )
    for match, lines in (
        ("{user: 'be*'}", [8, 8, 9, 9]), ("{account: 'a.*'}", [8]), ("{role: team-member, user: ben}", [8, 8]),
        ("{scope: instance}", [9, 9]), ("{power: manage}", [9, 9]), ("{site: 'shop.*'}", [8, 8, 8]),
        ("{site: 'blog.*'}", []), ("{role: edit, user: ben}", [8, 8]), ("{role: 'umami:admin'}", [9, 9]), ("{}", [8, 8, 8, 9, 9]),
    ):  # fmt: skip
        loaded = read_text(tmp_path, text % match)
        assert [
            diagnostic.at and diagnostic.at.line for diagnostic in loaded.diagnostics if diagnostic.code == "a-rule"
        ] == lines, match


def test_a_file_with_warnings_alone_is_right(tmp_path: Path) -> None:
    """What is only worth a look does not stop anybody."""
    loaded = read_text(tmp_path, HEAD + "users: {anna: {}}\ngroups: {team: [anna]}\n")
    assert [diagnostic.code for diagnostic in loaded.diagnostics] == ["unused-group"]
    assert loaded.declaration is not None
    assert loaded.texts[str(tmp_path / "access.yaml")][4] == "groups: {team: [anna]}"


@pytest.mark.parametrize(
    "name", ["users", "groups", "sites", "roles", "grants", "policy", "journal", "include", "instances"]
)
@pytest.mark.parametrize(
    "value", ["7", "text", "[]", "[7]", "{}", "{a: 7}", "[{}]", "[[]]", "{a: []}", "{a: {b: c}}", "~", ""]
)
def test_no_shape_breaks_the_reader(tmp_path: Path, name: str, value: str) -> None:
    """Whatever stands where a table or list should, there is an answer with a place."""
    lines = [line for line in (HEAD + "users: {anna: {}}\n").splitlines() if not line.startswith(name)]
    if name == "instances":
        lines = [line for line in lines if not line.startswith("  ")]
    loaded = read_text(tmp_path, "\n".join([*lines, f"{name}: {value}"]) + "\n")
    assert loaded.declaration is not None or any(diagnostic.blocks for diagnostic in loaded.diagnostics)
    assert all(diagnostic.at is not None for diagnostic in loaded.diagnostics)
    assert all(diagnostic.code in RULES for diagnostic in loaded.diagnostics)


def test_what_is_wrong_with_a_key_that_two_ask_for_is_told_once(tmp_path: Path) -> None:
    """`native` is one of the keys that all share, and Piwik PRO's settings know it too."""
    path = tmp_path / "access.yaml"
    path.write_text(
        "version: 1\ninstances:\n  pp: {platform: piwik-pro, url: 'https://a.piwik.pro', self: x@x.org, native: yes please}\n"
    )
    loaded = load(path, settings_of=settings_models().get, widest_of=TRAITS.get, platforms=tuple(TRAITS))
    assert [diagnostic.message for diagnostic in loaded.diagnostics] == [
        "`native` must be true or false, found the text `yes please`"
    ]
