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
