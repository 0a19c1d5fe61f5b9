"""What reviewers decided: how it is read back, when it is refused, and which edit of the files carries it out."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from promises.small import ADMINS, BLOG, LAB, SHOP, Somebody, document, edit, rig, view
from reconcile.asked import Asked, in_blocks, looked_at, reopened
from rig import NOW
from siteward.access.certification import Horizon, Item, Review, review
from siteward.access.model import EVERYWHERE, Scope
from siteward.declaration.edited import Edit
from siteward.reconcile import certify
from siteward.reconcile.certify import _build_decision, commits, edited, ledgers, words_of
from siteward.reconcile.sheets import (
    Answer,
    BadDecisionsError,
    Decisions,
    changed_since,
    check_names,
    read_decisions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

WHO = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}
HEADER = "decision,id,digest,live\n"


def decisions_in(folder: Path, text: str) -> Decisions:
    """Read a file with this text."""
    path = folder / "review.csv"
    path.write_text(text, encoding="utf-8")
    return read_decisions(path)


def refusal(folder: Path, text: str) -> str:
    """Return why a file with this text is refused."""
    with pytest.raises(BadDecisionsError) as refused:
        decisions_in(folder, text)
    return str(refused.value)


# -- reading a table


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_table_is_read_with_comma_and_semicolon(tmp_path: Path, separator: str) -> None:
    """Spreadsheets write either, and a byte order mark; rows without a decision are items all the same."""
    text = "\ufeff" + (HEADER + "keep,1,sha256:x,view\n,2,sha256:x,edit\n").replace(",", separator)
    found = decisions_in(tmp_path, text)
    assert found.digest == "sha256:x"
    assert found.answers == {"1": Answer(word="keep")}
    assert found.rows.keys() == {"1", "2"}
    assert found.rows["2"]["live"] == "edit"
    assert found.places == {"1": "review.csv, row 2", "2": "review.csv, row 3"}


def test_a_review_in_json_is_read(tmp_path: Path) -> None:
    """Items are counted from one; values that are no text are read as text."""
    data = {"digest": "sha256:x", "items": [{"id": "1", "decision": " revoke ", "line": 7}, {"id": "2"}]}
    found = decisions_in(tmp_path, f"  {json.dumps(data)}")
    assert found.digest == "sha256:x"
    assert found.answers == {"1": Answer(word="revoke")}
    assert found.rows["1"]["line"] == "7"
    assert found.places == {"1": "review.csv, item 1", "2": "review.csv, item 2"}


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("keep", Answer(word="keep")),
        ("KEEP", Answer(word="keep")),
        ("'revoke", Answer(word="revoke")),
        ("Revoke", Answer(word="revoke")),
        ("change edit", Answer(word="change", role="edit")),
        ("change umami:team-member", Answer(word="change", role="umami:team-member")),
        ("change until 2027-03-31", Answer(word="change", until="2027-03-31")),
        ("CHANGE view UNTIL 2027-03-31", Answer(word="change", role="view", until="2027-03-31")),
        ("change  untilled", Answer(word="change", role="untilled")),
    ],
)
def test_what_a_decision_may_be(tmp_path: Path, said: str, answer: Answer) -> None:
    """keep, revoke, or change to a role, to an end or to both, in any case."""
    assert decisions_in(tmp_path, f"{HEADER}{said},1,sha256:x,view\n").answers == {"1": answer}


@pytest.mark.parametrize(
    "said",
    ["perhaps", "change", "change until", "change until tomorrow", "keep edit", "revoke until 2027-03-31", "keeper",
     "change edit view", "keep until 2027-01-01"],
)  # fmt: skip
def test_what_is_no_decision(tmp_path: Path, said: str) -> None:
    """It is named with its sheet, its row and its item, and what may be written instead."""
    assert refusal(tmp_path, f"{HEADER}{said},77,sha256:x,view\n") == (
        f"review.csv, row 2: item 77: {said!r} is not a valid decision; write keep, revoke, remove, change ROLE, change until DATE,"
        " or change ROLE until DATE"
    )


def test_all_decisions_that_are_none_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadDecisionsError) as refused:
        decisions_in(tmp_path, f"{HEADER}perhaps,1,sha256:x,view\nkeep,2,sha256:x,view\nchange,3,sha256:x,view\n")
    assert [why.partition(" is not")[0] for why in refused.value.args] == [
        "review.csv, row 2: item 1: 'perhaps'", "review.csv, row 4: item 3: 'change'"
    ]  # fmt: skip
    assert str(refused.value).endswith("(and 1 more)")


def test_a_decision_is_of_one_item(tmp_path: Path) -> None:
    """One that stands beside no id, or beside an id that stands somewhere already, is refused by its row."""
    assert refusal(tmp_path, f"{HEADER}keep,1,sha256:x,view\nrevoke,,sha256:x,view\n") == (
        "review.csv, row 3: 'revoke' is decided of no item; the id is missing"
    )
    twice = f"{HEADER}keep,1,sha256:x,view\n,1,sha256:x,view\n"
    assert refusal(tmp_path, twice) == "review.csv, row 3: item 1 stands in review.csv, row 2 already"
    items = [{"id": "1"}, {"id": "1", "decision": "keep"}]
    assert (
        refusal(tmp_path, json.dumps({"digest": "x", "items": items}))
        == "review.csv, item 2: item 1 stands in review.csv, item 1 already"
    )


def test_a_row_about_what_was_not_read_is_no_item(tmp_path: Path) -> None:
    """It has no id and no decision, and is passed over."""
    found = decisions_in(tmp_path, f"{HEADER},,sha256:x,not read\nkeep,1,sha256:x,view\n")
    assert (list(found.rows), list(found.places)) == (["1"], ["1"])


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}keep,1,sha256:x,view\nkeep,2,sha256:y,view\n",
        "decision,digest\nkeep,sha256:x\n",
        HEADER,
        "nothing\n",
        "",
    ],
)
def test_a_table_that_is_no_review(tmp_path: Path, text: str) -> None:
    """Without an id, without a row, or of two reviews."""
    assert refusal(tmp_path, text) == (
        f"{tmp_path / 'review.csv'} is not a valid review of one digest: write one with `siteward review -o review.csv`"
    )


@pytest.mark.parametrize(
    "data",
    ["{", "{}", '{"digest": "x"}', '{"items": []}', '{"digest": "x", "items": [1]}', '{"digest": "x", "items": 7}'],
)
def test_json_that_is_no_review(tmp_path: Path, data: str) -> None:
    """It is said what writes one."""
    assert refusal(tmp_path, data) == (
        f"{tmp_path / 'review.csv'} is not a valid review: write one with `siteward review -o review.json`"
    )


@pytest.mark.parametrize("data", ['{"digest": 7, "items": []}', '{"digest": "x", "items": [{}]}'])
def test_json_without_a_digest_or_an_id(tmp_path: Path, data: str) -> None:
    """What lacks is named."""
    assert refusal(tmp_path, data) == (
        f"{tmp_path / 'review.csv'} is not a valid review: it has no digest, or items without an id"
    )


def decided(*rows: Mapping[str, str], answered: tuple[str, ...] = ("1",)) -> Decisions:
    """Return decisions whose rows say this."""
    return Decisions(
        digest="x",
        answers={name: Answer(word="keep") for name in answered},
        rows={row["id"]: row for row in rows},
        places={row["id"]: f"row {number}" for number, row in enumerate(rows, 2)},
    )


def test_the_words_beside_an_id_must_be_those_of_its_item() -> None:
    """A table sorted by some of its columns would decide on others; row, column and the right name are told."""
    shown = [
        {"id": "1", "instance": "it", "person": "ana", "account": "a", "where": "shop", "live": "view", "declared": ""}
    ]
    same = {**shown[0], "person": " ana", "account": "'a"}
    check_names(decided(same), shown)
    for column in ("instance", "person", "account", "where", "live", "declared"):
        with pytest.raises(BadDecisionsError) as refused:
            check_names(decided({**shown[0], column: "bob"}), shown)
        assert str(refused.value) == (
            f"row 2, column {column}: 'bob' stands beside item 1, which is of {shown[0][column]!r};"
            " was the table sorted by some of its columns only?"
        )
    check_names(decided({**shown[0], "reason": "bob"}), shown)
    check_names(decided({**shown[0], "person": "bob"}, answered=()), shown)
    check_names(decided({"id": "1"}), shown)
    check_names(decided({**shown[0], "id": "9"}, answered=("9",)), shown)


def test_the_names_may_be_those_that_privacy_shows() -> None:
    """A review that hides logins comes back with handles, and either is right."""
    full = [
        {"id": "1", "instance": "it", "person": "ana", "account": "secret", "where": "", "live": "", "declared": ""}
    ]
    hidden = [{**full[0], "account": "ana"}]
    check_names(decided(full[0]), full, hidden)
    check_names(decided(hidden[0]), full, hidden)
    with pytest.raises(BadDecisionsError, match="which is of 'secret'"):
        check_names(decided({**full[0], "account": "bob"}), full, hidden)


def test_what_moved_since_the_review_is_named() -> None:
    """Items that are new, gone, or held in another way; what a reviewer wrote beside them is no change."""
    was = {"id": "1", "live": "view", "declared": "'view", "file": "access.yaml", "line": "7", "via": ""}
    now = {**was, "declared": "view", "decision": ""}
    assert changed_since(decided({**was, "decision": "keep", "account": "x"}), [now]) == ()
    for column in ("live", "declared", "file", "line", "via"):
        assert changed_since(decided(was), [{**now, column: "other"}]) == ("1",)
    assert changed_since(decided(was), [now, {**now, "id": "0"}]) == ("0",)
    assert changed_since(decided(was), []) == ("1",)
    assert changed_since(decided(was, {**was, "id": "2"}), [now]) == ("2",)


def test_a_scope_is_told_as_people_call_it() -> None:
    """The account role is on the whole instance."""
    assert words_of(EVERYWHERE) == "the whole instance"
    assert words_of(Scope("site", SHOP)) == str(Scope("site", SHOP))


# -- from decisions to files


def reviewed(found: Asked) -> Review:
    """Return the review of an instance."""
    return review(ledgers(found.declaration, [found.survey]), Horizon(as_of=NOW))


def item(made: Review, account: str, site: str = SHOP) -> Item:
    (known,) = (item for item in made.items if item.account == account and item.scope.name == site)
    return known


def carried_out(found: Asked, *said: tuple[str, str, Answer]) -> Edit:
    """Return the edit for decisions by account and site."""
    made = reviewed(found)
    answers = {item(made, account, site).id: answer for account, site, answer in said}
    return edited(
        found.rig.project, [found.survey], made, Decisions(digest=made.digest, answers=answers, rows={}, places={})
    )


KEEP, REVOKE = Answer(word="keep"), Answer(word="revoke")


def there(folder: Path, **changed: Any) -> Asked:
    """Return the small Umami with a file in blocks that declares this."""
    return looked_at(in_blocks(rig(folder, **changed)))


def after(found: Asked, made: Edit) -> Asked:
    """Write the edit and look again; exactly the one file of the rig may change."""
    path = found.rig.project.path
    assert set(made.texts) == {str(path)}
    path.write_text(made.texts[str(path)], encoding="utf-8")
    return looked_at(reopened(found.rig))


def _plain(path: Path) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def steps(found: Asked) -> set[tuple[str, ...]]:
    """Return what would be done: verb, account and site of each step."""
    return {(step.change.action, step.change.key[2], step.change.key[4]) for step in found.plan.steps}


def test_what_is_kept_changes_no_file(tmp_path: Path) -> None:
    """A right that both sides have stays as it is."""
    made = carried_out(there(tmp_path), ("carla", SHOP, KEEP))
    assert (dict(made.texts), made.undone, made.needless) == ({}, (), ())


def test_what_is_revoked_leaves_the_file_and_then_the_instance(tmp_path: Path) -> None:
    """The line goes; everybody else's stays."""
    found = there(tmp_path)
    now = after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    assert steps(now) == {("delete", "carla", SHOP)}


