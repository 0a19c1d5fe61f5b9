"""What may be published: no address and no foreign login with `handles`, no name at all with `counts`."""

from __future__ import annotations

import pytest

from render.reports import REPORTS, plan_everything
from siteward.render import FORMATS, SERVES, Options, render

PAIRS = [(form, name) for form in FORMATS for name, build in REPORTS.items() if build().command in SERVES[form]]
PRIVATE = ("@", "&#64;", "e.berg", "old-agency", "trial", "sso-7", "b@example", "paul", "kim@")
NAMES = (
    "anna",
    "jonas",
    "editor-",
    "mia",
    "zoe",
    "u00",
    "shop.example.org",
    "stats",
    "li.wei",
    "OPS-812",
    "eva",
)


@pytest.mark.parametrize(("form", "name"), PAIRS)
def test_handles_hides_addresses_and_foreign_logins(form: str, name: str) -> None:
    text = render(form, REPORTS[name](), Options(privacy="handles", verbose=True)).replace("@media", "")
    assert not [each for each in PRIVATE if each in text]


@pytest.mark.parametrize(("form", "name"), PAIRS)
def test_counts_keeps_only_the_numbers(form: str, name: str) -> None:
    text = render(form, REPORTS[name](), Options(privacy="counts", verbose=True))
    assert not [each for each in (*PRIVATE[2:], *NAMES) if each in text]


def test_handles_keeps_the_names_of_the_declaration() -> None:
    text = render("text", plan_everything(), Options(privacy="handles", verbose=True))
    for each in ("eva", "jonas", "anna", "shop.example.org", "teams/shop.yaml:31"):
        assert each in text
    assert "e-mail (e-mail hidden) → (another, hidden)" in text


def test_one_account_has_one_pseudonym_in_every_place() -> None:
    text = render("text", plan_everything(), Options(privacy="handles"))
    assert 'account-1 is protected by "account-1"' in text
    assert "⊘ -  account-1" in text
