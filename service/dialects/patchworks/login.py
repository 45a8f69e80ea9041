"""`POST /fabric/api/login`: a token for whoever knows a password."""

from __future__ import annotations

from core.domain.errors import Invalid
from core.domain.people import folded
from core.operations.logins import Login, log_in
from service.calls import UNKEPT, Answer, Call

MESSAGE = "You have successfully logged in."


async def log_in_user(call: Call) -> Answer:
    login = Login(_name(call), call.body["password"], call.remote)
    issued = await log_in(call.database, login, call.service.hashing, call.service.issuing)
    return Answer(200, {"message": MESSAGE, "token": issued.token, "expires_in": issued.expires_in}, UNKEPT)


def _name(call: Call) -> str:
    """Newer clients send `username`, older ones `email`; both at once must say the same."""
    username, email = call.body.get("username"), call.body.get("email")
    name = username if username is not None else email
    if name is None:
        raise Invalid("is required", "username")
    if email is not None and folded(email) != folded(name):
        raise Invalid("is another one than username", "email")
    return str(name)
