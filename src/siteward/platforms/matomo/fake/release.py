"""The releases the stand-in can be, and how a method tells them apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """One release as the recordings know it: `text` is what `API.getMatomoVersion` answers."""

    name: str
    number: tuple[int, int, int]
    text: str
    product: str = "Matomo"

    def since(self, *number: int) -> bool:
        """Tell whether this release is `number` or newer."""
        return self.number >= number

    def before(self, *number: int) -> bool:
        """Tell whether this release is older than `number`."""
        return self.number < number


# Of this one the changelog was read; no such server ran, so no sandbox is offered as it.
READ_ABOUT = Release("5.14", (5, 14, 1), "5.14.1")
RELEASES = {
    release.name: release
    for release in (
        Release("5.3", (5, 3, 0), "5.3.0-alpha"),
        Release("4.16", (4, 16, 1), "4.16.1"),
        Release("3.14", (3, 14, 1), "3.14.1"),
        Release("2.18", (2, 18, 1), "2.18.1", "Piwik"),
    )
}
