"""The demo company of `make run`: credentials that work, and an empty flow to try them on."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

from cli.target import operator
from core.domain.access import Principal, Role
from core.domain.errors import Unauthenticated
from core.domain.identifiers import hex_id, parse_hex_id
from core.domain.passwords import GENERATED_BYTES
from core.operations import access, flows, people
from core.operations.stories import read_webhook_secrets
from core.settings import Settings
from core.store.database import Database, open_database
from schemas.losant import SHOWN_FLOW

NAME = "Demo"
FLOW_NAME = "Pump control"
ADMIN_EMAIL = "admin@demo.example"


def new_webhook_secret() -> str:
    """What signs a company's callbacks: 32 random bytes, written as Standard Webhooks does."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


async def ensure_demo_company(settings: Settings, known: Mapping[str, str]) -> dict[str, str]:
    """Makes the demo company once, and new credentials for each that `known` lacks or that opens nothing any more."""
    async with open_database(settings, role="supervisor", size=2) as database:
        company_id = await access.find_company(database, NAME)
        if company_id is None:
            company_id, _ = await access.create_company(
                operator(0), database, NAME, parent_id=None, webhook_secret=new_webhook_secret()
            )
        await _lift_limit(database, company_id)
        application_id = await access.find_default_application(database, company_id)
        seed = _Seed(database, operator(company_id), application_id, known)
        return {
            "PENSTOCK_API_KEY": await seed.key("PENSTOCK_API_KEY"),
            "PENSTOCK_ADMIN_EMAIL": ADMIN_EMAIL,
            "PENSTOCK_ADMIN_PASSWORD": await seed.password("PENSTOCK_ADMIN_PASSWORD"),
            "PENSTOCK_LOSANT_TOKEN": await seed.token("PENSTOCK_LOSANT_TOKEN", "all.Application"),
            "PENSTOCK_LOSANT_TOKEN_READONLY": await seed.token(
                "PENSTOCK_LOSANT_TOKEN_READONLY", "all.Application.read"
            ),
            "PENSTOCK_APPLICATION_ID": hex_id(application_id),
            "PENSTOCK_FLOW_ID": hex_id(await seed.flow("PENSTOCK_FLOW_ID")),
            "PENSTOCK_WEBHOOK_SECRET": (await read_webhook_secrets(database, company_id))[0],
        }


async def _lift_limit(database: Database, company_id: int) -> None:
    """Nobody who tries things out, or measures them, shall run into a limit that nobody has set on purpose."""
    (limit,) = [row["rate_limit"] for row in await access.list_companies(database) if row["id"] == company_id]
    if limit is None:
        await access.set_rate_limit(operator(company_id), database, 0)


class _Seed:
    """Keeps what still works and makes what is missing."""

    def __init__(self, database: Database, principal: Principal, application_id: int, known: Mapping[str, str]) -> None:
        self._database = database
        self._principal = principal
        self._application_id = application_id
        self._known = known

    async def token(self, name: str, scope: str) -> str:
        if await self._opens(name, bearer=True):
            return self._known[name]
        made = await access.create_token(
            self._principal,
            self._database,
            self._application_id,
            name=name.lower(),
            scopes=[scope],
            expires_at=None,
            random_text=secrets.token_urlsafe,
        )
        return made.secret

    async def key(self, name: str) -> str:
        if await self._opens(name, bearer=False):
            return self._known[name]
        made = await access.create_key(
            self._principal, self._database, name=name.lower(), random_text=secrets.token_urlsafe
        )
        return made.secret

    async def password(self, name: str) -> str:
        """The administrator's, who is made where there is none, and let in again where the access was closed."""
        user = await people.find_user(self._database, self._principal.company_id, ADMIN_EMAIL)
        if user is not None and await people.knows_password(self._database, ADMIN_EMAIL, self._known.get(name, "")):
            return self._known[name]
        password = secrets.token_urlsafe(GENERATED_BYTES)
        if user is None:
            await people.create_user(
                self._principal,
                self._database,
                email=ADMIN_EMAIL,
                name="Demo administrator",
                role=Role.ADMINISTRATOR,
                password=password,
            )
        else:
            await people.reopen_user(self._principal, self._database, user.id)
            await people.set_password(self._principal, self._database, user.id, password)
        return password

    async def flow(self, name: str) -> int:
        """The flow the file names, if it is still there; else an empty one of the cloud class."""
        number = parse_hex_id(self._known.get(name, ""))
        place = (self._principal, self._database, self._application_id)
        if number is not None and await flows.has_flow(*place, number):
            return number
        made = await flows.create_flow(
            *place,
            name=FLOW_NAME,
            description="The flow to try things on.",
            flow_class="cloud",
            enabled=True,
            template=SHOWN_FLOW,
        )
        return made.id

    async def _opens(self, name: str, *, bearer: bool) -> bool:
        try:
            who = await access.authenticate(self._database, self._known.get(name, ""), bearer=bearer, remote=None)
        except Unauthenticated:
            return False
        return who.company_id == self._principal.company_id
