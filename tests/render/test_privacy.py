"""What may be published: no address and no foreign login with `handles`, no name at all with `counts`."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from render.reports import REPORTS, plan_everything
from siteward.access.catalog import RULES
from siteward.access.plan import Waived
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
    assert not [text_ for text_ in PRIVATE if text_ in text]


@pytest.mark.parametrize(("form", "name"), PAIRS)
def test_counts_keeps_only_the_numbers(form: str, name: str) -> None:
    text = render(form, REPORTS[name](), Options(privacy="counts", verbose=True))
    assert not [text_ for text_ in (*PRIVATE[2:], *NAMES) if text_ in text]


def test_handles_keeps_the_names_of_the_declaration() -> None:
    text = render("text", plan_everything(), Options(privacy="handles", verbose=True))
    for text_ in ("eva", "jonas", "anna", "shop.example.org", "teams/shop.yaml:31"):
        assert text_ in text
    assert "e-mail (e-mail hidden) → (another, hidden)" in text


def test_one_account_has_one_pseudonym_in_every_place() -> None:
    text = render("text", plan_everything(), Options(privacy="handles"))
    assert 'account-1 is protected by "account-1"' in text
    assert "⊘ -  account-1" in text


def test_an_account_that_a_waiver_names_is_hidden() -> None:
    """As in every text that the file's owners wrote."""
    report = plan_everything()
    assert report.plan
    waived = (Waived(rule="existing-account", about="e.berg", until="2027-06-30"),)
    text = render("json", replace(report, plan=replace(report.plan, waived=waived)), Options(privacy="handles"))
    (told,) = json.loads(text)["plan"]["waived"]
    assert (told["rule"], "berg" in told["about"]) == ("existing-account", False)


def test_who_loses_all_access_is_hidden_like_every_account() -> None:
    """The list is in JSON alone; a program reads it, and so does everybody where the repository is public."""
    report = plan_everything()
    assert report.plan
    parts = tuple(
        replace(instance, emptied=("e.berg", "mia", "old-agency", "zoe@example.org"))
        for instance in report.plan.instances[:1]
    )
    report = replace(report, plan=replace(report.plan, instances=parts))
    for privacy, want in (("handles", ["eva", "mia"]), ("counts", None)):
        text = render("json", report, Options(privacy="handles" if want else "counts"))
        assert not [text_ for text_ in PRIVATE if text_ in text], privacy
        if want:
            emptied = json.loads(text)["plan"]["instances"][0]["emptied"]
            assert emptied[:2] == want
            assert len(emptied) == 4


def test_a_saved_plan_loses_the_words_that_may_name_anybody() -> None:
    """Nobody has looked who is there: a finding keeps its rule, and a step loses what people wrote."""
    report = replace(plan_everything(), accounts=None, command="show")
    text = render("text", report, Options(privacy="handles", verbose=True))
    assert f"error protected: {RULES['protected'].sentence}" in text
    assert "OPS-812" not in text
