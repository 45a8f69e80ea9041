"""Every way a caller can be told no. The first line of a class's docstring is its default message.

Each dialect's `envelope.py` maps each class to a status and a shape; a test proves both tables complete.
"""

from __future__ import annotations


class PenstockError(Exception):
    """Something the caller asked for cannot be done."""

    def __init__(self, message: str | None = None) -> None:
        documentation = type(self).__doc__ or ""
        self.message = message or documentation.partition("\n")[0]
        super().__init__(self.message)


class Unauthenticated(PenstockError):
    """Invalid access token"""


class LoginFailed(PenstockError):
    """The name or the password is wrong."""


class Forbidden(PenstockError):
    """The token's scope does not include this operation."""


class NotFound(PenstockError):
    """Not found."""


class Gone(PenstockError):
    """This job ended too long ago to be read; its record has expired."""


class MethodNotAllowed(PenstockError):
    """This address does not answer that method."""


class Invalid(PenstockError):
    """The request cannot be understood.

    `path` is where in the request: `query.$and[0].version`, `email`, `page`; empty for the request as a whole.
    """

    def __init__(self, message: str | None = None, path: str = "") -> None:
        self.path = path
        self.problem = message or "is not valid"
        super().__init__(f"{path}: {self.problem}" if path else self.problem)


class NotAllowed(PenstockError):
    """A list was asked for by a filter, sort, include or field that it does not have."""


class UnsupportedGrant(Invalid):
    """This server knows no such grant."""


class InvalidScope(Invalid):
    """There are no scopes to choose: a token may do what its user's role may."""


class TooLarge(PenstockError):
    """The request body is too large."""


class AlreadyExists(PenstockError):
    """That name is taken."""


class Conflict(PenstockError):
    """The current state does not allow this."""


class VersionProtected(Conflict):
    """A deployed version, or one about to be deployed, cannot be deleted."""


class PreconditionFailed(PenstockError):
    """This was changed since you read it: its ETag is another one now."""


class IdempotencyMismatch(PenstockError):
    """This Idempotency-Key was used with another request."""


class Unavailable(PenstockError):
    """The service cannot answer right now; try again."""


class TooSlow(PenstockError):
    """The query took too long and was stopped; ask for less."""


class TooManyRequests(PenstockError):
    """Too many requests; try again later.

    `retry_after` is in how many whole seconds that helps.
    """

    def __init__(self, message: str | None = None, retry_after: int = 1) -> None:
        self.retry_after = max(1, retry_after)
        super().__init__(message)
