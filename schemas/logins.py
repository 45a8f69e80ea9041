"""What logging in takes."""

from __future__ import annotations

from marshmallow import EXCLUDE

from core.domain.passwords import MOST_PASSWORD
from core.domain.people import MOST_NAME
from schemas.fields import Body, Text


class LoginPost(Body):
    """`username` and `email` are two names of the same thing; one of them is needed."""

    username = Text(least=1, most=MOST_NAME)
    email = Text(least=1, most=MOST_NAME)
    password = Text(least=1, most=MOST_PASSWORD, required=True)


class TokenPost(Body):
    """RFC 6749 4.4.2 and 2.3.1. Fields it does not name are passed over, as 3.2 asks for."""

    class Meta:
        unknown = EXCLUDE

    grant_type = Text(most=255, required=True)
    client_id = Text(most=255)
    client_secret = Text(most=255)
    scope = Text(most=1_024)
