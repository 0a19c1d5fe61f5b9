"""A change of the files on a live instance, judged by the revision it would be merged into, and by who asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from promises.small import ADMINS, BLOG, SHOP, Small, document, edit, fake, rig, view
from reconcile.asked import Asked, looked_at
from siteward.access.model import Scope
from siteward.reconcile.project import judged, known_accounts
from siteward.reconcile.revisions.base_policy import BasePolicy

if TYPE_CHECKING:
    from siteward.access.diagnostic import Diagnostic
    from siteward.access.plan import Step
    from siteward.declaration.load import Declaration

GRANTS = [ADMINS, view("carla"), edit("dora")]
RULE = {"id": "a-rule", "match": {"user": "carla", "power": "edit"}, "require": ["ticket"]}


def declaration(folder: Path, **changed: Any) -> Declaration:
    """Return a declaration of the small world."""
    return rig(folder, **changed).project.declaration


def against(
    folder: Path,
    before: dict[str, Any],
    after: dict[str, Any],
    *,
    actors: tuple[tuple[str, str], ...] = (),
    fork: dict[str, Any] | None = None,
) -> Asked:
    """Return the plan of a change from one declaration to another, judged by the first."""
    small = rig(folder / "after", fake(), **after)
    policy = BasePolicy(
        head=small.project.declaration,
        ref="main",
        base=declaration(folder / "before", **before),
        fork=None if fork is None else declaration(folder / "fork", **fork),
        actors=frozenset(actors),
    )
    return judged_by(small, policy)


def judged_by(small: Small, policy: BasePolicy) -> Asked:
    small.project = replace(small.project, base_policy=policy)
    return looked_at(small)


def said(found: Asked) -> list[Diagnostic]:
    """Return all that is said of the instance and of its steps."""
    return [*found.plan.diagnostics, *(told for step in found.plan.steps for told in step.diagnostics)]


def codes(found: Asked) -> set[str]:
    return {told.code for told in said(found)}


def only(found: Asked) -> Step:
    (step,) = found.plan.steps
    return step


# -- rules, limits and settings


def test_a_rule_that_is_relaxed_still_judges_its_own_change(tmp_path: Path) -> None:
    """The base's rule blocks the step, says whose it is, and points at no line of the checkout."""
    after = {"grants": [*GRANTS, edit("carla", BLOG)]}
    found = against(tmp_path, {"policy": {"rules": [RULE]}}, after)
    step = only(found)
    assert step.blocked
    (refusal,) = [told for told in step.diagnostics if told.code == "a-rule"]
    assert refusal.message.endswith("by the rule a-rule of main")
    assert refusal.related == ()
    assert not against(tmp_path, {}, after).plan.steps[0].blocked


def test_a_rule_that_stands_in_both_is_one_rule(tmp_path: Path) -> None:
    """That of the checkout, with its line; one that only the base has says whose it is and has none."""
    both = {"policy": {"rules": [RULE]}}
    base, head = declaration(tmp_path / "before", **both), declaration(tmp_path / "after", **both)
    assert BasePolicy(head=head, ref="main", base=base).policy("it").rules == head.instances["it"].policy.rules
    (rule,) = BasePolicy(head=declaration(tmp_path / "bare"), ref="main", base=base).policy("it").rules
    assert (rule.id, rule.revision, rule.at) == ("a-rule", "main", None)


def test_the_stricter_mode_and_limits_hold(tmp_path: Path) -> None:
    """Whichever side has them."""
    opened = against(tmp_path, {"instance": {"mode": "add-only"}}, {"grants": [ADMINS, edit("dora")]})
    assert (opened.plan.steps, len(opened.plan.held_back), opened.plan.mode) == ((), 1, "add-only")
    closed = against(tmp_path, {}, {"instance": {"mode": "observe"}, "grants": [ADMINS, edit("dora")]})
    assert (closed.plan.steps, closed.plan.mode) == ((), "observe")
    free = against(tmp_path, {}, {"grants": [ADMINS, edit("dora")]})
    assert len(free.plan.steps) == 1


def test_an_instance_that_the_base_does_not_have_is_judged_by_the_checkout(tmp_path: Path) -> None:
    """Nothing of another instance holds for it."""
    small = rig(tmp_path / "after", fake(), grants=[ADMINS, edit("dora")])
    base = declaration(tmp_path / "before", instance={"mode": "observe"})
    other = replace(base, instances={"elsewhere": replace(base.instances["it"], name="elsewhere")})
    policy = BasePolicy(head=small.project.declaration, ref="main", base=other)
    assert policy.policy("it") == small.project.declaration.instances["it"].policy
    assert len(judged_by(small, policy).plan.steps) == 1


