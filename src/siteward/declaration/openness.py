"""What a declaration says about who may see sites without an account, on one instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.access.diagnostic import error, warning
from siteward.declaration.declared import EVERY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siteward.access.diagnostic import Span
    from siteward.access.model import Scope
    from siteward.access.traits import Traits
    from siteward.declaration.declared import Declaration, Instance
    from siteward.declaration.selectors import Scopes
    from siteward.declaration.subjects import Draft


def find_public(
    declaration: Declaration, instance: Instance, traits: Traits, scopes: Scopes, draft: Draft
) -> Mapping[Scope, tuple[bool, Span]]:
    """Return, by live site, whether everybody may see it, and the place that says so; sites without a word are left out.

    An instance with `public: false` speaks of every site in scope, those to come included. A site in error is left as
    it is. What this server cannot tell is added to `draft`.
    """
    public: dict[Scope, tuple[bool, Span]] = {}
    doubtful: set[Scope] = set()
    told = traits.public_account is not None or traits.shows_public
    for site in declaration.sites.values():
        name = instance.name if instance.name in site.public else EVERY
        wish, meant = site.public.get(name), scopes.site(site.handle)
        if site.handle in declaration.faults.sites:
            doubtful.update(meant)
        elif wish is not None and meant:
            at = site.location.at("public", name) if name != EVERY else site.location.at("public")
            public.update(dict.fromkeys(meant, (wish, at)))
            if not told:
                _tell(draft, traits, at, blocks=name != EVERY)
    if instance.closed:
        at = instance.location.at("public")
        if not told:
            _tell(draft, traits, at, blocks=True)
        left = scopes.managed - public.keys() - doubtful
        public.update(dict.fromkeys(sorted(left), (False, at)))
    return public


def _tell(draft: Draft, traits: Traits, at: Span, *, blocks: bool) -> None:
    """Say that this server does not tell which sites are open; as an error where the file asks it of this instance."""
    message = f"{traits.platform} does not tell which sites everybody may see"
    hint = "look in its own pages, and take `public` out for this instance"
    say = error("no-public-access", message, at=at, hint=hint, local=True) if blocks else None
    draft.say(say or warning("no-public-access", message, at=at, hint=hint))
