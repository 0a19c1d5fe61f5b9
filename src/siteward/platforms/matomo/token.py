"""The credentials of one connection, which are used no more once the server has refused them.

One refusal is final: twenty-one failures lock the address out for an hour, good tokens included (API.md section 1.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siteward.platforms.matomo.rpc import MOST_CALLS
from siteward.transport._httpx import httpx
from siteward.transport.errors import UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from siteward.transport.secrets import Secret


class Token(httpx.Auth):
    """The token and password of one pair of doors; once the token was refused, no request goes out any more.

    `most_calls` is the number of calls that a bulk may carry, lowered when the server refuses a longer one;
    `most_mailing` is the number of planned calls that may share a request that sends mails, lowered when mails are slow.
    `password_refused` is set by the caller, which then sends the password no more.
    """

    def __init__(self, token: Secret, password: Secret | None) -> None:
        self._token = token
        self._password = password
        self.refused: str | None = None
        self.password_refused = False
        self.most_calls = self.most_mailing = MOST_CALLS

    @property
    def has_password(self) -> bool:
        """True if the password of the token's owner is among the credentials."""
        return self._password is not None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request as it is; after a refusal raise `UnauthenticatedError` and send nothing."""
        if self.refused is not None:
            raise UnauthenticatedError(self.refused)
        yield request

    def form(self, fields: Mapping[str, str], *, confirmed: bool = False) -> dict[str, str]:
        """Return a form body with the token in it, and with the password if it is `confirmed` and there is one.

        The token comes first: PHP drops fields after the thousandth, and in the URL it would be logged. The password
        stands outside a bulk's entries, which inherit it: inside, releases up to 4.x damage some characters.
        """
        confirmation = {"passwordConfirmation": self._password.reveal()} if confirmed and self._password else {}
        return {"token_auth": self._token.reveal(), **fields, **confirmation}

    def close(self, why: str) -> UnauthenticatedError:
        """Refuse all later requests, and return the error that says why."""
        self.refused = why
        return UnauthenticatedError(why)
