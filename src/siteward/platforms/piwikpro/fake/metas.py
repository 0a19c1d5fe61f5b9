"""The stand-in's meta sites (API.md section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.piwikpro.fake.apps import APP_SETTINGS, attributes_of, may
from siteward.platforms.piwikpro.fake.state import App, MetaSite
from siteward.platforms.piwikpro.fake.wire import Asked, ProblemError, Row, done, known_uuid, one, zulu

if TYPE_CHECKING:
    from werkzeug.wrappers import Response


def list_metas(asked: Asked) -> Response:
    """List the meta sites that the caller may see."""
    rows = [meta_row(meta) for meta in asked.state.metas.values() if may(asked, "meta-site", meta.id, "view")]
    names = {"name": "name", "created_at": "created_at", "updated_at": "updated_at"}
    return asked.listing(asked.sorted(asked.found(rows, "name"), names, "name"))


def get_meta(asked: Asked, meta: str) -> Response:
    """Show one meta site with its settings."""
    return one(_whole_meta(_meta(asked, meta)))


def create_meta(asked: Asked) -> Response:
    """Make a meta site; its name must be new, its id may be the caller's own."""
    asked.owners_only()
    body, given = asked.body(), attributes_of(asked)
    name = str(given.get("name", ""))
    if not 1 <= len(name) <= 191 or any(meta.name == name for meta in asked.state.metas.values()):
        raise ProblemError(400, title="Invalid form", detail="name must be new", pointer="/data/attributes/name")
    meta = MetaSite(
        str(body.get("id", asked.state.new_id())),
        name,
        asked.now,
        asked.now,
        currency=str(given.get("currency", "USD")),
        timezone=str(given.get("timezone", "UTC")),
    )
    asked.state.metas[meta.id] = meta
    asked.wrote("meta_site.added", meta.id, id=meta.id, name=name)
    return one(_whole_meta(meta), 201)


def edit_meta(asked: Asked, meta: str) -> Response:
    """Rename a meta site."""
    found = _meta(asked, meta, "manage")
    found.name, found.updated = str(attributes_of(asked).get("name", found.name)), asked.now
    asked.wrote("meta_site.edited", found.id, id=found.id)
    return done()


def delete_meta(asked: Asked, meta: str) -> Response:
    """Delete a meta site; its apps stay."""
    asked.owners_only()
    found = _meta(asked, meta)
    del asked.state.metas[found.id]
    asked.state.levels = {key: level for key, level in asked.state.levels.items() if key[:2] != ("meta-site", found.id)}
    asked.wrote("meta_site.deleted", found.id, id=found.id)
    return done()


def add_apps(asked: Asked, meta: str) -> Response:
    """Put apps in."""
    asked.owners_only()
    found = _meta(asked, meta)
    found.apps += [app for app in _wanted_apps(asked) if app not in found.apps]
    asked.wrote("meta_site.apps.added", found.id, id=found.id)
    return done()


def remove_apps(asked: Asked, meta: str) -> Response:
    """Take apps out; a DELETE that has a body."""
    asked.owners_only()
    found, wanted = _meta(asked, meta), _wanted_apps(asked)
    found.apps = [app for app in found.apps if app not in wanted]
    asked.wrote("meta_site.apps.removed", found.id, id=found.id)
    return done()


def list_meta_apps(asked: Asked, meta: str) -> Response:
    """List the apps in a meta site."""
    found = _meta(asked, meta)
    return _composition(asked, [app for app in asked.state.apps.values() if app.id in found.apps])


def list_other_apps(asked: Asked, meta: str) -> Response:
    """List the apps that are not in a meta site."""
    found = _meta(asked, meta)
    return _composition(asked, [app for app in asked.state.apps.values() if app.id not in found.apps])


def list_both(asked: Asked) -> Response:
    """List apps and meta sites together."""
    action = asked.request.args.get("action", "view")
    rows: list[Row] = [
        {"type": "ppms/meta-site", "id": meta.id, "attributes": {"name": meta.name, "created_at": zulu(meta.created)}}
        for meta in asked.state.metas.values()
        if may(asked, "meta-site", meta.id, action)
    ]
    rows += [
        {"type": "ppms/app", "id": app.id, "attributes": {"name": app.name, "created_at": zulu(app.added)}}
        for app in asked.state.apps.values()
        if may(asked, "app", app.id, action)
    ]
    names = {"name": "name", "created_at": "created_at", "type": "type"}
    return asked.listing(asked.sorted(asked.found(rows, "name"), names, "name"))


def integrity(asked: Asked, meta: str) -> Response:
    """Say whether the apps inside agree in currency and time zone."""
    found = _meta(asked, meta)
    return one(
        {
            "id": found.id,
            "type": "meta-site/apps/integrity",
            "attributes": {"valid_currency": True, "valid_timezone": True},
        }
    )


def meta_row(meta: MetaSite) -> Row:
    """Return a meta site as the list shows it."""
    return {
        "id": meta.id,
        "type": "ppms/meta-site",
        "attributes": {"name": meta.name, "created_at": zulu(meta.created), "updated_at": zulu(meta.updated)},
    }


def _whole_meta(meta: MetaSite) -> Row:
    return {
        "id": meta.id,
        "type": "ppms/meta-site",
        "attributes": {
            "name": meta.name,
            "currency": meta.currency,
            "timezone": meta.timezone,
            "e_commerce_tracking": False,
            "sharepoint_integration": False,
            "cnil": False,
            "created_at": zulu(meta.created),
            "updated_at": zulu(meta.updated),
            "organization": "default",
        },
    }


def _meta(asked: Asked, meta: str, level: str = "view") -> MetaSite:
    found = asked.state.metas.get(known_uuid(meta))
    if found is None or not may(asked, "meta-site", found.id, level):
        raise ProblemError(404, "meta-site.error.not-exists", "no such meta site")
    return found


def _wanted_apps(asked: Asked) -> list[str]:
    wanted = [str(body.get("id")) for body in asked.bodies()]
    if len(wanted) > 1000 or not set(wanted) <= asked.state.apps.keys():
        raise ProblemError(400, title="Invalid form", detail="no such app", pointer="/data")
    return wanted


def _composition(asked: Asked, apps: list[App]) -> Response:
    rows: list[Row] = [
        {
            "type": "ppms/app",
            "id": app.id,
            "attributes": {
                "name": app.name,
                "timezone": app.settings.get("timezone", APP_SETTINGS["timezone"]),
                "currency": app.settings.get("currency", APP_SETTINGS["currency"]),
                "cnil": False,
            },
        }
        for app in apps
    ]
    return asked.listing(asked.sorted(asked.found(rows, "name"), {"name": "name", "cnil": "cnil"}, "name"))
