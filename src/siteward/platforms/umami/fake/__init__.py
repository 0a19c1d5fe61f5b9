"""The stand-in for an Umami server: `FAKE` makes one in its first state, in the demo's, or in any other."""

from siteward.platforms.umami.fake.server import FAKE, UmamiFake

__all__ = ["FAKE", "UmamiFake"]
