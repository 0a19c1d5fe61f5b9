"""The releases the stand-in can be, and how a method tells them apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """One release as the recordings know it: `text` is what `API.getMatomoVersion` answers.

    Of 5.14 and 6.0 the developer changelog and single sources were read; no such server ran, and there are no recordings.
    """

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


RELEASES = {
    release.name: release
    for release in (
        Release("5.3", (5, 3, 0), "5.3.0-alpha"),
        Release("4.16", (4, 16, 1), "4.16.1"),
        Release("3.14", (3, 14, 1), "3.14.1"),
        Release("2.18", (2, 18, 1), "2.18.1", "Piwik"),
        Release("6.0", (6, 0, 0), "6.0.0-b1"),
        Release("5.14", (5, 14, 1), "5.14.1"),
    )
}
