"""What logging in answers: Patchworks' shape for people, RFC 6749's for programs."""

from __future__ import annotations

from marshmallow import fields

from schemas.answers import answer, number, one_of

LoggedIn = answer("loggedIn", {"message": fields.String(), "token": fields.String(), "expires_in": number(least=1)})

Token = answer(
    "accessToken",
    {"access_token": fields.String(), "token_type": one_of("Bearer"), "expires_in": number(least=1)},
)

TokenRefusal = answer(
    "tokenError",
    {
        "error": one_of(
            "invalid_request",
            "invalid_client",
            "unsupported_grant_type",
            "invalid_scope",
            "temporarily_unavailable",
            "server_error",
        ),
        "error_description": fields.String(),
    },
)
