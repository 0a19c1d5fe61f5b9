"""What stood on the real servers before each recording, and what was done between its lines.

The recordings leave out the set-up and the hand that reached into the database; the scripts that made them are
evidence for both.
"""

from __future__ import annotations

from datetime import UTC, datetime

from platforms.matomo.recorded import WRONG_TOKEN, Entry, Server
from siteward.platforms.matomo.fake.php import collate, md5
from siteward.platforms.matomo.fake.state import Directory, Failure, Person


class Scenario:
    """A recording's surroundings; `before` acts just before an entry, `token` names who asks."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.state = server.state
        self.prepare()

    def prepare(self) -> None:
        """Put up what stood there."""

    def before(self, entry: Entry) -> None:
        """Do what happened unrecorded before `entry`."""

    def token(self, entry: Entry) -> str | None:
        """Return the token an entry was asked with."""
        match entry.actor:
            case "superuser token":
                return self.server.tokens["root"]
            case "no token":
                return None
            case "anonymous":
                return "anonymous"
            case "other token":
                return self.other(entry)
            case who:
                return self.of(who.split(":")[0].split(" ")[0], entry)

    def other(self, entry: Entry) -> str:
        return WRONG_TOKEN

    def of(self, login: str, entry: Entry) -> str:
        return self.server.tokens.get(login) or self.server.mint(login)

    def secure_only(self) -> None:
        self.state.tokens[self.server.tokens["root"]].secure_only = True


class Http(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note.startswith("secure_only token in GET"):
            self.secure_only()


class Users(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note.startswith("alice token: no site"):
            self.server.mint("alice")
        if entry.note.startswith(("change email without", "delete with token")):
            self.state.mails.clear()

    def other(self, entry: Entry) -> str:
        return self.server.tokens["alice"]


class Access(Scenario):
    def prepare(self) -> None:
        for login in ("alice", "bob", "carol", "dave"):
            self.server.add_user(login)
        self.server.add_sites(2, 5)


class Superuser(Scenario):
    def prepare(self) -> None:
        for login in ("alice", "bob"):
            self.server.add_user(login)
        self.server.add_sites(2, 3)

    def of(self, login: str, entry: Entry) -> str:
        return super().of("bob" if login == "deleted" else login, entry)


class Invites(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note == "generateInviteLink result shape":
            self.server.ask("UsersManager.generateInviteLink", userLogin="ivy")
        if entry.note.startswith("still pending after"):
            self.server.clock.advance(seconds=1)
        if entry.note.startswith("GET acceptInvitation"):
            invited = self.state.user("ivy")
            assert invited is not None
            token = self.state.secret()
            invited.invite_tokens["link"] = token
            self.server.client.post(
                f"/index.php?module=Login&action=acceptInvitation&token={token}",
                data={"token": token, "password": "Accepted-123", "invitation_form": "1"},
            )
        if entry.note == "expired":
            invited = self.state.user("exp")
            assert invited is not None
            invited.expires = datetime(2020, 1, 1, tzinfo=UTC)


class Tokens(Scenario):
    def prepare(self) -> None:
        self.server.add_user("alice", site=1)
        self.server.add_user("tfa", site=1)

    def before(self, entry: Entry) -> None:
        if entry.note == "expired token":
            self.state.tokens[self.server.mint("alice")].expires = datetime(2020, 1, 1, tzinfo=UTC)
        elif entry.actor == "alice" and entry.note == "ok":
            self.server.mint("alice")
        elif entry.note == "uses_2fa true":
            self._two_factor("tfa", on=True)
        elif entry.note.startswith("token of a superuser who has 2FA"):
            self._two_factor("root", on=True)
        elif entry.note.startswith("no last_seen"):
            self._two_factor("root", on=False)
        elif entry.note.startswith("web login"):
            self.server.client.get("/index.php?module=Login")
            self.server.client.post(
                "/index.php?module=Login",
                data={"form_login": "root", "form_password": "root-pass-1234", "form_nonce": "x"},
            )
            self.server.client.get("/index.php?module=UsersManager&action=userSettings")
            self.server.tokens["session"] = next(iter(self.state.sessions))
        elif "force_api_session=1 (no session)" in entry.note:
            self.server.client.cookies.clear()

    def _two_factor(self, login: str, *, on: bool) -> None:
        user = self.state.user(login)
        assert user is not None
        user.two_factor = on

    def of(self, login: str, entry: Entry) -> str:
        return self.server.tokens["session" if login == "session" else login]


class Anonymous(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note == "anonymous row absent" and entry.method == "UsersManager.getUser":
            del self.state.users[collate("anonymous")]


class Sites(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note.startswith("grant on site"):
            self.server.add_user("alice")


class Views(Scenario):
    def prepare(self) -> None:
        self.server.add_sites(2, 4)
        for login in ("adm", "viewer", "writer", "other", "stranger"):
            self.server.add_user(login)
        for login, role, sites in (
            ("adm", "admin", "1,2"),
            ("adm", "view", "3"),
            ("viewer", "view", "1"),
            ("writer", "write", "1"),
            ("other", "view", "3"),
            ("other", "admin", "4"),
        ):
            self.server.ask("UsersManager.setUserAccess", userLogin=login, access=role, idSites=sites)


class Bulk(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.method == "UsersManager.userExists":
            root = self.state.user("root")
            assert root is not None
            root.superuser = True


class Lockout(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note.startswith(("after clearing", "61 failures", "... and password")) or entry.note.endswith(
            "Confirmation #1"
        ):
            self.state.failures.clear()
        if entry.note.startswith("61 failures"):
            self.state.failures += [Failure(self.state.now(), f"10.0.0.{at}", "root") for at in range(61)]


class Traps(Scenario):
    def prepare(self) -> None:
        for login in ("12345", "alice", "10"):
            self.server.add_user(login, site=1)

    def before(self, entry: Entry) -> None:
        note, settings = entry.note, self.state.settings
        if note.startswith("lock for this login"):
            self.state.locks.add("12345")
        elif entry.method == "UsersManager.setUserAccess":
            self.state.locks.clear()
        settings.clear()
        if note.startswith("config login_allowlist"):
            settings["login_allowlist_ip"] = "10.9.9.9"
        elif note.startswith("config "):
            name, _, value = note.removeprefix("config ").split(" ")[0].partition("=")
            settings[name] = value


class ExpiredInvite(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.note.startswith("daily task"):
            self.server.clock.advance(days=11)
            self.server.fake.run_daily_tasks()


class Effects(Scenario):
    pass


class Legacy(Scenario):
    def before(self, entry: Entry) -> None:
        if entry.actor in {"alice", "alice (new token)"} or entry.note.startswith("bulk:"):
            self.server.mint("alice")

    def of(self, login: str, entry: Entry) -> str:
        return self.server.tokens["alice"]


class Collations(Scenario):
    """The tables of one server, converted twice, each time with a first state again but for the sites."""

    def prepare(self) -> None:
        self.server.add_sites(2, 3)

    def before(self, entry: Entry) -> None:
        if "collation of the tables" in entry.note:
            self._converted(entry)
        if entry.note == "e-mail in another case":
            self.server.ask("UsersManager.addUser", userLogin="anna", password="Secret-123", email="anna@example.org")

    def _converted(self, entry: Entry) -> None:
        rows = entry.data["rows"]
        assert isinstance(rows, list)
        for user in [user for user in self.state.users.values() if user.login not in {"root", "anonymous"}]:
            self.state.delete_user(user)
        self.state.collation = rows[0][1]


class People(Scenario):
    """Some sites, and people with addresses at example.org."""

    logins: tuple[str, ...] = ()
    sites = 3

    def prepare(self) -> None:
        root = self.state.user("root")
        assert root is not None
        root.email = "root@example.org"
        self.server.add_sites(2, self.sites)
        for login in self.logins:
            self.server.ask(
                "UsersManager.addUser", userLogin=login, password="Secret-123", email=f"{login}@example.org"
            )


class SiteDeleted(People):
    logins, sites = ("aa", "bb"), 4


class PluginOff(People):
    logins = ("aa", "bb")

    def prepare(self) -> None:
        super().prepare()
        self.server.ask("UsersManager.setUserAccess", userLogin="aa", access="write", idSites="3")

    def before(self, entry: Entry) -> None:
        if entry.note.startswith("TagManager is deactivated"):
            self.state.plugins["TagManager"] = False


class InvitedTwice(People):
    logins = ("aa",)

    def token(self, entry: Entry) -> str | None:
        if entry.actor == "nobody":
            return None
        if entry.actor == "expired token":
            return next(value for value, token in self.state.tokens.items() if token.expires is not None)
        return super().token(entry)


class AccessLists(People):
    logins = ("ww",)


class Groups(People):
    logins = ("bob",)

    def prepare(self) -> None:
        super().prepare()
        self.state.plugins["GroupPermissions"] = True

    def before(self, entry: Entry) -> None:
        if entry.note == "plugin deactivated":
            self.state.plugins["GroupPermissions"] = False


class Ldap(People):
    """Three people in a directory: lena, Mark and never."""

    logins = ("local1",)

    def prepare(self) -> None:
        super().prepare()
        self.state.plugins["LoginLdap"] = True
        found = (Person("lena", "lena@example.org", "Ldap-lena", {1: "view"}),
                 Person("Mark", "mark@example.org", "Ldap-mark", {1: "admin"}),
                 Person("never", "never@example.org", "Ldap-never"))  # fmt: skip
        self.state.directory = Directory(list(found), default_view=(2,))

    def before(self, entry: Entry) -> None:
        if entry.note.startswith("access sync on"):
            self.state.directory.sync_access = True
        if "web_login" in entry.data:
            self._log_in(entry)

    def _log_in(self, entry: Entry) -> None:
        """Log in as the remark tells; an answer that differs from it fails the recording."""
        login = str(entry.data["web_login"])
        by_api = entry.note in {"with the password set by API", "the password set by API is gone"}
        answer = self.server.client.post(
            "/index.php?module=Login",
            data={"form_login": login, "form_password": "new-pass-99" if by_api else f"Ldap-{login}"},
        )
        assert answer.status_code == entry.data["status"], str(entry)


SCENARIOS: dict[str, type[Scenario]] = {
    "01_http_conventions": Http,
    "02_users": Users,
    "03_access": Access,
    "04_superuser": Superuser,
    "05_invites": Invites,
    "06_tokens_and_staleness": Tokens,
    "07_anonymous": Anonymous,
    "08_sites": Sites,
    "09_non_superuser_views": Views,
    "10_bulk": Bulk,
    "11_bruteforce_lockout": Lockout,
    "14_shape_traps": Traps,
    "15_lockout_by_expired_invite": ExpiredInvite,
    "16_language_and_side_effects": Effects,
    "20_legacy_only": Legacy,
    "21_accents_and_collations": Collations,
    "22_site_deleted_with_grants": SiteDeleted,
    "23_capability_plugin_off": PluginOff,
    "24_invite_twice_and_tokens": InvitedTwice,
    "25_initialIdSite_and_access_lists": AccessLists,
    "26_plugin_group_permissions": Groups,
    "27_plugin_loginldap": Ldap,
}
HASHES = {
    '_isPasswordHashed=1 with md5("password")': md5("password"),
    "token for login": md5("Secret-123"),
    "wrong password": md5("wrong"),
    "unknown login": md5("wrong"),
}
