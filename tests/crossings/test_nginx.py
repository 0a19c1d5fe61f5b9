"""A real nginx before each platform: a sub-path, packed answers, bounds of rate and size, gates, and what is down behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crossings.nginx import EVERY, Crossing, crossing
from rig import statuses
from siteward.platforms.plausible.session import closed_to_logins
from siteward.transport.http import Answer

if TYPE_CHECKING:
    from pathlib import Path

    from siteward.access.report import Report

PACKED = "gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;"
LIMIT = (
    'map $connection_requests $turn { ~[258]$ $server_port; default ""; } limit_req_zone $turn zone=all:1m rate=1r/m;'
)
"""A bound that three of ten requests of each connection meet, however fast they come; the next one is let through."""
LIMITED = "limit_req zone=all; limit_req_status {};"
WRITES_ONLY = (
    'map $request_method $writes {{ GET ""; default $server_port; }} limit_req_zone $writes zone=all:1m rate=1r/m;'
)
AUTH = 'location = /auth { internal; if ($http_x_gate = "open-it") { return 204; } return 401; }'
WROTE = {"umami": 5, "matomo": 2, "piwik-pro": 3, "plausible": 2}
"""How often each stand-in changes its state for the file of these tests, where nothing comes between."""


class Time:
    """Time that passes only where somebody pauses, and then for all; `pauses` are how long and why."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.pauses: list[tuple[float, str]] = []

    @property
    def link(self) -> dict[str, Any]:
        """What a link needs to live in this time."""
        return {"clock": lambda: self.passed, "sleep": self._sleep, "waiting": lambda *pause: self.pauses.append(pause)}

    def _sleep(self, seconds: float) -> None:
        self.passed += seconds


def whole(at: Crossing, platform: str) -> None:
    """Apply, and check that all is done, each change once, and nothing is left."""
    before = at.fake.writes
    assert set(statuses(at.rig.done())) == {"done"}
    assert at.fake.writes - before == WROTE[platform]
    assert at.rig.left() == 0


def told(report: Report) -> str:
    """Return all that a report says on its own, and the codes."""
    return " ".join(f"{found.code}: {found.message} | {found.hint}" for found in report.diagnostics)


@pytest.mark.parametrize(("platform", "release"), EVERY)
def test_below_a_path_with_packed_answers_all_is_as_without(tmp_path: Path, platform: str, release: str) -> None:
    """Read, planned and applied, logins and forms included."""
    redirects = "proxy_redirect / /stats/;" if release == "ce-3" else ""
    with crossing(tmp_path, platform, release, base="/stats/", server=PACKED, location=redirects) as at:
        whole(at, platform)
        assert any(seen.packed for seen in at.nginx.seen())
        assert all(seen.path.startswith("/stats/") and seen.passed for seen in at.nginx.seen())


def test_forms_whose_redirects_leave_the_path_are_told_at_once(tmp_path: Path) -> None:
    """The login led elsewhere, so no form was sent: nothing is waited for, and the line of nginx is named."""
    pauses: list[float] = []
    link = {"waiting": lambda seconds, _: pauses.append(seconds)}
    with crossing(tmp_path, "plausible", "ce-3", base="/stats/", link=link) as at:
        before = at.fake.writes
        report = at.rig.done()
        assert set(statuses(report)) == {"failed"}
        assert all("redirects /stats/login" in outcome.message for outcome in report.outcomes)
        assert (pauses, at.fake.writes) == ([], before)


@pytest.mark.parametrize(
    ("platform", "release", "status"),
    [("umami", "3.2", 503), ("matomo", "5.3", 503), ("matomo", "5.3", 429), ("piwik-pro", "current", 429)],
)
def test_a_bound_of_the_rate_is_waited_for(tmp_path: Path, platform: str, release: str, status: int) -> None:
    """Also in the middle of an apply, whatever nginx answers; each change reaches the platform once."""
    time = Time()
    with crossing(tmp_path, platform, release, http=LIMIT, location=LIMITED.format(status), link=time.link) as at:
        whole(at, platform)
        assert any(seen.status == status and not seen.passed for seen in at.nginx.seen())
    assert any(f"{status}" in why for _, why in time.pauses)


