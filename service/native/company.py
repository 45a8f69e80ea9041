"""The caller's own company under /api/v1: where its flows run, and what signs what is sent to their runners."""

from __future__ import annotations

from core.domain.addresses import check_callback_url
from core.domain.companies import Company
from core.domain.etags import render_etag
from core.operations import companies
from schemas.companies import render_company, render_secret
from service.calls import UNKEPT, Answer, Call
from service.native.paging import Paging


async def read_company(call: Call) -> Answer:
    return _document(call, await companies.read_company(call.principal, call.database))


async def change_company(call: Call) -> Answer:
    url = call.body["runner_url"]
    checked = None if url is None else check_callback_url(url, "runner_url")
    company = await companies.set_runner(call.principal, call.database, checked, etag=call.if_match)
    return _document(call, company)


async def list_secrets(call: Call) -> Answer:
    """There are two at most, but a list is a list: whoever reads lists page by page reads this one, too."""
    asked = Paging.of(call)
    found = await companies.list_webhook_secrets(call.principal, call.database)
    rows = [render_secret(secret) for secret in found[asked.offset : asked.offset + asked.limit]]
    answer = asked.answer(call, "/company/webhook-secrets", rows, len(found))
    return Answer(answer.status, answer.body, UNKEPT)


def _document(call: Call, company: Company) -> Answer:
    settings = call.service.settings
    shown = render_company(company, rate_limit=settings.rate_limit, letters=settings.mail_daily_cap)
    return Answer(200, {"data": shown}, {"ETag": render_etag(company.revision)})