def test_one_of_several_in_a_line_leaves_it(tmp_path: Path) -> None:
    """The others keep the line."""
    found = there(tmp_path, grants=[ADMINS, view("carla"), {"to": ["dora", "ben"], "role": "edit", "sites": SHOP}])
    made = carried_out(found, ("dora", SHOP, REVOKE))
    now = after(found, made)
    assert ("delete", "dora", SHOP) in steps(now)
    assert _plain(found.rig.project.path)["grants"][2]["to"] == ["ben"]


def test_a_right_that_is_changed_gets_a_line_of_its_own(tmp_path: Path) -> None:
    """Another role, another end, or both, with the ticket and reason that it had."""
    found = there(tmp_path, grants=[ADMINS, view("carla", ticket="T-1", reason="reads"), edit("dora")])
    now = after(found, carried_out(found, ("carla", SHOP, Answer(word="change", role="edit", until="2027-03-31"))))
    assert steps(now) == {("update", "carla", SHOP)}
    (line,) = (line for line in _plain(found.rig.project.path)["grants"] if line["to"] == "carla")
    assert (line["role"], line["sites"], str(line["until"]), line["ticket"], line["reason"]) == (
        "edit", SHOP, "2027-03-31", "T-1", "reads",
    )  # fmt: skip


def test_a_right_that_only_ends_later_keeps_its_role(tmp_path: Path) -> None:
    """`change until` leaves everything else."""
    found = there(tmp_path)
    now = after(found, carried_out(found, ("dora", SHOP, Answer(word="change", until="2027-03-31"))))
    assert steps(now) == set()
    (line,) = (line for line in _plain(found.rig.project.path)["grants"] if line["to"] == "dora")
    assert (line["role"], str(line["until"])) == ("edit", "2027-03-31")