def test_an_instance_in_another_spelling_is_the_same_instance(tmp_path: Path) -> None:
    """What goes by the same credentials cannot be renamed out of its rules."""
    small = rig(tmp_path / "after", fake(), grants=[ADMINS, edit("dora")])
    base = declaration(tmp_path / "before", instance={"mode": "observe"})
    other = replace(base, instances={"IT": replace(base.instances["it"], name="IT")})
    found = judged_by(small, BasePolicy(head=small.project.declaration, ref="main", base=other))
    assert (found.plan.mode, found.plan.steps) == ("observe", ())


def test_without_a_base_the_checkout_judges_alone(tmp_path: Path) -> None:
    """And it is said that the base had no such file, where one was asked for."""
    small = rig(tmp_path, fake(), grants=[ADMINS, edit("dora")])
    head = small.project.declaration
    policy = BasePolicy(head=head, ref="main")
    (remark,) = policy.remarks
    assert (remark.code, remark.message, remark.at) == (
        "base-without-file",
        "there is no such file at main: only the rules of this checkout apply",
        head.root,
    )
    assert BasePolicy(head=head).remarks == ()
    assert (policy.kinds, policy.persons) == ({}, frozenset())
    found = judged_by(small, policy)
    assert len(found.plan.steps) == 1
    assert not found.plan.blocked


def test_what_else_changed_is_among_the_remarks(tmp_path: Path) -> None:
    """Settings, rules and identities, each with its own code."""
    base = declaration(tmp_path / "before", policy={"admins": {"min": 2}})
    head = declaration(tmp_path / "after")
    assert [remark.code for remark in BasePolicy(head=head, ref="main", base=base).remarks] == ["policy-changed"]


# -- people


def test_a_kind_that_is_changed_still_counts(tmp_path: Path) -> None:
    """A client who is made a person is judged as the client of the base, and as the person of the checkout."""
    rules = {"rules": [{"id": "a-rule", "match": {"kind": "client"}, "at_most": "view"}]}
    before = {"policy": rules, "users": {"carla": {"kind": "client"}}}
    after = {"policy": rules, "users": {"carla": {"kind": "person"}}, "grants": [*GRANTS, edit("carla", BLOG)]}
    found = against(tmp_path, before, after)
    assert only(found).blocked
    assert "a-rule" in codes(found)
    assert not only(against(tmp_path, {"policy": rules}, after)).blocked
    base, head = declaration(tmp_path / "b", **before), declaration(tmp_path / "h", **after)
    assert BasePolicy(head=head, ref="main", base=base).kinds == {"carla": "client"}


def test_an_account_that_changes_hands_is_judged_as_its_former_owner_s(tmp_path: Path) -> None:
    """A rule on a user cannot be left by giving the account to somebody else."""
    rules = {"rules": [{"id": "a-rule", "match": {"user": "carla"}, "at_most": "view"}]}
    after = {
        "policy": rules,
        "users": {"carla": {"logins": {"it": "carla-2"}, "state": "suspended"}, "eve": {"logins": {"it": "carla"}}},
        "grants": [ADMINS, edit("dora"), view("eve"), edit("eve", BLOG)],
    }
    found = against(tmp_path, {"policy": rules}, after)
    blocked = [step for step in found.plan.steps if step.blocked]
    assert [step.change.key[4] for step in blocked] == [BLOG]
    assert "a-rule" in {told.code for told in blocked[0].diagnostics}
    plain = against(tmp_path, {"policy": rules, "users": {"carla": {"logins": {"it": "other"}}}}, after)
    assert not [step for step in plain.plan.steps if step.blocked]


CLIENTS = {"rules": [{"id": "a-rule", "match": {"kind": "client"}, "at_most": "view"}]}


def test_a_kind_still_counts_under_another_login(tmp_path: Path) -> None:
    """Whoever gets a new account and another kind in one change is the client of before."""
    before = {"policy": CLIENTS, "users": {"carla": {"kind": "client"}}}
    after = {
        "policy": CLIENTS,
        "users": {"carla": {"logins": {"it": "nina"}}},
        "grants": [ADMINS, edit("dora"), edit("carla", BLOG)],
    }
    found = against(tmp_path, before, after)
    assert {told.about[2] for told in said(found) if told.code == "a-rule" and told.blocks and told.about} == {"nina"}
    same = against(tmp_path, {"policy": CLIENTS}, after)
    assert "a-rule" not in codes(same)