def test_a_bound_that_says_429_is_no_window_of_plausible(tmp_path: Path) -> None:
    """A proxy's 429 ends when it pleases, not with Plausible's next ten seconds or hour."""
    time = Time()
    with crossing(tmp_path, "plausible", "enterprise", http=LIMIT, location=LIMITED.format(429), link=time.link) as at:
        whole(at, "plausible")
        assert any(seen.status == 429 and not seen.passed for seen in at.nginx.seen())
    assert max(seconds for seconds, _ in time.pauses) < 10


@pytest.mark.parametrize(
    ("path", "waits"), [("/stats/login", True), ("/2fa/verify", True), ("/sites/x/memberships/invite", False)]
)
def test_only_a_login_is_bounded_by_community_edition(path: str, waits: bool) -> None:  # noqa: FBT001 — a line of a table
    """There a 429 lasts until the next minute; anywhere else it is a proxy's."""
    answer = Answer(429, {"date": "Sun, 29 Nov 2026 12:00:30 GMT"}, b"", path)
    assert closed_to_logins(answer) == (30.5 if waits else None)


def test_the_seconds_that_a_proxy_asks_for_are_kept(tmp_path: Path) -> None:
    """`Retry-After` goes before our own pauses."""
    busy = "error_page 429 @busy; location @busy { internal; add_header Retry-After 1 always; return 429; }"
    time = Time()
    with crossing(
        tmp_path, "matomo", "5.3", http=LIMIT, location=LIMITED.format(429), server=busy, link=time.link
    ) as at:
        whole(at, "matomo")
    asked = [seconds for seconds, why in time.pauses if "429" in why]
    assert asked
    assert all(0.5 < seconds <= 1 for seconds in asked)


@pytest.mark.parametrize(("release", "status", "ends"), [("enterprise", 503, "unknown"), ("enterprise", 429, "failed")])
def test_a_bound_that_never_opens_ends_in_words_and_writes_nothing_twice(
    tmp_path: Path, release: str, status: int, ends: str
) -> None:
    """Invitations are mails, so a 503 in the middle is never answered by another: it is unknown; a 429 did nothing."""
    http, location = WRITES_ONLY.format(), LIMITED.format(status).replace("burst=1 nodelay", "")
    link = {"sleep": lambda _: None}
    with crossing(tmp_path, "plausible", release, link=link, http=http, location=location) as at:
        before = at.fake.writes
        report = at.rig.done()
        assert statuses(report)[0] == "done"
        assert statuses(report)[1] in {ends, "skipped"}
        assert at.fake.writes - before == 1
        assert len([seen for seen in at.nginx.writes("/guests") if seen.passed]) == 1
        assert at.rig.left() == 1


def test_requests_that_are_too_large_for_the_proxy_are_told_so(tmp_path: Path) -> None:
    """Not as another product, with what to change; nothing was written."""
    with crossing(tmp_path, "matomo", "5.3", server="client_max_body_size 10;") as at:
        before = at.fake.writes
        said = told(at.rig.plan())
        assert "refused as too large (413)" in said
        assert "client_max_body_size" in said
        assert at.fake.writes == before


def test_a_command_that_is_too_large_has_failed(tmp_path: Path) -> None:
    """The proxy kept it, so nothing is open; a smaller one beside it is done."""
    with crossing(tmp_path, "plausible", "enterprise", server="client_max_body_size 10;") as at:
        report = at.rig.done()
        assert sorted(statuses(report)) == ["done", "failed"]
        (failed,) = [outcome for outcome in report.outcomes if outcome.status == "failed"]
        assert "413" in failed.message


@pytest.mark.parametrize(
    ("lines", "status"), [("proxy_pass http://127.0.0.1:9;", 502), ("proxy_read_timeout 100ms;", 504)]
)
def test_what_is_down_behind_it_is_unreachable(tmp_path: Path, lines: str, status: int) -> None:
    """502 and 504 are pages of HTML, and no gate."""
    server = f"location /api {{ {lines} }}" if status == 502 else lines
    with crossing(tmp_path, server=server, link={"sleep": lambda _: None, "tries": 2}) as at:
        at.fake.latency = 0.3 if status == 504 else 0.0
        said = told(at.rig.plan())
        assert said.startswith("unreachable: ")
        assert f"kept answering {status}: it, or a proxy before it, is not ready" in said


# -- gates