def test_one_site_of_several_is_left_out_of_a_line(tmp_path: Path) -> None:
    """The person keeps the rest of the line, the others all of it."""
    both = {"to": ["carla", "dora"], "role": "view", "sites": [SHOP, BLOG]}
    found = there(tmp_path, grants=[ADMINS, both])
    now = after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    wished = {(grant.subject.name, grant.scope.name) for grant in now.survey.desired.access.grants()}
    assert {("carla", BLOG), ("dora", SHOP), ("dora", BLOG)} <= wished
    assert ("carla", SHOP) not in wished


def test_one_site_is_left_out_of_a_pattern(tmp_path: Path) -> None:
    """The pattern stays, with the site excluded."""
    found = there(tmp_path, grants=[ADMINS, {"to": "carla", "role": "view", "sites": "*.example.org"}, edit("dora")])
    now = after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    wished = {(grant.subject.name, grant.scope.name) for grant in now.survey.desired.access.grants()}
    assert ("carla", BLOG) in wished
    assert ("carla", SHOP) not in wished


def test_one_of_a_group_leaves_what_the_group_gives_on_a_site(tmp_path: Path) -> None:
    """A group without that person takes the group's place in the line, and all other lines keep the group."""
    found = there(
        tmp_path,
        groups={"team": ["carla", "dora"]},
        grants=[ADMINS, {"to": "team", "role": "view", "sites": SHOP}, {"to": "team", "role": "edit", "sites": BLOG}],
    )
    now = after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    wished = {(grant.subject.name, grant.scope.name) for grant in now.survey.desired.access.grants()}
    assert {("carla", BLOG), ("dora", SHOP), ("dora", BLOG)} <= wished
    assert ("carla", SHOP) not in wished
    document = _plain(found.rig.project.path)
    assert document["groups"]["team"] == ["carla", "dora"]
    assert document["groups"]["team-without-carla"] == ["team", "!carla"]


