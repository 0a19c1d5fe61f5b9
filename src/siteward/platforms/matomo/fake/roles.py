"""Roles and capabilities: which there are, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from siteward.platforms.matomo.fake.call import VIEW, ApiError, Call, plugins

if TYPE_CHECKING:
    from collections.abc import Iterable

NOACCESS = "noaccess"


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability that the bundled TagManager brings; core alone has none (API.md section 2.1)."""

    id: str
    name: str
    description: str
    included: tuple[str, ...]


CAPABILITIES = (
    Capability("tagmanager_write", "Write", "Users can create, update and delete containers.", ("write", "admin")),
    Capability("tagmanager_publish_live_container", "Publish live container", "Users can publish live.", ("admin",)),
    Capability("tagmanager_use_custom_templates", "Use custom templates", "Users can use custom code.", ("admin",)),
)
ROLE_WORDS = {
    "view": ("View", "A user with this role can view all reports.", "https://matomo.org/faq/general/faq_70/"),
    "write": (
        "Write",
        (
            "Users with this role can view all content plus create, manage and delete entities such as "
            "Goals, Funnels, Heatmaps, Session Recordings and Forms for this website."
        ),
        "https://matomo.org/faq/general/faq_26910",
    ),
    "admin": (
        "Admin",
        (
            "Users with this role can manage a website and give other users access to the website. They "
            "can also do everything the Write role can do."
        ),
        "https://matomo.org/faq/general/faq_69/",
    ),
}
GERMAN_ROLE_WORDS = {
    "view": ("Ansicht", "Ein Benutzer mit dieser Rolle kann alle Berichte ansehen."),
    "write": (
        "Schreiben",
        (
            "Benutzer mit dieser Rolle können alle Inhalte ansehen und erstellen, verwalten und "
            "Entitäten wie Ziele, Funnels, Heatmaps, Session Recording und Formulare für diese Webseite löschen."
        ),
    ),
    "admin": (
        "Administrator",
        (
            "Benutzer mit dieser Rolle können eine Webseite verwalten und anderen Benutzern "
            "Zugriff zur Webseite gewähren. Sie können auch alles tun, was die Rolle Schreiben kann."
        ),
    ),
}


def roles(call: Call) -> tuple[str, ...]:
    """Return the site roles of the release."""
    return VIEW if call.release.since(3, 6) else ("view", "admin")


def capabilities(call: Call) -> tuple[Capability, ...]:
    """Return the capabilities of the release, none while the plugin that brings them is off (rec 23#4)."""
    return CAPABILITIES if call.release.since(3, 6) and "TagManager" in plugins(call.state) else ()


def included(role: str) -> set[str]:
    """Return the capabilities that are part of a role."""
    return {capability.id for capability in CAPABILITIES if role in capability.included}


def role_and_capabilities(call: Call, access: Iterable[str]) -> tuple[str, list[str]]:
    """Return the role among access rows, `noaccess` for none, and the capabilities among them."""
    rows = list(access)
    role = next((row for row in rows if row in VIEW), NOACCESS)
    known = {capability.id for capability in capabilities(call)}
    return role, [row for row in rows if row in known]


def check_access(call: Call, access: Iterable[str]) -> None:
    """Refuse a word that is neither role nor capability, in the words of the release."""
    known = [*roles(call), *(capability.id for capability in capabilities(call))]
    for name in access:
        if name in known:
            continue
        if call.release.before(3, 6):
            raise ApiError("The parameter access must have one of the following values: [ noaccess, view, admin ]")
        raise ApiError(must_be(call, known, name))


def must_be(call: Call, known: Iterable[str], given: str) -> str:
    """Return the words for an access that is not among those known."""
    if call.release.before(4):
        return ""  # the message's arguments do not fit, and old PHP makes nothing of it (rec 20.m314#29)
    return f"The parameter access must have one of the following values: [ {', '.join(known)} ], '{given}' given."
