"""One API call: who asks, with what, and what they may; and the table of methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from siteward.platforms.matomo.fake.php import Parameter, Value, as_text, md5
from siteward.platforms.matomo.fake.state import ANONYMOUS, State, User

if TYPE_CHECKING:
    from siteward.platforms.matomo.fake.release import Release

TRIMMED = frozenset({"userLogin", "email", "userEmail"})
SCALARS = frozenset({"userLogin", "email", "userEmail", "password", "passwordConfirmation", "idSite", "pluginName"})
BOOLEANS = frozenset({"hasSuperUserAccess"})
Level: TypeAlias = str
VIEW: tuple[str, ...] = ("view", "write", "admin")
ADMIN: tuple[str, ...] = ("admin",)

WRONG_CONFIRMATION = "The current password you entered is not correct."
CONFIRMATION_WANTED = "Please enter your password to confirm this change."
LOCKED_OUT = "Too many failed logins. Please wait and try logging in again later."
NOT_LOGGED_IN = "You must be logged in to access this functionality."


class ApiError(Exception):
    """An error in Matomo's words. `status` is what 5.x answers with; older ones nearly always say 200."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class NoAccessError(ApiError):
    """The caller may not."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 401)


class AlwaysError(ApiError):
    """An error that no release answers with 200: PHP itself failed, a lock-out, a second factor that is missing."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `superuser` is settled once for a whole request, a bulk too (rec 10#29)."""

    login: str = ANONYMOUS
    superuser: bool = False
    session: bool = False

    @property
    def anonymous(self) -> bool:
        """Tell whether nobody is logged in."""
        return self.login == ANONYMOUS


@dataclass
class Call:
    """One call of one method; `headers` are added to the answer, `touched` tells that state was changed."""

    state: State
    actor: Actor
    method: str
    params: dict[str, Parameter]
    address: str = "127.0.0.1"
    url: str = "http://127.0.0.1"
    german: bool = False
    inner: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    touched: bool = False

    @property
    def release(self) -> Release:
        """The release that answers."""
        return self.state.release

    # arguments

    def text(self, name: str, default: str = "") -> str:
        """Return a scalar argument; blanks around logins and e-mails are dropped (rec 21#12), until 6.0 (read, a guess)."""
        text = as_text(self.params.get(name, default))
        return text.strip() if name in TRIMMED and self.release.since(4) and self.release.before(6) else text

    def given(self, name: str) -> bool:
        """Tell whether an argument was sent and is not empty."""
        return self.params.get(name, "") not in ("", [], {})

    def integer(self, name: str, default: int = 0) -> int:
        """Return an argument as PHP makes a number of it."""
        return as_integer(self.text(name, str(default)))

    def array(self, name: str) -> list[str]:
        """Return an argument as a list: a scalar alone is one entry."""
        value = self.params.get(name, [])
        if isinstance(value, dict):
            return list(value.values())
        return [value] if isinstance(value, str) else list(value)

    # shapes by release (API.md section 1.5)

    def number(self, value: int) -> int | str:
        """Return a number as this release's database driver gives it."""
        return value if self.release.since(4) else str(value)

    def quoted(self, text: str) -> str:
        """Return a caller's text as it stands in messages: old releases keep the single quote sanitised."""
        return text if self.release.since(4) else text.replace("'", "&#039;")

    # who may

    def sites_with(self, access: Iterable[Level]) -> list[int]:
        """Return the sites on which the caller has one of these roles."""
        if self.actor.superuser:
            return sorted(self.state.sites)
        return self.state.sites_with(self.actor.login, *access)

    def require_superuser(self) -> None:
        """Refuse all but superusers."""
        if not self.actor.superuser:
            raise NoAccessError("You can't access this resource as it requires a 'superuser' access.")

    def require_login(self) -> None:
        """Refuse the anonymous user."""
        if self.actor.anonymous:
            raise NoAccessError(NOT_LOGGED_IN)

    def require_some(self, access: tuple[str, ...]) -> None:
        """Refuse whoever has none of these roles anywhere."""
        if not self.actor.superuser and not self.sites_with(access):
            raise NoAccessError(
                f"You can't access this resource as it requires {self._article}{access[0]} access "
                "for at least one website."
            )

    def require_on(self, access: tuple[str, ...], sites: Iterable[int]) -> None:
        """Refuse whoever lacks these roles on one of the sites."""
        if self.actor.superuser:
            return
        if self.release.before(3):
            self.require_some(VIEW)
        allowed = self.sites_with(access)
        for site in sites:
            if site not in allowed:
                raise NoAccessError(
                    f"You can't access this resource as it requires {self._article}'{access[0]}' access "
                    f"for the website id = {site}."
                )

    def require_self(self, login: str) -> None:
        """Refuse all but superusers and that user."""
        if not self.actor.superuser and self.state.key(self.actor.login) != self.state.key(login):
            raise NoAccessError(f"The user has to be either a Super User or the user '{login}' itself.")

    @property
    def _article(self) -> str:
        return "" if self.release.since(3) else "an "

    def confirm_password(self, *, given: str | None = None) -> None:
        """Ask for the password of the acting user; a wrong one counts as a failed log-in (API.md section 1.8).

        LoginLdap, as it is shipped, switches the whole question off (rec 27#8-11).
        """
        if "LoginLdap" in plugins(self.state) and not self.state.directory.confirms_password:
            return
        password = self.text("passwordConfirmation") if given is None else given
        if not password:
            raise ApiError(CONFIRMATION_WANTED)
        self.check_password(self.actor.login, password)

    def check_password(self, login: str, password: str) -> User:
        """Return the user of that login and password, or count a failure."""
        if self.state.locked_out(self.address):
            raise ApiError(LOCKED_OUT)
        user = self.state.user(login)
        if user is None or user.login == ANONYMOUS or not user.password or user.password != md5(password):
            self.state.fail(self.address, user.login if user else login)
            raise ApiError(WRONG_CONFIRMATION)
        return user

    # what users tell

    def existing(self, login: str) -> User:
        """Return the user of that login, or say that there is none."""
        user = self.state.user(login)
        if user is None:
            raise ApiError(self.unknown_user(login))
        return user

    def unknown_user(self, login: str) -> str:
        """Return the words for a user that does not exist (rec 16#1 has the German ones)."""
        if self.german:
            return f"Der Benutzer '{self.quoted(login)}' existiert nicht."
        return f"User '{self.quoted(login)}' doesn't exist."

    def users_may_change(self) -> None:
        """Refuse when `enable_users_admin` is off (3.12 and later; rec 14#22-24)."""
        if self.state.settings.get("enable_users_admin") == "0" and self.release.since(3, 12):
            raise ApiError("Creating, updating, and deleting users has been disabled.")


