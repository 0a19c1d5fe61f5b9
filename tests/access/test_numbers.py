"""Numbers in the one form that a digest covers (RFC 8785), and a plan that carries its digest."""

from __future__ import annotations

import pytest

from siteward.access.codec import CodecError, canonical, digest, seal
from siteward.access.plan import Plan
from strategies import NOW


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-1.5, "-1.5"),
        (0.1, "0.1"),
        (12.25, "12.25"),
        (100.0, "100"),
        (123456789012345680.0, "123456789012345680"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e21, "1.5e+21"),
        (-1.25e22, "-1.25e+22"),
        (9007199254740993.0, "9007199254740992"),
        (0.000001, "0.000001"),
        (0.00000123, "0.00000123"),
        (0.0000001, "1e-7"),
        (1.25e-7, "1.25e-7"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (333333333.33333329, "333333333.3333333"),
        (1e23, "1e+23"),
        (4.5, "4.5"),
        (2e-3, "0.002"),
        (1e-27, "1e-27"),
    ],
)
def test_a_number_is_written_as_every_reader_of_json_writes_it(value: float, text: str) -> None:
    """So that a plan's digest can be checked by anybody."""
    assert canonical({"n": value}) == f'{{"n":{text}}}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_in_json_is_refused(value: float) -> None:
    """It would be a plan that nobody can read back."""
    with pytest.raises(CodecError, match="is not a number that JSON can express"):
        canonical({"n": value})


def test_a_plan_carries_the_digest_of_everything_else() -> None:
    """Sealing it twice changes nothing, and no digest is covered by itself."""
    plan = Plan(tool="1", created=NOW, as_of=NOW)
    sealed = seal(plan)
    assert sealed.digest == digest(plan) == digest(sealed)
    assert seal(sealed) == sealed
    assert (sealed.tool, sealed.created) == ("1", NOW)
    assert seal(Plan(tool="2", created=NOW, as_of=NOW)).digest != sealed.digest
