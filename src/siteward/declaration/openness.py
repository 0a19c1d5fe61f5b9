"""What a declaration says about who may see sites without an account, on one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import error, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Span
    from siteward.access.model import Scope
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, Instance
    from siteward.declaration.draft import Draft
    from siteward.declaration.selectors import Scopes


def find_public(
    declaration: Declaration, instance: Instance, traits: Traits, scopes: Scopes, draft: Draft
) -> Mapping[Scope, tuple[bool, Span]]:
    """Return, by live site, whether everybody may see it, and the place that says so; sites without a word are left out.

    An instance with `public: false` speaks of every site in scope, those to come included. A site in error is left as
    it is. What this server cannot tell is added to `draft`.
    """
    public: dict[Scope, tuple[bool, Span]] = {}
    doubtful: set[Scope] = set()
    for site in declaration.sites.values():
        wish = site.opened(instance.name)
        if site.handle in declaration.faults.sites:
            doubtful.update(scopes.site(site.handle))
        elif wish is not None and (meant := scopes.site(site.handle)):
            at = site.public_at(instance.name)
            public.update(dict.fromkeys(meant, (wish, at)))
            if not traits.tells_public:
                _tell(draft, traits, at, blocks=instance.name in site.public)
    if instance.closed:
        at = instance.location.at("public")
        if not traits.tells_public:
            _tell(draft, traits, at, blocks=True)
        left = scopes.managed - public.keys() - doubtful
        public.update(dict.fromkeys(sorted(left), (False, at)))
    return public


def _tell(draft: Draft, traits: Traits, at: Span, *, blocks: bool) -> None:
    """Say that this server does not tell which sites are open; as an error where the file asks it of this instance."""
    edition = f" {traits.edition}," if traits.edition else ""
    message = f"{traits.platform}{edition} does not tell which sites everybody may see"
    hint = "look in its own pages, and take `public` out for this instance"
    say = error("no-public-access", message, at=at, hint=hint, local=True) if blocks else None
    draft.say(say or warning("no-public-access", message, at=at, hint=hint))
