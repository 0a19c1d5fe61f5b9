"""Services and keys over time: owners who have ended, keys that are due, and secrets that no output repeats."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from declaration.tables import HEAD, read
from siteward.access.report import Report
from siteward.render import formats_of, render

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def found(folder: Path, text: str, as_of: datetime | None = NOW) -> list[tuple[str, str]]:
    path = folder / "access.yaml"
    path.write_text(HEAD + text)
    return [(said.code, said.message) for said in read(path, as_of).diagnostics]


@pytest.mark.parametrize(
    ("since", "rotates", "codes"),
    [("2025-12-01", "365d", ["key-overdue"]), ("2025-12-02", "365d", []), ("2026-11-30", "1d", ["key-overdue"]), ("2026-11-30", "2d", [])],
)  # fmt: skip
def test_a_key_is_due_on_the_day_that_it_may_be_used_no_longer(
    tmp_path: Path, since: str, rotates: str, codes: list[str]
) -> None:
    text = f"users: {{anna: {{keys: [{{name: k, on: stats, since: {since}, rotates: {rotates}}}]}}}}\ngrants: []\n"
    assert [code for code, _ in found(tmp_path, text)] == codes
    assert found(tmp_path, text, None) == []


def test_an_owner_whose_time_is_over_answers_for_nothing(tmp_path: Path) -> None:
    text = "users: {bot: {kind: service, owner: ben}, ben: {until: 2026-11-30}}\ngrants: []\n"
    assert found(tmp_path, text) == [
        ("service-unattended", "nobody looks after the service `bot`: its owner `ben` has ended")
    ]
    assert found(tmp_path, text.replace("11-30", "12-01")) == []


def test_a_key_that_nobody_answers_for_any_more_is_told(tmp_path: Path) -> None:
    """The service goes on, and so does its key: whoever left may have it, and a plan says so, too."""
    text = "users: {ben: {state: suspended}, etl: {kind: service, owner: ben, keys: [{name: k, on: stats, holds: view}]}}\n"
    text += "grants: [{to: etl, role: view, sites: a.example.org}]\n"
    told = ("key-stays", "the key `k` of `etl` on stats stays: its owner `ben` is suspended")
    assert told in found(tmp_path, text)
    assert told not in found(tmp_path, text.replace("state: suspended", ""))
    assert told not in found(tmp_path, text.replace("keys: [{name: k, on: stats, holds: view}]", "keys: []"))


def test_whoever_has_ended_leaves_the_key(tmp_path: Path) -> None:
    text = "users: {ben: {until: 2026-11-30, keys: [{name: k, on: stats}]}}\ngrants: []\n"
    assert found(tmp_path, text) == [("key-stays", "the key `k` of `ben` on stats stays: `ben` has ended")]


@pytest.mark.parametrize("form", formats_of("validate"))
def test_no_format_repeats_a_secret(tmp_path: Path, form: str) -> None:
    """Neither in an excerpt of its own line, nor in that of the line below."""
    secret = "0123456789abcdef0123456789abcdef"
    path = tmp_path / "access.yaml"
    path.write_text(HEAD + f"users:\n  anna: {{reason: {secret}}}\n  ben: {{kindd: person}}\n")
    loaded = read(path)
    assert [said.code for said in loaded.diagnostics] == ["secret-in-file", "unknown-key"]
    shown = render(form, Report(command="validate", diagnostics=loaded.diagnostics, texts=loaded.texts))
    assert secret not in shown
    assert "secret-in-file" in shown


def test_credentials_in_an_address_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "access.yaml"
    path.write_text("version: 1\ninstances:\n  stats: {platform: umami, url: 'https://root:hunter2@a.example.org'}\n")
    loaded = read(path)
    assert "secret-in-file" in {said.code for said in loaded.diagnostics}
    for form in formats_of("validate"):
        assert "hunter2" not in render(
            form, Report(command="validate", diagnostics=loaded.diagnostics, texts=loaded.texts)
        )


@pytest.mark.parametrize(
    ("users", "why"),
    [
        ("bot: {kind: service, owner: bot}", "its owner `bot` is itself"),
        ("bot: {kind: service, owner: etl}, etl: {kind: service, owner: ben}, ben: {}", "its owner `etl` is a service"),
        ("bot: {kind: service, owner: ben}, ben: {state: {stats: suspended}}", "its owner `ben` is suspended"),
        ("bot: {kind: service, owner: ben}, ben: {from: 2027-01-01}", "its owner `ben` has not begun"),
        ("bot: {kind: service, owner: ben}, ben: {from: 2026-12-01}", None),
    ],
)
def test_who_answers_for_a_service_is_a_person_who_is_there(tmp_path: Path, users: str, why: str | None) -> None:
    told = found(tmp_path, f"users: {{{users}}}\ngrants: []\n")
    assert told == ([("service-unattended", f"nobody looks after the service `bot`: {why}")] if why else [])


def test_a_service_without_owner_and_end_is_told_both(tmp_path: Path) -> None:
    """Each with its own way out: naming an owner ends nothing."""
    text = "users: {bot: {kind: service}}\ngrants: [{to: bot, role: manage, sites: shop.example.org}]\n"
    path = tmp_path / "access.yaml"
    path.write_text(HEAD + text)
    said = [one for one in read(path, NOW).diagnostics if one.code == "service-unattended"]
    assert [(one.message.rpartition(": ")[2], one.hint) for one in said] == [
        ("it has no `owner`", "name a person as `owner` who is there"),
        ("it may manage without an end", "give it an `until`, or less"),
    ]


def test_a_day_to_come_puts_no_rotation_off(tmp_path: Path) -> None:
    text = "users: {anna: {keys: [{name: k, on: stats, since: 2099-01-01, rotates: 10d}]}}\ngrants: []\n"
    assert found(tmp_path, text) == [
        ("key-made-later", "the key `k` of `anna` on stats is said to be made on 2099-01-01, a day to come")
    ]
    assert found(tmp_path, text.replace("2099-01-01", "2026-12-01")) == []


TOKEN = "ghp_" + "a1B2" * 9
PRIVATE = "-----BEGIN RSA PRIVATE KEY-----"
HELD = [
    f"users: {{anna: {{keys: [{{name: k, on: stats, used_by: {TOKEN}}}]}}}}\n",
    f"users: {{anna: {{keys: [{{name: k, on: stats, value: {TOKEN}}}]}}}}\n",
    f"users: {{anna: {{tags: [{TOKEN}], kindd: person}}}}\n",
    f"users:\n  # the token of anna is {TOKEN}\n  anna: {{kindd: person}}\n",
    f"users: {{anna: {{reason: {TOKEN}}}}}\ngrants: [\n",
    f"users: {{{TOKEN}: {{kindd: person}}}}\n",
    f"users: {{anna: {{}}}}\ngrants: [{{to: {TOKEN}, role: view, sites: a}}]\n",
    f"sites: {{shop: {{domain: shop.example.org, name: {TOKEN}}}}}\n",
    f"users: {{}}\npolicy: {{rules: [{{id: {TOKEN}, match: {{kind: client}}, at_most: view}}]}}\n",
    f"users: {{}}\npolicy: {{waivers: [{{rule: shared-link, reason: {TOKEN}, until: 2027-01-01, seen: 1f0c9b2d77aa03e4}}]}}\n",
    "users:\n  anna:\n    password: |\n      TEXT\n      TEXT\n    kindd: person\n".replace("TEXT", TOKEN[4:]),
    f"users:\n  anna:\n    reason: |\n      {PRIVATE}\n      {TOKEN[4:]}\n      -----END RSA PRIVATE KEY-----\n    kindd: person\n",
]


@pytest.mark.parametrize("included", [False, True], ids=["root", "included"])
@pytest.mark.parametrize("text", HELD, ids=map(str, range(len(HELD))))
def test_no_secret_in_any_place_is_repeated(tmp_path: Path, text: str, *, included: bool) -> None:
    """Keys, values, names and comments; also where the file is wrong in other ways, or no YAML; in included files too."""
    path = tmp_path / "access.yaml"
    path.write_text(HEAD + ("include: [more.yaml]\ngrants: []\n" if included else text))
    if included and "policy" not in text:
        (tmp_path / "more.yaml").write_text(text)
    elif included:
        pytest.skip("an included file has no policy")
    loaded = read(path)
    assert "secret-in-file" in {said.code for said in loaded.diagnostics}
    report = Report(command="validate", diagnostics=loaded.diagnostics, texts=loaded.texts)
    for form in ("text", "json", "html", "github"):
        assert TOKEN[4:] not in render(form, report), form


@pytest.mark.parametrize("text", ["0123456789abcdef0123456789abcdef", "Ab3" + "xY4-z_" * 10 + "q"])
def test_what_may_be_a_token_is_found_in_free_texts_alone(tmp_path: Path, text: str) -> None:
    """An id of a directory may look so too; a digest of 64 hexadecimal digits is none."""
    free = "sites: {shop: {domain: shop.example.org, name: TEXT}}\ngrants: []\n"
    assert [code for code, _ in found(tmp_path, free.replace("TEXT", text))] == ["secret-in-file"]
    assert "secret-in-file" not in {code for code, _ in found(tmp_path, free.replace("TEXT", "a1" * 32))}
    ids = f"users: {{anna: {{id: {text}, ids: {{stats: {text}}}}}}}\ngrants: []\n"
    assert "secret-in-file" not in {code for code, _ in found(tmp_path, ids)}