def test_an_account_keeps_the_kind_that_it_had(tmp_path: Path) -> None:
    """The account of a client is that of a client, whoever has it now; dates at the base are those of then."""
    before = {"policy": CLIENTS, "users": {"carla": {"kind": "client", "until": "2027-12-31"}}}
    after = {
        "policy": CLIENTS,
        "users": {
            "carla": {"kind": "client", "logins": {"it": "carla-2"}, "state": "suspended"},
            "eve": {"logins": {"it": "carla"}},
        },
        "grants": [ADMINS, edit("dora"), view("eve"), edit("eve", BLOG)],
    }
    found = against(tmp_path, before, after)
    assert [step.change.key[4] for step in found.plan.steps if step.blocked] == [BLOG]
    assert "a-rule" in codes(found)


def test_who_left_since_the_base_loses_access_as_somebody_who_left(tmp_path: Path) -> None:
    """No journal knows them, the base does; the revision from which the change was made goes before the base."""
    small = rig(tmp_path / "after", fake())
    text = document(grants=[ADMINS, view("carla")])
    del text["users"]["dora"]
    small.declare(text)
    head = small.project.declaration
    base = declaration(tmp_path / "before")
    found = judged_by(small, BasePolicy(head=head, ref="main", base=base))
    assert [(step.person, step.cause) for step in found.plan.steps if step.change.key[2:3] == ("dora",)] == [
        ("dora", "left")
    ]
    never = judged_by(small, BasePolicy(head=head, ref="main", base=base, fork=head))
    assert never.plan.steps == ()


def test_who_left_is_known_by_the_login_that_the_base_has(tmp_path: Path) -> None:
    """The handle need not be the login, and dates at the base are those of then."""
    small = rig(tmp_path / "after", fake())
    text = document(grants=[ADMINS, view("carla")])
    del text["users"]["dora"]
    small.declare(text)
    base = rig(tmp_path / "before")
    text = document(grants=[ADMINS, view("carla"), edit("old")])
    del text["users"]["dora"]
    text["users"]["old"] = {"logins": {"it": "dora"}, "until": "2027-12-31"}
    base.declare(text)
    policy = BasePolicy(head=small.project.declaration, ref="main", base=base.project.declaration)
    found = judged_by(small, policy)
    assert [(step.person, step.cause) for step in found.plan.steps if step.change.key[2:3] == ("dora",)] == [
        ("old", "left")
    ]
    base_only = replace(policy, fork=replace(policy.head, instances={}))
    assert judged_by(small, base_only).plan.steps == ()


def test_who_only_has_another_handle_has_not_left(tmp_path: Path) -> None:
    """`previously` names the former one."""
    small = rig(tmp_path / "after", fake())
    text = document(grants=[ADMINS, view("carla"), edit("dora-b")])
    del text["users"]["dora"]
    text["users"]["dora-b"] = {"previously": ["Dora"], "logins": {"it": "dora"}}
    small.declare(text)
    found = judged_by(
        small, BasePolicy(head=small.project.declaration, ref="main", base=declaration(tmp_path / "before"))
    )
    assert found.plan.steps == ()


# -- sites


def test_a_site_that_was_not_looked_at_is_merged_first(tmp_path: Path) -> None:
    """What a wider `manages` reaches is blocked until the wider one is merged."""
    before = {"instance": {"manages": ["*", f"!{BLOG}"]}}
    found = against(tmp_path, before, {"grants": [*GRANTS, edit("carla", BLOG)]})
    (refusal,) = [told for told in only(found).diagnostics if told.code == "not-managed-before"]
    assert refusal.blocks
    assert refusal.message == "before this change, this site was out of scope of `manages`"
    assert refusal.hint == "merge the wider `manages` first, and the rest after it"
    assert refusal.about == only(found).change.key
    inside = against(tmp_path, before, {"grants": [*GRANTS, edit("carla", SHOP)]})
    assert "not-managed-before" not in codes(inside)
    admin = against(
        tmp_path, before, {"grants": [{**ADMINS, "to": ["anna", "ben", "carla"]}, view("carla"), edit("dora")]}
    )
    assert "not-managed-before" not in codes(admin)
    assert "not-managed-before" not in codes(against(tmp_path, {}, {"grants": [*GRANTS, edit("carla", BLOG)]}))


