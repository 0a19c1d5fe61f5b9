"""Which Matomo this is, found out by asking and never by the file."""

from __future__ import annotations

import pytest

from platforms.matomo.rig import NOW, RELEASES, SHOP, MatomoRig, world
from siteward.platforms.fakery import Fault, WorldAccount, WorldGrant
from siteward.platforms.matomo.fake import FAKE
from siteward.platforms.matomo.fake.state import Failure, Token
from siteward.platforms.matomo.platform import PLATFORM
from siteward.platforms.matomo.roles import version_of
from siteward.transport.errors import ForbiddenError, NotThePlatformError, PlatformError, UnauthenticatedError

ABILITIES = {
    "6.0": (("view", "write", "admin"), 3, {"invite"}, True),
    "5.14": (("view", "write", "admin"), 3, {"invite"}, True),
    "5.3": (("view", "write", "admin"), 3, {"invite"}, True),
    "4.16": (("view", "write", "admin"), 3, {"invite"}, True),
    "3.14": (("view", "write", "admin"), 3, {"password"}, True),
    "2.18": (("view", "admin"), 0, {"password"}, False),
}


@pytest.mark.parametrize("release", RELEASES)
def test_each_release_has_its_own_abilities(release: str) -> None:
    rig = MatomoRig.of(release)
    traits = rig.probe()
    roles = tuple(role.name for role in traits.roles["site"])
    assert (roles, len(traits.extras), set(traits.onboarding), traits.last_seen) == ABILITIES[release]
    assert traits.version.startswith(release)
    assert traits.edition == ("Piwik" if release == "2.18" else "Matomo")
    assert rig.requests == 1


def test_capabilities_know_the_roles_they_are_part_of() -> None:
    traits = MatomoRig.of("5.3").probe()
    assert traits.included["tagmanager_write"] == {"write", "admin"}
    assert "tagmanager_publish_live_container" in traits.powerful
    assert "tagmanager_write" not in traits.powerful


def test_the_file_may_ask_for_passwords_where_people_could_be_invited() -> None:
    assert MatomoRig.of("5.3", onboarding="password").probe().onboarding == {"password"}


def test_a_wrong_token_is_told_on_5_and_sent_once() -> None:
    rig = MatomoRig(FAKE.fresh("5.3", clock=lambda: NOW), token="0" * 32)
    with pytest.raises(UnauthenticatedError, match="does not accept the token"):
        rig.probe()
    for _ in range(30):
        with pytest.raises(UnauthenticatedError):
            rig.probe()
    assert rig.requests == 1
    assert len(rig.fake.state.failures) == 1


@pytest.mark.parametrize("release", ["4.16", "3.14", "2.18"])
def test_up_to_4_a_wrong_token_looks_like_a_poor_one_and_both_are_named(release: str) -> None:
    rig = MatomoRig(FAKE.fresh(release, clock=lambda: NOW), token="0" * 32)
    with pytest.raises(ForbiddenError, match="not a superuser's, or it is not valid"):
        rig.probe()
    assert rig.requests == 1


def test_a_token_of_somebody_who_is_no_superuser_is_refused() -> None:
    fake = FAKE.of(world([WorldAccount(login="ben")]), "4.16", clock=lambda: NOW)
    fake.state.tokens["f" * 32] = Token("ben", "t")
    with pytest.raises(ForbiddenError):
        MatomoRig(fake, token="f" * 32).probe()


def test_on_5_a_token_that_is_valid_and_poor_is_not_called_invalid() -> None:
    """There a token that is not valid is refused as such, so this one is only too weak."""
    grants = [WorldGrant(account="ben", site=SHOP, role="admin")]
    fake = FAKE.of(world([WorldAccount(login="ben")], grants), "5.3", clock=lambda: NOW)
    fake.state.tokens["f" * 32] = Token("ben", "t")
    with pytest.raises(ForbiddenError) as refused:
        MatomoRig(fake, token="f" * 32).probe()
    assert str(refused.value) == "this token is not a superuser's"


def test_a_locked_out_address_ends_the_run_with_the_reason() -> None:
    rig = MatomoRig.of("5.3")
    rig.fake.state.failures += [Failure(NOW, "127.0.0.1", None)] * 21
    with pytest.raises(UnauthenticatedError, match="locked this address out"):
        rig.probe()
    with pytest.raises(UnauthenticatedError):
        rig.probe()
    assert rig.requests == 1


@pytest.mark.parametrize("setting", ["maintenance_mode", "force_ssl"])
def test_pages_and_redirects_are_no_answers(setting: str) -> None:
    rig = MatomoRig.of("5.3")
    rig.fake.state.settings[setting] = "1"
    with pytest.raises(PlatformError):
        rig.probe()


def test_an_html_answer_is_not_taken_for_an_empty_one() -> None:
    rig = MatomoRig.of("5.3")
    rig.fake.faults.append(Fault("html", times=0))
    with pytest.raises(PlatformError):
        rig.probe()


@pytest.mark.parametrize(("text", "number"), [("5.3.0-alpha", (5, 3)), ("2.18.1", (2, 18)), ("10.0", (10, 0))])
def test_versions_are_read_off_their_text(text: str, number: tuple[int, int]) -> None:
    assert version_of(text).number == number


@pytest.mark.parametrize("text", ["", "latest", "1.12", "2.1.0"])
def test_what_is_no_version_or_too_old_is_refused(text: str) -> None:
    with pytest.raises(NotThePlatformError):
        version_of(text)


@pytest.mark.parametrize("release", RELEASES)
def test_doctor_tells_what_the_password_is_missing_for(release: str) -> None:
    rig = MatomoRig.of(release, password=None)
    reach = PLATFORM.reach(rig.doors.reader, rig.settings, rig.probe())
    told = any("password of root" in operation for operation in reach.may_not)
    assert told == (release != "2.18")
    assert reach.account == "root"
