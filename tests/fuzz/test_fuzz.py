"""Two hundred mutated inputs for each driver, with fixed seeds; `make fuzz` feeds ten thousand and more."""

from __future__ import annotations

import pytest

from fuzz.__main__ import DRIVERS, again, run

INPUTS, PART = 200, 50


@pytest.mark.parametrize("first", range(0, INPUTS, PART))
@pytest.mark.parametrize("driver", DRIVERS)
def test_no_input_breaks_a_bound(driver: str, first: int) -> None:
    """No traceback, no more than ten seconds and one GiB, no file outside the folder."""
    wrong = [f"{words} ({again(driver, seed)})" for seed in range(first, first + PART) for words in run(driver, seed)]
    assert wrong == []