def test_a_site_goes_by_the_names_that_the_base_has_for_it(tmp_path: Path) -> None:
    """A rule on a tag cannot be left by taking the tag away."""
    rules = {"rules": [{"id": "a-rule", "match": {"site": "tag:secret"}, "at_most": "view"}]}
    before = {"policy": rules, "sites": {"blog": {"domain": BLOG, "tags": ["secret"]}}}
    after = {"policy": rules, "sites": {"blog": {"domain": BLOG}}, "grants": [*GRANTS, edit("carla", BLOG)]}
    assert only(against(tmp_path, before, after)).blocked
    other = {"policy": rules, "sites": {"blog": {"domain": BLOG}}}
    assert not only(against(tmp_path, other, after)).blocked
    base, head = declaration(tmp_path / "b", **before), declaration(tmp_path / "h", **after)
    assert BasePolicy(head=head, ref="main", base=base).as_judged().former_names == {
        BLOG: frozenset({"blog", BLOG, "tag:secret"})
    }


def test_a_group_that_is_gone_keeps_its_members_for_the_rules_of_the_base(tmp_path: Path) -> None:
    """A rule on members cannot be left by giving the group another name."""
    rules = {"rules": [{"id": "a-rule", "match": {"power": "edit"}, "not_with": {"group": "developers"}}]}
    before = {"policy": rules, "groups": {"developers": ["carla"]}}
    after = {"groups": {"devs": ["carla"]}, "grants": [*GRANTS, edit("carla", BLOG)]}
    assert only(against(tmp_path / "renamed", before, after)).blocked
    left = {**after, "groups": {"developers": ["dora"]}}
    assert not only(against(tmp_path / "left", before, left)).blocked


def test_a_renamed_group_is_the_one_that_the_base_s_rules_name(tmp_path: Path) -> None:
    """Whoever joins it under its new name is in it for them, and the members at the base stay so."""
    rules = {"rules": [{"id": "a-rule", "match": {"power": "edit"}, "not_with": {"group": "developers"}}]}
    before = {"policy": rules, "groups": {"developers": ["dora"]}}
    devs = {"devs": {"members": ["carla"], "previously": ["developers"]}}
    joined = {"groups": devs, "grants": [*GRANTS, edit("carla", BLOG)]}
    assert only(against(tmp_path / "joined", before, joined)).blocked
    assert only(against(tmp_path / "stayed", before, {**joined, "grants": [*GRANTS, edit("dora", BLOG)]})).blocked


def test_a_pinned_site_goes_by_the_names_that_the_base_has_for_it(tmp_path: Path) -> None:
    """The pin is one of the instance, and the checkout need not name the site at all."""
    rules = {"rules": [{"id": "a-rule", "match": {"site": "tag:secret"}, "at_most": "view"}]}
    blog = looked_at(rig(tmp_path / "look", fake())).survey.live.sites[Scope("site", BLOG)].id
    pinned = {"domain": "old.example.org", "tags": ["secret"], "on": {"it": blog}}
    before = {"policy": rules, "sites": {"blog": pinned}}
    bare = {"policy": rules, "grants": [*GRANTS, edit("carla", BLOG)]}
    assert {told.code for told in only(against(tmp_path, before, bare)).diagnostics if told.blocks} == {"a-rule"}


# -- who asks


ME = {"users": {"carla": {"forge": {"github": "Carla-B"}}}}


@pytest.mark.parametrize(
    ("actor", "named"),
    [
        (("github", "carla-b"), True),
        (("GitHub", "CARLA-B"), True),
        (("", "carla-b"), True),
        (("gitlab", "carla-b"), False),
        (("github", "dora"), False),
        (("", "carla"), False),
    ],
)
def test_who_gains_by_a_change_that_they_ask_for_is_named(
    tmp_path: Path, actor: tuple[str, str], *, named: bool
) -> None:
    """The forge and the login there have to be theirs, in any case; without a forge any login of that name counts."""
    found = against(tmp_path, ME, {**ME, "grants": [*GRANTS, edit("carla", BLOG)]}, actors=(actor,))
    told = [told for told in only(found).diagnostics if told.code == "grants-oneself"]
    assert bool(told) == named
    if named:
        assert told[0].message == "carla, who asks for this change, gains from it"
        assert told[0].hint == "somebody else should approve it"
        assert not told[0].blocks
        assert "self-grant" in only(found).risks


def test_who_is_known_to_the_base_alone_is_named_too(tmp_path: Path) -> None:
    """Striking out one's own name at the forge hides nothing."""
    actors = (("github", "carla-b"),)
    hidden = against(tmp_path, ME, {"grants": [*GRANTS, edit("carla", BLOG)]}, actors=actors)
    assert "grants-oneself" in codes(hidden)
    new = against(tmp_path, {}, {**ME, "grants": [*GRANTS, edit("carla", BLOG)]}, actors=actors)
    assert "grants-oneself" in codes(new)