@pytest.mark.parametrize(("platform", "release"), EVERY)
def test_a_gate_of_nginx_is_named_and_opens_by_a_header(tmp_path: Path, platform: str, release: str) -> None:
    """`auth_request`, as before an OAuth proxy: its 401 is a page, and none of the platform's."""
    with crossing(tmp_path / "shut", platform, release, server=AUTH, location="auth_request /auth;") as at:
        said = told(at.rig.plan())
        assert said.startswith("gate-before-platform: ")
        assert "SITEWARD_IT_HEADERS" in said
        assert not at.fake.calls
    env = {"SITEWARD_IT_HEADERS": "X-Gate: open-it"}
    with crossing(tmp_path / "open", platform, release, server=AUTH, location="auth_request /auth;", env=env) as at:
        whole(at, platform)


@pytest.mark.parametrize(("platform", "release"), [("umami", "3.2"), ("plausible", "enterprise")])
def test_a_gate_with_a_password_of_http_is_told_where_a_token_is_sent(
    tmp_path: Path, platform: str, release: str
) -> None:
    """`auth_basic` takes our `Authorization` for its own and refuses it; another header has to let programs pass."""
    realm = 'map $http_x_gate $realm { default "staff"; open-it off; }'
    basic = f"auth_basic $realm; auth_basic_user_file {tmp_path}/none;"
    (tmp_path / "none").touch()
    with crossing(tmp_path / "shut", platform, release, http=realm, location=basic) as at:
        said = told(at.rig.plan())
        assert said.startswith("gate-before-platform: ")
        assert "WWW-Authenticate: Basic" in said
        assert "SITEWARD_IT_HEADERS" in said
        assert not at.fake.calls
    env = {"SITEWARD_IT_HEADERS": "X-Gate: open-it"}
    with crossing(tmp_path / "open", platform, release, env=env, http=realm, location=basic) as at:
        whole(at, platform)


@pytest.mark.parametrize(("platform", "release"), EVERY)
def test_a_gate_that_leads_to_a_page_of_its_own_names_the_variable(tmp_path: Path, platform: str, release: str) -> None:
    """As OAuth2 Proxy does on the same host: not as a server that has moved; nothing is followed, and headers open it."""
    server = AUTH + "location @sign_in { return 302 /oauth2/sign_in?rd=$request_uri; }"
    location = "auth_request /auth; error_page 401 = @sign_in;"
    with crossing(tmp_path / "shut", platform, release, server=server, location=location) as at:
        said = told(at.rig.plan())
        assert "/oauth2/sign_in; nothing was sent there" in said
        assert "SITEWARD_IT_HEADERS" in said
        assert not at.fake.calls
        assert not any(seen.path.startswith("/oauth2") for seen in at.nginx.seen())
    env = {"SITEWARD_IT_HEADERS": "X-Gate: open-it"}
    with crossing(tmp_path / "open", platform, release, server=server, location=location, env=env) as at:
        assert at.rig.plan().plan is not None


@pytest.mark.parametrize("passing", [1, 5, 9, 13, 17])
@pytest.mark.parametrize(
    ("platform", "release", "page"),
    [*((*release, "https://sso.example.org/login") for release in EVERY), ("plausible", "ce-3", "/oauth2/sign_in")],
)
def test_a_gate_that_sends_away_in_the_middle_leaves_nothing_said_wrongly(
    tmp_path: Path, platform: str, release: str, page: str, passing: int
) -> None:
    """After some requests a login page: what is told as done is, what is told as failed is not, and nothing is followed."""
    away = f"limit_req zone=all burst={passing} nodelay; error_page 503 = @away;"
    once, link = "limit_req_zone $server_port zone=all:1m rate=1r/m;", {"sleep": lambda _: None}
    page_of = f"location @away {{ return 302 {page}; }}"
    with crossing(tmp_path, platform, release, link=link, http=once, location=away, server=page_of) as at:
        planned = at.rig.plan()
        if planned.plan is None:
            assert f"{page}; nothing was sent there" in told(planned)
            assert at.fake.writes == 0
            return
        report = at.rig.apply(planned.plan)
        for outcome in report.outcomes:
            assert outcome.status == "done" or page in outcome.message
        if any(outcome.status != "done" for outcome in report.outcomes):
            assert any(seen.status == 302 for seen in at.nginx.seen())
