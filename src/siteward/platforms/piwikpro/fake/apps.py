"""The stand-in's apps (API.md section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.fake.state import LEVELS, NO_ACCESS, App, EntityKind
from siteward.platforms.piwikpro.fake.wire import Asked, ProblemError, Row, done, known_uuid, one, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Response

ACTIONS = {"view": "view", "edit": "edit", "publish": "edit-publish", "manage": "manage"}
APP_SETTINGS: Mapping[str, object] = {
    "appType": "web",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "excludeUnknownUrls": False,
    "keepUrlFragment": True,
    "eCommerceTracking": False,
    "siteSearchTracking": True,
    "siteSearchQueryParams": ["q"],
    "siteSearchCategoryParams": [],
    "delay": 500,
    "excludedIps": [],
    "excludedUrlParams": [],
    "excludedUserAgents": [],
    "gdpr": True,
    "gdprUserModeEnabled": False,
    "privacyCookieDomainsEnabled": False,
    "privacyCookieExpirationPeriod": 31536000,
    "privacyCookieDomains": [],
    "gdprLocationRecognition": False,
    "gdprDataAnonymization": True,
    "sharepointIntegration": False,
    "gdprDataAnonymizationMode": "session_cookie_id",
    "privacyUseCookies": True,
    "privacyUseFingerprinting": True,
    "cnil": False,
    "sessionIdStrictPrivacyMode": False,
    "realTimeDashboards": False,
}


def may(asked: Asked, kind: EntityKind, entity: str, level: str) -> bool:
    """Tell whether the caller holds at least that level on an app or meta site."""
    order = LEVELS[kind]
    return level in order and order.index(asked.state.effective(kind, entity, asked.caller)) >= order.index(level)


def list_apps(asked: Asked) -> Response:
    """List the apps that the caller may see (or edit, publish, manage: `permission`), newest first unless sorted."""
    action = asked.request.args.get("permission", "view")
    rows = [
        app_row(app)
        for app in reversed(asked.state.apps.values())
        if may(asked, "app", app.id, ACTIONS.get(action, ""))
    ]
    names = {"name": "name", "addedAt": "addedAt", "updatedAt": "updatedAt"}
    return asked.listing(asked.sorted(asked.found(rows, "name"), names, "-addedAt"))


def get_app(asked: Asked, app: str) -> Response:
    """Show one app with its addresses and settings."""
    found = _app(asked, app)
    if not may(asked, "app", found.id, "view"):
        raise ProblemError(404)
    return one(_whole_app(found))


def create_app(asked: Asked) -> Response:
    """Make an app, with an id of the caller's own if wanted."""
    asked.owners_only()
    given = attributes_of(asked)
    app_id, name, urls = str(given.get("id", asked.state.new_id())), str(given.get("name", "")), given.get("urls")
    if app_id in asked.state.apps:
        raise ProblemError(400, title="app id in use")
    if not name or len(name) > 90:
        raise ProblemError(
            400, title="Invalid form", detail="over 90 characters" if name else "must not be blank", pointer="/name"
        )
    if given.get("appType") == "demo":
        raise ProblemError(400, title="Invalid form", detail="demo cannot be added", pointer="/appType")
    if not isinstance(urls, list) or not urls:
        raise ProblemError(400, title="Invalid form", detail="must not be blank", pointer="/urls")
    if len(asked.state.apps) >= asked.state.app_limit:
        raise ProblemError(409, "apps.error.apps-limit-reached", "no more apps in this plan")
    settings = {name: given.get(name, value) for name, value in APP_SETTINGS.items()}
    app = App(app_id, name, [str(url) for url in urls], asked.now, asked.now, settings)
    asked.state.apps[app.id] = app
    asked.wrote("app.added", app.id, id=app.id, name=name)
    return one(_whole_app(app), 201)


def edit_app(asked: Asked, app: str) -> Response:
    """Rename an app or change its settings."""
    found = _app(asked, app)
    if not may(asked, "app", found.id, "edit"):
        raise ProblemError(403)
    given = attributes_of(asked)
    found.name, found.updated = str(given.get("name", found.name)), asked.now
    asked.wrote("app.edited", found.id, id=found.id)
    return done()


def delete_app(asked: Asked, app: str) -> Response:
    """Delete an app and every level on it."""
    asked.owners_only()
    found = _app(asked, app)
    del asked.state.apps[found.id]
    asked.state.levels = {key: level for key, level in asked.state.levels.items() if key[:2] != ("app", found.id)}
    asked.wrote("app.deleted", found.id, id=found.id)
    return done()


def apps_of_group(asked: Asked, group: str) -> Response:
    """List every app with the level of one group. The description says one object; its paging says a list."""
    asked.owners_only()
    if known_uuid(group) not in asked.state.groups:
        raise ProblemError(404)
    rows: list[Row] = [
        {
            "type": "ppms/app_permissions_for_user_group",
            "id": app.id,
            "attributes": {"app_name": app.name, "access": asked.state.level("app", app.id, "user-group", group)},
        }
        for app in asked.state.apps.values()
    ]
    return asked.listing(asked.sorted(asked.found(rows, "app_name"), {"name": "app_name"}, "name"))


def people_of_app(asked: Asked, app: str) -> Response:
    """List the people with a level of their own on an app: the deprecated call, which pages by ten thousand."""
    found = _app(asked, app)
    if not may(asked, "app", found.id, "manage"):
        raise ProblemError(404)
    rows: list[Row] = [
        {
            "type": "ppms/app_permissions_for_user",
            "id": person.id,
            "attributes": {"displayName": person.email, "access": [level]},
        }
        for person in asked.state.people.values()
        if (level := asked.state.level("app", found.id, "user", person.id)) != NO_ACCESS
    ]
    return asked.listing(asked.sorted(rows, {"displayName": "displayName"}, "displayName"), most=10_000)


def app_row(app: App) -> Row:
    """Return an app as the list shows it: its name and two dates, and nothing of its addresses."""
    return {
        "type": "ppms/app",
        "id": app.id,
        "attributes": {"name": app.name, "addedAt": stamp(app.added), "updatedAt": stamp(app.updated)},
    }


def _whole_app(app: App) -> Row:
    return {
        "type": "ppms/app",
        "id": app.id,
        "attributes": {
            "organization": "default",
            "addedAt": stamp(app.added),
            "updatedAt": stamp(app.updated),
            "name": app.name,
            "urls": app.urls,
            **APP_SETTINGS,
            **app.settings,
        },
    }


def _app(asked: Asked, app: str) -> App:
    found = asked.state.apps.get(app)
    if found is None:
        raise ProblemError(404)
    return found


def attributes_of(asked: Asked) -> Row:
    """Return the attributes of the resource that was sent; a 400 without them."""
    given = asked.body().get("attributes")
    if not isinstance(given, dict):
        raise ProblemError(400, title="attributes missing")
    return given
