"""The stand-in for a Matomo or Piwik server: `FAKE` makes one in its first state, in the demo's, or in any other."""

from siteward.platforms.matomo.fake.server import FAKE, MatomoFake

__all__ = ["FAKE", "MatomoFake"]
