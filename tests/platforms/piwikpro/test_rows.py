"""Ids of Piwik PRO stand in paths of further requests: one that is no segment of a path is refused where it is read."""

from __future__ import annotations

import json

import pytest

from siteward.platforms.decode import MisshapenError, decoded
from siteward.platforms.piwikpro.rows import Rows, User


def listing(id_: str) -> bytes:
    """Return an answer with one user of that id."""
    return json.dumps({"data": [{"id": id_, "attributes": {"email": "a@example.org", "role": "USER"}}]}).encode()


@pytest.mark.parametrize("id_", ["7f3c1a52-0000-4000-8000-000000000001", "a", "x.y", "~"])
def test_an_id_that_a_path_can_carry_is_read(id_: str) -> None:
    """As it stands."""
    assert decoded(Rows[User], listing(id_)).data[0].id == id_


@pytest.mark.parametrize("id_", ["", "..", ".", "a/b", "a?b", "a#b", "a b", "a%2fb", "a\r\nb", "\u00e4", "a\n"])
def test_an_id_that_would_name_another_resource_is_refused(id_: str) -> None:
    """Nothing is asked for at such an address."""
    with pytest.raises(MisshapenError):
        decoded(Rows[User], listing(id_))
