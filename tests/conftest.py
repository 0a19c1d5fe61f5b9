"""What all tests share: golden files and how they are rewritten, the size of property tests, and how tests are run."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples for everybody, so that a change is judged by what it does and not by a draw; "thorough" searches on.
settings.register_profile("default", max_examples=20, deadline=None, derandomize=True)
settings.register_profile("quick", max_examples=10, deadline=None)
settings.register_profile(
    "thorough",
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

AT_NIGHT = re.compile(
    r"tests/(?:spine|platforms/(?:umami|matomo))/(?!test_(?:newer|fake|probe)).*\[(?:.*-)?(?:3\.3|3\.4|5\.14|6\.0)(?:-|\])"
    r"|tests/cli/test_recipe_people\.py::(?!.*(?:onboard|offboard|comes|leaves))"
    r"|tests/cli/test_recipes\.py::test_a_refused_journal_is_an_artifact"
    r"|tests/cli/test_approvals\.py::|tests/render/test_pages\.py::.*\[(?:.*-)?820"
    r"|tests/docs/test_samples\.py::.*(?:how-to|docs/ci|docs/undo)|tests/cli/test_undo\.py::.*\[(?:plausible|piwik-pro)"
    r"|tests/spine/.*ce-3|tests/chaos/.*_of_community_edition\[(?!0\])|tests/platforms/umami/test_write\.py::.*\[3\.1"
    r"|tests/cli/test_main_job\.py::test_the_full_demo|tests/cli/test_recipes\.py::test_schedules_on_gitlab"
)
"""What `make test` leaves to the nightly run, so that it ends within ten minutes: the wide tests on releases that were only
read about (their differences have tests of their own), and what others show on one forge, platform or server."""
GOLDEN = Path(__file__).parent / "golden"
Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files with what comes out now")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs at night."""
    for item in items:
        if AT_NIGHT.search(item.nodeid):
            item.add_marker(pytest.mark.nightly)


def pytest_configure() -> None:
    """Hear Ctrl-C again where whoever started the tests made us deaf to it, as `nohup` and jobs in the background do."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Return one worker more than there are processors, since tests of the program wait for its processes."""
    return (yield) + 1


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with the golden file of that name, or rewrite the file when that was asked for."""
    update = bool(request.config.getoption("--update-golden"))
    if update and os.environ.get("CI"):
        pytest.fail("golden files are never rewritten in CI")

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        assert path.exists(), f"{name} is missing; look at what comes out, then run pytest --update-golden"
        assert text == path.read_bytes().decode(), f"{name} differs; if that is right, run pytest --update-golden"

    return compare
