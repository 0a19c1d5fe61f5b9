"""The stand-in for a Piwik PRO account: `FAKE` makes one in its first state, in the demo's, or in any other."""

from siteward.platforms.piwikpro.fake.server import FAKE, PiwikPro

__all__ = ["FAKE", "PiwikPro"]