def test_who_loses_all_that_a_group_gives_leaves_the_group(tmp_path: Path) -> None:
    """No second group is made for somebody who has nothing left of it."""
    found = there(tmp_path, groups={"team": ["carla", "dora"]}, grants=[ADMINS, view("team")])
    after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    document = _plain(found.rig.project.path)
    assert document["groups"] == {"team": ["dora"]}


@pytest.mark.parametrize("name", ["till", SHOP, "id"])
def test_a_site_is_left_out_by_whatever_name_the_line_has_for_it(tmp_path: Path, name: str) -> None:
    """Handle, domain or id: the word goes, and no exclusion is written."""
    small = rig(tmp_path)
    shop = looked_at(small).survey.live.sites[Scope("site", SHOP)].id
    written = f"id:{shop}" if name == "id" else name
    grants = [ADMINS, {"to": "carla", "role": "view", "sites": [BLOG, written]}, edit("dora")]
    small.document = document(sites={"till": {"domain": SHOP}, "other": {"domain": BLOG}}, grants=grants)
    found = looked_at(in_blocks(small))
    now = after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    assert ("delete", "carla", SHOP) in steps(now)
    (line,) = [line for line in _plain(small.project.path)["grants"] if line["to"] == "carla"]
    assert line["sites"] == [BLOG]