Handler: TypeAlias = Callable[[Call], Value]


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API: its parameters in order (`name` is required, `name=` is not) and when it exists."""

    handler: Handler
    required: tuple[str, ...]
    since: tuple[int, ...]
    until: tuple[int, ...] | None

    def exists(self, release: Release) -> bool:
        """Tell whether that release has it in this form."""
        return release.since(*self.since) and (self.until is None or release.before(*self.until))


METHODS: dict[str, list[Method]] = {}


def api(
    name: str, *required: str, since: tuple[int, ...] = (0,), until: tuple[int, ...] | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler as the method `name`, from `since` on and before `until`."""

    def register(handler: Handler) -> Handler:
        METHODS.setdefault(name, []).append(Method(handler, required, since, until))
        return handler

    return register


def invoke(call: Call) -> Value:
    """Run the method a call names; raises `ApiError` in the words of the release."""
    plugin, dot, name = call.method.partition(".")
    if not dot:
        raise ApiError("The method name is invalid. Expected 'module.methodName'")
    if plugin not in plugins(call.state):
        raise ApiError(_no_plugin(plugin, call.release), _status_of_missing(plugin, call))
    space = "Matomo" if call.release.since(6) else "Piwik"
    method = next((method for method in METHODS.get(call.method, ()) if method.exists(call.release)), None)
    if method is None:
        raise ApiError(
            f"The method '{name}' does not exist or is not available in the module '\\{space}\\Plugins\\{plugin}\\API'.",
            404 if call.release.since(5, 7) else 400,
        )
    _check_types(call)
    for parameter in method.required:
        if not call.given(parameter):
            raise ApiError(f"Please specify a value for '{parameter}'.", 400 if call.release.since(5, 7) else 200)
    return method.handler(call)


def _check_types(call: Call) -> None:
    """Refuse what 6.0 refuses by the declared types: a list where a text is meant, a truth value in other words (read)."""
    if call.release.before(6):
        return
    for name in sorted(SCALARS & call.params.keys()):
        if not isinstance(call.params[name], str):
            raise ApiError(f"Invalid value for parameter '{name}'.", 400)
    for name in sorted(BOOLEANS & call.params.keys()):
        if call.params[name] not in ("0", "1", "true", "false"):
            raise ApiError(f"Invalid value for parameter '{name}'.", 400)


def _status_of_missing(plugin: str, call: Call) -> int:
    """Return the status for a plugin that is off (403) or not there (404); before 5.7 all was 200 (read, not driven)."""
    if call.release.before(5, 7):
        return 200
    return 403 if plugin in call.state.plugins or plugin in _shipped(call.release) else 404


def _no_plugin(plugin: str, release: Release) -> str:
    if plugin == "CorePluginsAdmin":
        return "API module CorePluginsAdmin not found."
    return (
        f"The plugin {plugin} is not enabled. You can activate the plugin on Settings > Plugins page in "
        f"{release.product}."
    )


def plugins(state: State) -> set[str]:
    """Return the plugins whose API answers: those of the release, but for what was switched on or off."""
    off = {name for name, on in state.plugins.items() if not on}
    return (_shipped(state.release) | state.plugins.keys()) - off


def _shipped(release: Release) -> set[str]:
    found = {"API", "UsersManager", "SitesManager", "ScheduledReports", "LanguagesManager"}
    if release.since(3):
        found |= {"CorePluginsAdmin", "TwoFactorAuth", "TagManager"}
    else:
        found |= {"ExampleAPI"}
    return found


def as_integer(text: str) -> int:
    """Return what PHP makes of a text where it wants a number."""
    digits = text.strip()
    body = digits.lstrip("+-")
    end = next((at for at, character in enumerate(body) if not character.isdigit()), len(body))
    number = int(body[:end] or "0")
    return -number if digits.startswith("-") else number