def test_who_loses_or_lets_others_gain_is_not_named(tmp_path: Path) -> None:
    """To take something from oneself needs nobody's approval."""
    actors = (("github", "carla-b"),)
    loses = against(tmp_path, ME, {**ME, "grants": [ADMINS, edit("dora")]}, actors=actors)
    assert only(loses).person == "carla"
    lowered = against(tmp_path, ME, {**ME, "grants": [ADMINS, view("carla"), view("dora")]}, actors=actors)
    assert only(lowered).person == "dora"
    assert "grants-oneself" not in codes(loses) | codes(lowered)
    dora = {"users": {"dora": {"forge": {"github": "d"}}}}
    down = against(tmp_path, dora, {**dora, "grants": [ADMINS, view("carla"), view("dora")]}, actors=(("github", "d"),))
    assert "grants-oneself" not in codes(down)


def test_who_only_gains_time_is_named_at_the_line(tmp_path: Path) -> None:
    """A later end is no step, and is told with the site."""
    soon, late = ({**view("carla"), "until": day} for day in ("2027-01-31", "2027-06-30"))
    actors = (("github", "carla-b"),)
    before, after = ({**ME, "grants": [ADMINS, grant, edit("dora")]} for grant in (soon, late))
    found = against(tmp_path, before, after, actors=actors)
    assert found.plan.steps == ()
    (told,) = [told for told in said(found) if told.code == "extends-own-end"]
    assert told.message == (f"carla, who asks for this change, has access to {Scope('site', SHOP)} for longer by it")
    assert told.hint == "somebody else should approve it"
    assert told.at is not None
    assert told.at.file.endswith("after/access.yaml")
    for other in (
        against(tmp_path, after, before, actors=actors),
        against(tmp_path, before, after),
        against(tmp_path, before, after, actors=(("github", "dora"),)),
        against(tmp_path, before, before, actors=actors),
    ):
        assert "extends-own-end" not in codes(other)


# -- without a server


def test_the_files_are_checked_by_the_stricter_rules_too(tmp_path: Path) -> None:
    """`validate` tells what the base's rules refuse, and nothing twice."""
    after = {"grants": [*GRANTS, edit("carla", BLOG)]}
    head, base = declaration(tmp_path / "after", **after), declaration(tmp_path / "before", policy={"rules": [RULE]})
    policy = BasePolicy(head=head, ref="main", base=base)
    found = judged(policy, ())
    assert {told.code for told in found} == {"a-rule"}
    assert all("a-rule of main" in told.message for told in found)
    assert judged(policy, found) == ()
    assert judged(BasePolicy(head=head, ref="main", base=head), ()) == ()


def test_the_files_are_checked_with_the_kinds_and_names_of_before(tmp_path: Path) -> None:
    """A client stays one for `validate`, two names of a domain are both known, and without a base nothing is added."""
    after = {"grants": [*GRANTS, edit("carla", BLOG)]}
    head = declaration(tmp_path / "after", **after)
    base = declaration(tmp_path / "before", policy=CLIENTS, users={"carla": {"kind": "client"}})
    policy = BasePolicy(head=head, ref="main", base=base)
    assert {told.code for told in judged(policy, ())} == {"a-rule"}
    assert policy.as_judged().users["carla"] == replace(head.users["carla"], kind="client")
    assert policy.as_judged().users["dora"] == head.users["dora"]
    sites = {"one": {"domain": BLOG, "tags": ["a"]}, "two": {"domain": BLOG, "tags": ["b"]}}
    named = BasePolicy(head=head, ref="main", base=declaration(tmp_path / "named", sites=sites)).as_judged()
    assert named.former_names == {BLOG: frozenset({"one", "two", BLOG, "tag:a", "tag:b"})}
    alone = BasePolicy(head=head).as_judged()
    assert (alone.users, alone.instances, alone.former_names) == (head.users, head.instances, {})


def test_the_accounts_of_both_revisions_are_known(tmp_path: Path) -> None:
    """Privacy hides the logins that only the base names."""
    base = declaration(tmp_path / "before", users={"carla": {"logins": {"it": "old-login"}}})
    head = declaration(tmp_path / "after")
    policy = BasePolicy(head=head, ref="main", base=base)
    assert known_accounts(head.accounts(), policy)["it"]["old-login"] == "carla"
    assert "old-login" not in known_accounts(head.accounts(), None)["it"]
    assert known_accounts(head.accounts(), BasePolicy(head=head)) == head.accounts()
