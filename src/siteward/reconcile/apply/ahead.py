"""The changes that are still to come in a run, which a call may have to know (`Bundle.ahead`)."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from siteward.access.model import account_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator, Mapping

    from siteward.access.change import Change
    from siteward.access.plan import Step


class Ahead(Struct, kw_only=True, dict=True):
    """The steps that a run does (`go`), of which those whose ids are in `over` are over; that grows with each write.

    All before the place `begin` are over.
    """

    go: tuple[Step, ...]
    over: Container[str]
    begin: int = 0

    @cached_property
    def _by_login(self) -> Mapping[str, list[Step]]:
        steps: defaultdict[str, list[Step]] = defaultdict(list)
        for step in self.go:
            if (login := account_of(step.change.key)) is not None:
                steps[login.lower()].append(step)
        return steps

    def _rest(self) -> Iterator[Step]:
        """Yield the steps from the first one on that is not over."""
        while self.begin < len(self.go) and self.go[self.begin].id in self.over:
            self.begin += 1
        return map(self.go.__getitem__, range(self.begin, len(self.go)))

    def after(self, steps: Collection[Step]) -> Callable[[str | None], Iterator[Change]]:
        """Return the function that yields the changes to come after `steps`: all, or those about a login in any case."""

        def find(login: str | None) -> Iterator[Change]:
            now = {step.id for step in steps}
            for step in self._rest() if login is None else self._by_login.get(login.lower(), ()):
                if step.id not in now and step.id not in self.over:
                    yield step.change

        return find