def test_a_site_that_is_pinned_is_left_out_by_its_handle(tmp_path: Path) -> None:
    """A pin means this site and no other of that domain."""
    small = rig(tmp_path)
    shop = looked_at(small).survey.live.sites[Scope("site", SHOP)].id
    grants = [ADMINS, {"to": "carla", "role": "view", "sites": [BLOG, "till"]}, edit("dora")]
    small.document = document(sites={"till": {"domain": "old.example.org", "on": {"it": shop}}}, grants=grants)
    found = looked_at(in_blocks(small))
    after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    (line,) = [line for line in _plain(small.project.path)["grants"] if line["to"] == "carla"]
    assert line["sites"] == [BLOG]


def test_a_site_of_somebody_else_is_named_by_its_id(tmp_path: Path) -> None:
    """What its domain would not mean: a right there that is kept is granted by the id."""
    found = there(tmp_path, users={"petra": {}})
    made = reviewed(found)
    lab = next(known for known in made.items if known.account == "petra" and known.scope.name.startswith(LAB))
    live = found.survey.live.sites[lab.scope]
    assert live.by_id_only
    taken = _build_decision(lab, Answer(word="revoke"), {"it": found.survey}, found.rig.project)
    assert taken.selector == f"id:{live.id}"
    assert taken.names == {lab.scope.name, f"id:{live.id}"}
    assert taken.live_role == "umami:owner"


def test_what_no_grant_can_declare_is_kept_without_an_edit(tmp_path: Path) -> None:
    """Who owns a site is a fact: to keep it needs no line, and to take it away no line can."""
    found = there(tmp_path, users={"petra": {}})
    site = next(known for known in reviewed(found).items if known.scope.name.startswith(LAB)).scope.name
    kept = carried_out(found, ("petra", site, Answer(word="keep")))
    assert (kept.texts, kept.undone, kept.needless) == ({}, (), ())
    for answer in (REVOKE, Answer(word="change", role="view")):
        (said,) = carried_out(found, ("petra", site, answer)).undone
        assert "no grant can declare it; it is changed on the platform" in said


def test_files_of_other_folders_and_letters_are_read_as_they_are(tmp_path: Path) -> None:
    """The proof reads all files of the declaration again, edited or not."""
    (tmp_path / "teams" / "deep").mkdir(parents=True)
    (tmp_path / "teams" / "deep" / "shop.yaml").write_text(
        f"# Müller\ngrants:\n  - {{to: carla, role: view, sites: {SHOP}}}\n", encoding="utf-8"
    )
    small = rig(tmp_path, include=["teams/deep/shop.yaml"], grants=[ADMINS, edit("dora", reason="für Zoë")])
    found = looked_at(in_blocks(small))
    made = carried_out(found, ("carla", SHOP, REVOKE))
    assert list(made.texts) == [str(tmp_path / "teams" / "deep" / "shop.yaml")]
    assert next(iter(made.texts.values())) == "# Müller\ngrants: []\n"
    kept = carried_out(found, ("dora", SHOP, REVOKE))
    assert list(kept.texts) == [str(small.project.path)]


WRONG = {
    "others lose": [ADMINS],
    "others have another role": [ADMINS, view("dora")],
    "others have it longer": [ADMINS, edit("dora")],
    "others have it shorter": [ADMINS, edit("dora", until="2027-01-31")],
    "others gain": [ADMINS, edit("dora", until="2027-06-30"), view("dora", BLOG)],
    "who was revoked still has it": [ADMINS, edit("dora", until="2027-06-30"), view("carla")],
}


