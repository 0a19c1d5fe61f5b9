"""What of an account's no end of its access ends, on every platform: named, with what ends it, and nothing is sent for it."""

from __future__ import annotations

import pytest

from platforms.every import RELEASES, instance_of, lived_in, read
from siteward.platforms.fakery import in_process

URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(("platform", "release"), RELEASES)
def test_every_account_leaves_something_that_is_named_once(platform: str, release: str) -> None:
    """By a word that a command line takes, with a sentence and what ends it; nobody's are another's."""
    fake = lived_in(platform, release)
    instance = instance_of(fake, URL, in_process(fake))
    live = read(instance)
    calls = len(fake.calls)
    for account in live.access.accounts():
        found = list(instance.platform.leftovers(account.name, live))
        names = [left.id for left in found if not left.id.startswith("team/")]  # teams may share a name
        assert len(names) == len(set(names)), names
        assert found, account
        assert all(left.what and left.how and left.id == left.id.strip() for left in found)
    assert list(instance.platform.leftovers("nobody-of-that-name", live)) == []
    assert len(fake.calls) == calls


def test_what_an_umami_account_owns_is_read_by_name() -> None:
    """And ticked by reading; what somebody else owns is not among it."""
    fake = lived_in("umami", "3.2")
    live = read(instance_of(fake, URL, in_process(fake)))
    table = instance_of(fake, URL, in_process(fake)).platform
    owned = {
        account.name: {left.id for left in table.leftovers(account.name, live) if left.is_read}
        for account in live.access.accounts()
    }
    facts = {key[1]: facts["owns"] for key, facts in live.facts.items() if "owns" in facts}
    assert facts
    assert {name for name, found in owned.items() if found} == facts.keys()
    for name, told in facts.items():
        assert len(owned[name]) == len(told.split(", "))
