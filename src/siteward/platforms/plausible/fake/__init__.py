"""The stand-ins for Plausible: `FAKE` makes one in its first state, in the demo's, or in any other."""

from siteward.platforms.plausible.fake.factory import FAKE
from siteward.platforms.plausible.fake.server import PlausibleFake

__all__ = ["FAKE", "PlausibleFake"]