@pytest.mark.parametrize("grants", WRONG.values(), ids=WRONG)
def test_an_edit_that_means_anything_else_is_not_handed_out(
    tmp_path: Path, grants: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made the edit: everybody else keeps just what they had, and whoever was revoked has nothing there."""
    before = [ADMINS, edit("dora", until="2027-06-30"), view("carla")]
    found = there(tmp_path, grants=before)
    path = str(found.rig.project.path)

    def written(*wishes: Any) -> Edit:
        return Edit(texts={path: json.dumps(document(grants=list(wishes)))})

    monkeypatch.setattr(certify, "decide", lambda *_, **__: written(ADMINS, edit("dora", until="2027-06-30")))
    assert carried_out(found, ("carla", SHOP, REVOKE)).texts
    monkeypatch.setattr(certify, "decide", lambda *_, **__: written(*grants))
    with pytest.raises(BadDecisionsError, match=r"cannot be written down surely: .* would not be as decided"):
        carried_out(found, ("carla", SHOP, REVOKE))


def test_an_edit_that_changes_what_is_kept_or_takes_what_is_changed_is_not_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keep` is the right as it was, and `change` leaves something."""
    found = there(tmp_path)
    path = str(found.rig.project.path)

    def write(*wishes: Any) -> None:
        made = Edit(texts={path: json.dumps(document(grants=list(wishes)))})
        monkeypatch.setattr(certify, "decide", lambda *_, **__: made)

    write(ADMINS, edit("carla"), edit("dora"))
    assert carried_out(found, ("carla", SHOP, Answer(word="change", role="edit"))).texts
    with pytest.raises(BadDecisionsError, match=r"carla on .* would not be as decided"):
        carried_out(found, ("carla", SHOP, KEEP))
    write(ADMINS, edit("dora"))
    with pytest.raises(BadDecisionsError, match=r"carla on .* would not be as decided"):
        carried_out(found, ("carla", SHOP, Answer(word="change", role="edit")))


def test_what_nobody_declared_is_kept_by_a_line(tmp_path: Path) -> None:
    """A declared user who holds what the file does not say gets a grant, with the review as its reason."""
    found = there(tmp_path, grants=[ADMINS, view("carla")])
    assert steps(found) == {("delete", "dora", SHOP)}
    made = carried_out(found, ("dora", SHOP, KEEP))
    now = after(found, made)
    assert steps(now) == set()
    line = _plain(found.rig.project.path)["grants"][-1]
    assert (line["to"], line["role"], line["sites"]) == ("dora", "edit", SHOP)
    assert line["reason"] == f"access review {reviewed(found).digest[:19]}"


def test_what_nobody_declared_needs_no_edit_to_be_revoked(tmp_path: Path) -> None:
    """The file does not grant it, so that the next apply takes it; with another role it is granted."""
    found = there(tmp_path, grants=[ADMINS, view("carla")])
    made = carried_out(found, ("dora", SHOP, REVOKE))
    assert dict(made.texts) == {}
    assert made.needless == (
        f"dora on it, {Scope('site', SHOP)}: not in the file; the next apply removes it in mode full",
    )
    now = after(found, carried_out(found, ("dora", SHOP, Answer(word="change", role="view"))))
    assert steps(now) == {("update", "dora", SHOP)}


def test_a_list_of_grants_in_brackets_is_edited_too(tmp_path: Path) -> None:
    """JSON is YAML: a row that goes leaves nothing behind, and the last one leaves an empty list."""
    found = looked_at(rig(tmp_path))
    now = after(found, carried_out(found, ("carla", SHOP, REVOKE)))
    assert steps(now) == {("delete", "carla", SHOP)}
    assert [line["to"] for line in _plain(found.rig.project.path)["grants"]] == [["anna", "ben"], "dora"]
    alone = looked_at(rig(tmp_path / "alone", grants=[edit("dora")]))
    after(alone, carried_out(alone, ("dora", SHOP, REVOKE)))
    assert _plain(alone.rig.project.path)["grants"] == []


def test_an_account_that_nobody_declared_is_suspended_where_all_is_revoked(tmp_path: Path) -> None:
    """It gets a handle and the state; where only a part was revoked, that is left to people."""
    small = in_blocks(rig(tmp_path))
    Somebody(small.fake).adds("petra", "team-member")
    found = looked_at(small)
    held = [(known.account, known.scope.name, REVOKE) for known in reviewed(found).items if known.account == "petra"]
    assert len(held) > 1
    part = carried_out(found, held[0], *((account, site, KEEP) for account, site, _ in held[1:]))
    assert any(line.startswith("petra on it: revoke everything it holds") for line in part.undone)
    done = carried_out(found, *held)
    now = after(found, done)
    user = _plain(found.rig.project.path)["users"]["petra"]
    assert (user["logins"], user["state"]) == ({"it": "petra"}, {"it": "suspended"})
    assert ("delete", "petra", SHOP) in steps(now)


def test_an_item_that_is_not_in_the_review_is_refused(tmp_path: Path) -> None:
    """Whatever else was decided."""
    found = there(tmp_path)
    made = reviewed(found)
    wrong = Decisions(digest=made.digest, answers={"no-such-id": KEEP}, rows={}, places={})
    with pytest.raises(BadDecisionsError, match="no item no-such-id in this review"):
        edited(found.rig.project, [found.survey], made, wrong)


def test_an_edit_that_would_not_be_valid_is_refused(tmp_path: Path) -> None:
    """A role that does not exist is told with the place in the edited file, and nothing is handed out."""
    found = there(tmp_path)
    with pytest.raises(BadDecisionsError) as refused:
        carried_out(found, ("carla", SHOP, Answer(word="change", role="boss")))
    assert str(refused.value).startswith("the edited files would not be valid: ")
    assert "`boss`" in str(refused.value)
    assert "access.yaml:22:9: role: boss)" in str(refused.value)


def test_an_edit_that_means_something_else_is_refused(tmp_path: Path) -> None:
    """What is revoked in one line and given by another cannot be proven, and is left to people."""
    found = there(tmp_path)
    end = Answer(word="change", until="2020-01-01")
    with pytest.raises(BadDecisionsError) as refused:
        carried_out(found, ("carla", SHOP, end))
    assert str(refused.value) == (
        f"these decisions cannot be written down surely: carla on {Scope('site', SHOP)} would not be as decided;"
        " edit the file by hand"
    )


def test_a_service_is_told_with_who_answers_for_it(tmp_path: Path) -> None:
    """The owner stands among the facts of the account, and of nobody else."""
    found = there(tmp_path, users={"dora": {"kind": "service", "owner": "anna"}})
    facts = {known.account: known.facts.get("owner") for known in reviewed(found).items}
    assert facts["dora"] == "anna"
    assert facts["carla"] is None


def test_the_commit_and_day_of_each_line_are_told(tmp_path: Path) -> None:
    """By file and line, the committer's day in UTC; a line that no commit brought says so."""
    small = in_blocks(rig(tmp_path))
    git = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True, text=True)
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in WHO.items()}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    environment |= {"GIT_COMMITTER_DATE": "2026-03-01T00:30:00+02:00", "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z"}
    for arguments in (["init", "-q"], ["add", "access.yaml"], ["commit", "-q", "-m", "Begin"]):
        git(["git", *arguments], env=environment)
    head = git(["git", "rev-parse", "HEAD"], env=environment).stdout.strip()
    before = small.project.path.read_text().splitlines()
    after_it = [line.replace("role: edit", "role: view") for line in before]
    small.project.path.write_text("\n".join(after_it) + "\n")
    found = looked_at(reopened(small))
    assert commits(ledgers(found.declaration, [found.survey]), tmp_path) == {
        (str(small.project.path), number): f"{head[:12]} 2026-02-28" if old == new else "not committed"
        for number, (old, new) in enumerate(zip(before, after_it, strict=True), 1)
    }
    assert before != after_it


