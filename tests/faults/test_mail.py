"""Mail servers that refuse, are away, or take a letter just before the worker dies."""

from __future__ import annotations

import asyncio
from email.utils import make_msgid

import pytest

from core.domain.jobs import PermanentFailure, TransientFailure
from tests.faults import unguarded
from tests.faults.conftest import NewGround, Promise
from tests.faults.ground import Ground
from tests.support.waiting import now
from tests.support.wire import Wire
from worker.mail.mailer import Mailer, parse_smtp_url


async def test_refused(new_ground: NewGround, promise: Promise) -> None:
    """mail server refuses the letter about a deletion"""
    ground, other = await new_ground(), await new_ground()
    await ground.roles.start_all("scheduler", "worker")
    await ground.start("api")
    ground.smtp.answer("RCPT", "550 5.1.1 No such mailbox")
    deletion = await ground.delete(300)
    account = await deletion.account()
    (letter,) = await deletion.told()
    assert (letter["status"], letter["error"]["code"]) == ("failed", "recipient_refused")
    assert deletion.message_ids() == []

    undone = await other.stage(300)
    mailer = Mailer(parse_smtp_url(other.smtp.url))
    with pytest.raises(PermanentFailure):
        await unguarded.move_and_write(other.database, await undone.claim(), 300, mailer, other.terms)
    removed = await undone.in_trash()
    assert removed == 0
    await other.finish()
    promise.kept(
        f"{account}; the job says: letter {letter['status']}, {letter['error']['code']}",
        control=f"sent inside the deletion, it left {removed} of 300 removed",
    )


async def test_away(ground: Ground, promise: Promise) -> None:
    """mail server away when a deletion ends, back later"""
    async with Wire(ground.smtp.url) as wire:
        await asyncio.gather(ground.start("api"), ground.start("scheduler"), ground.start("worker", SMTP_URL=wire.url))
        await wire.shut()
        deletion = await ground.delete(300)
        account = await deletion.account()
        waiting = await deletion.notified(lambda letter: letter["error"] is not None)
        assert (waiting["status"], waiting["error"]["code"]) == ("queued", "mail_server_unreachable")
        impatient = Mailer(parse_smtp_url(wire.url))
        with pytest.raises(TransientFailure):
            await impatient.send(unguarded.letter("<sent-once@penstock.example>"))
        await wire.open()
        await deletion.accounted()
    (letter,) = await deletion.told()
    arrived = [caught.message["Message-ID"] for caught in ground.smtp.letters]
    assert arrived == [deletion.message_id]
    promise.kept(
        f"{account}; one letter, at attempt {letter['attempts']}", control="a letter that is sent once never came"
    )


@pytest.mark.long
async def test_killed_after_acceptance(ground: Ground, promise: Promise) -> None:
    """worker killed after the mail server took the letter, before the commit"""
    async with Wire(ground.database_url) as wire:
        _, _, worker = await asyncio.gather(
            ground.start("api"), ground.start("scheduler"), ground.start("worker", DATABASE_URL=wire.url)
        )
        stop = wire.stop_before("COMMIT", skip=1)  # of the one batch; claims have none
        deletion = await ground.delete(300)
        await ground.smtp.next()
        await stop.reached()
        await worker.kill()
        stop.drop()
        began = now()
        await ground.start("worker")
        await ground.smtp.next(30)
    again = now() - began
    account = await deletion.accounted(copies=2)

    mailer = Mailer(parse_smtp_url(ground.smtp.url))
    for _ in range(2):
        await mailer.send(unguarded.letter(make_msgid(domain="penstock.example")))
    seen = {caught.message["Message-ID"] for caught in ground.smtp.letters} - {deletion.message_id}
    assert len(seen) == 2
    promise.kept(
        f"{account}; two copies, the second after {again:.1f} s, one Message-ID",
        control=f"with an id made when sending, a reader has {len(seen)} letters",
    )
