"""`validate --online`: whether the users and sites of the file exist on the servers, without planning anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli.conftest import Program
    from siteward.platforms.fakery import Sandbox


def declare(program: Program, umami: Sandbox, users: str, grants: str) -> None:
    program.env |= {f"SITEWARD_STATS_{name.upper()}": value for name, value in umami.fake.credentials.items()}
    program.write(
        f"version: 1\ninstances: {{stats: {{platform: umami, url: '{umami.url}', self: siteward, layout: per-site}}}}\n"
        f"users: {{{users}}}\ngrants: [{grants}]\n"
    )


def test_what_exists_is_not_spoken_of(program: Program, umami: Sandbox) -> None:
    """Nothing to say, and nothing written; a person who is suspended needs no account."""
    declare(program, umami, "carla: {}, gone: {state: suspended}", "{to: carla, role: view, sites: shop.example.org}")
    result = program("validate", "--online")
    assert result.code == 0, result.out
    assert "valid: 0 errors, 0 warnings" in result.out
    assert umami.fake.writes == 0


@pytest.mark.parametrize("form", ["text", "json", "github"])
def test_a_site_that_is_not_there_is_an_error_with_what_may_be_meant(
    form: str, program: Program, umami: Sandbox
) -> None:
    """In its place in the file, as a plan says it."""
    declare(program, umami, "carla: {}", "{to: carla, role: view, sites: shopp.example.org}")
    assert program("validate").code == 0
    result = program("validate", "--online", "-f", form)
    assert result.code == 1
    assert "unknown-site" in result.out
    assert 'did you mean "shop.example.org"?' in result.out.replace('\\"', '"')
    assert 'did you mean "shop.example.org"?' in program("plan").out


def test_a_user_without_an_account_is_a_warning(program: Program, umami: Sandbox) -> None:
    """It may be a misspelt login, or somebody new."""
    declare(program, umami, "karla: {}", "{to: karla, role: view, sites: shop.example.org}")
    result = program("validate", "--online")
    assert result.code == 0
    assert "no-account-yet: `karla` has no account `karla` on stats yet" in result.out


def test_a_server_that_cannot_be_asked_is_an_error(program: Program, umami: Sandbox) -> None:
    """It is never said that all exists."""
    declare(program, umami, "carla: {}", "{to: carla, role: view, sites: shop.example.org}")
    program.env["SITEWARD_STATS_PASSWORD"] = "wrong"
    result = program("validate", "--online")
    assert result.code == 1
    assert "valid:" not in result.out


def test_a_file_in_error_is_not_taken_to_a_server(program: Program, umami: Sandbox) -> None:
    """What is wrong with it comes first."""
    declare(program, umami, "carla: {}", "{to: carla, role: viiew, sites: shop.example.org}")
    result = program("validate", "--online")
    assert result.code == 1
    assert umami.fake.calls == []