def test_outside_a_repository_no_commit_is_told(tmp_path: Path) -> None:
    """A review works without git."""
    found = there(tmp_path)
    assert commits(ledgers(found.declaration, [found.survey]), tmp_path) == {}


def test_a_review_that_saw_only_a_part_keeps_what_it_did_not_see(tmp_path: Path) -> None:
    """What a line gives where the listing broke off is not known to be nothing, so the person keeps the line there."""
    found = there(tmp_path, groups={"team": ["carla", "dora"]}, grants=[ADMINS, view("team")])
    live = found.survey.live
    half = replace(found.survey, live=replace(live, listings=(replace(live.listings[0], complete=False),)))
    made = carried_out(Asked(found.rig, half, found.plan), ("carla", SHOP, REVOKE))
    (text,) = made.texts.values()
    assert "team-without-carla" in text


# -- as spreadsheets save it


SHEET = "decision,id,note,digest\nkeep,abc,Müller,sha256:1\n"


@pytest.mark.parametrize(
    "content",
    [
        SHEET.encode(),
        SHEET.encode("utf-8-sig"),
        SHEET.encode("utf-16"),
        SHEET.encode("cp1252"),
        SHEET.replace(",", ";").encode("cp1252"),
        SHEET.replace(",", "\t").encode("utf-16"),
    ],
    ids=["utf-8", "with its mark", "utf-16", "cp1252", "semicolons", "tabs"],
)
def test_a_sheet_is_read_as_spreadsheets_save_it(content: bytes, tmp_path: Path) -> None:
    """Whatever the encoding and the separator: the decision and the names are the same."""
    path = tmp_path / "review.csv"
    path.write_bytes(content)
    found = read_decisions(path)
    assert (found.answers, found.rows["abc"]["note"]) == ({"abc": Answer(word="keep")}, "Müller")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"decision,id,digest\nkeep,\x81\x8d,sha256:1\n", "neither UTF-8 nor cp1252"),
        (b"\xff\xfed\x00e\x00c", "neither UTF-8 nor utf-16"),
        (b"decision,id,digest\nkeep,a\0b,sha256:1\n", "zero byte"),
        (b"decision,id,digest\nkeep,a," + b'"' + b"x" * 200_000 + b'"\n', "not a valid table"),
        (b"{" + b'"a":[' * 50_000, "not a valid review"),
    ],
    ids=["no encoding", "half a character", "a zero byte", "a huge cell", "deep JSON"],
)
def test_what_no_spreadsheet_saves_is_refused_in_words(content: bytes, said: str, tmp_path: Path) -> None:
    """Nothing of it is a traceback."""
    path = tmp_path / "review.csv"
    path.write_bytes(content)
    with pytest.raises(BadDecisionsError, match=said):
        read_decisions(path)


