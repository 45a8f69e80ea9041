"""People who have logged in, and programs that act for them."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass

from core.domain.access import ActorType, Principal, Role
from core.domain.passwords import Verdict, judge
from core.domain.people import User
from core.operations import logins, people
from core.operations.logins import Issuing, Login
from core.operations.people import NewClient
from core.store.database import Database
from tests.support.tenants import Tenant

ISSUING = Issuing("http://penstock.example")
"""Of the installation whose public URL the settings of the tests name."""

PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)


class Inline:
    """Compares passwords where they stand."""

    async def judge(self, stored: str | None, password: str) -> Verdict:
        return judge(stored, password)


@dataclass(frozen=True)
class Person:
    """A user of a company, with a token from a login of theirs."""

    database: Database
    user: User
    token: str

    @property
    def credential(self) -> str:
        """The whole Authorization header."""
        return f"Bearer {self.token}"


def operator(tenant: Tenant) -> Principal:
    return Principal(tenant.company_id, ActorType.CLI, None)


async def make_user(tenant: Tenant, role: Role = Role.MANAGER, email: str | None = None) -> User:
    """Somebody with PASSWORD."""
    return await people.create_user(
        operator(tenant),
        tenant.database,
        email=email or f"person{next(_numbers)}@example.com",
        name="Somebody",
        role=role,
        password=PASSWORD,
    )


async def log_in(database: Database, user: User, password: str = PASSWORD, remote: str | None = "127.0.0.1") -> str:
    """The token of a login. Raises what the login raises."""
    issued = await logins.log_in(database, Login(user.email, password, remote), Inline(), ISSUING)
    return issued.token


async def make_person(tenant: Tenant, role: Role = Role.MANAGER) -> Person:
    user = await make_user(tenant, role)
    return Person(tenant.database, user, await log_in(tenant.database, user))


async def make_robot(tenant: Tenant, role: Role = Role.ADMINISTRATOR) -> str:
    """The Authorization header of a program that may do what this role may."""
    client = await make_client(await make_user(tenant, role), tenant.database)
    return f"Bearer {await client_token(tenant.database, client)}"


async def make_client(user: User, database: Database) -> NewClient:
    maker = Principal(user.company_id, ActorType.CLI, None)
    return await people.create_client(maker, database, user.id, name="robot", random_text=secrets.token_urlsafe)


async def client_token(database: Database, client: NewClient) -> str:
    issued = await logins.log_in_client(database, client.client_id, client.secret, ISSUING, "127.0.0.1")
    return issued.token