def test_an_edit_is_not_written_through_a_link(tmp_path: Path) -> None:
    """The file that is edited is the one that was read, under its own name."""
    target, link = tmp_path / "real.yaml", tmp_path / "access.yaml"
    target.write_text("version: 1\n")
    link.symlink_to(target)
    with pytest.raises(BadDecisionsError, match="is a link"):
        certify.write_edit(link, "version: 2\n")
    assert target.read_text() == "version: 1\n"


def test_files_that_changed_since_they_were_read_are_not_written(tmp_path: Path) -> None:
    """And of several files none is, so that no half of an edit stands."""
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_bytes(b"a: 1\r\n")
    second.write_bytes(b"b: 1\n")
    first.chmod(0o640)
    texts = {str(first): "a: 2\r\n", str(second): "b: 2\n"}
    made = Edit(texts=texts, before={str(first): "a: 1\r\n", str(second): "b: 0\n"})
    with pytest.raises(BadDecisionsError, match=r"b\.yaml has changed since it was read; nothing was written"):
        certify.write_all(made)
    assert (first.read_bytes(), second.read_bytes()) == (b"a: 1\r\n", b"b: 1\n")
    certify.write_all(replace(made, before={str(first): "a: 1\r\n", str(second): "b: 1\n"}))
    assert (first.read_bytes(), second.read_bytes()) == (b"a: 2\r\n", b"b: 2\n")
    assert first.stat().st_mode & 0o777 == 0o640
