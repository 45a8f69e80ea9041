"""One deletion under test, from its acceptance to an account that is looked at from every side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from core.domain.flows import Flow
from core.domain.jobs import ClaimedJob, JobStatus
from core.store import jobs
from core.store.database import Connection
from core.store.jobs import HeldJob
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.faults.ground import Ground, Lock

RECOVERY_SECONDS = 30.0
"""The promise: after any fault a job goes on within this."""

MAIL_DOMAIN = "penstock.example"

ENDED = tuple(str(status) for status in JobStatus if status.terminal)


@dataclass(frozen=True)
class Progress:
    """A job's row."""

    status: str
    attempt: int
    failures: int
    total: int
    position: int
    removed: int
    failed: int
    reasons: Mapping[str, int]
    delivered: bool
    lease_left: float | None
    """Seconds; None while nobody has the job."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Deletion:
    """One accepted deletion, and whether its account is right."""

    def __init__(self, ground: Ground, flow: Flow, job_id: str, version_ids: list[int]) -> None:
        self.ground = ground
        self.flow = flow
        self.job_id = job_id
        self.version_ids = version_ids
        self.locks: list[Lock] = []
        self.spared: dict[str, str | None] = {}
        """Versions that must survive: name and the reason that is accounted, None for one that was never matched."""
        self.gone = 0
        """How many of the set somebody else removed meanwhile."""

    @property
    def message_id(self) -> str:
        return f"<{self.job_id}@{MAIL_DOMAIN}>"

    async def progress(self) -> Progress:
        async with self.ground.database.connection() as connection:
            row = await connection.fetchrow(
                """
                SELECT status, attempt, failures, total, position, removed, failed, reasons,
                       delivered_at IS NOT NULL AS delivered,
                       extract(epoch FROM leased_until - clock_timestamp())::float8 AS lease_left
                FROM jobs WHERE public_id = $1
                """,
                self.job_id,
            )
        return Progress(**{**row, "reasons": orjson.loads(row["reasons"])})

    async def claim(self) -> ClaimedJob:
        """Takes up the job in this process, as a worker does with a delivery."""
        now = await self.progress()

        async def work(connection: Connection) -> ClaimedJob | None:
            return await jobs.claim(connection, await self.number(), now.attempt, self.ground.terms.lease)

        claimed = await self.ground.database.transaction(work)
        assert claimed is not None
        return claimed

    async def hold(self, claimed: ClaimedJob) -> HeldJob:
        """What a worker learns from the row at the beginning of a batch."""

        async def work(connection: Connection) -> HeldJob | None:
            return await jobs.hold(connection, claimed)

        held = await self.ground.database.transaction(work)
        assert held is not None
        return held

    async def expire_lease(self) -> None:
        """As if the worker had been silent for its whole lease."""
        async with self.ground.database.connection() as connection:
            await connection.execute(
                "UPDATE jobs SET leased_until = clock_timestamp() - interval '1 second' WHERE public_id = $1",
                self.job_id,
            )

    async def number(self) -> int:
        async with self.ground.database.connection() as connection:
            number: int = await connection.fetchval("SELECT id FROM jobs WHERE public_id = $1", self.job_id)
        return number

    async def in_trash(self) -> int:
        """How many versions this job has really removed."""
        async with self.ground.database.connection() as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM deleted_versions WHERE job_id = $1", await self.number()
            )
        return count

    async def begun(self) -> Progress:
        return await self.until(lambda now: now.position > 0 or now.ended, "the deletion has removed something")

    async def until(self, so: Callable[[Progress], bool], what: str, seconds: float = RECOVERY_SECONDS) -> Progress:
        async def asked() -> Progress | None:
            now = await self.progress()
            return now if so(now) else None

        return await until(asked, what, seconds)

    async def resumed(self, attempt: int) -> Progress:
        """Waits until a worker has the job in a later attempt than this."""
        return await self.until(lambda now: now.attempt > attempt, f"the job is taken up after attempt {attempt}")

    async def ended(self, seconds: float = RECOVERY_SECONDS) -> Progress:
        return await self.until(lambda now: now.ended, "the job ends", seconds)

    async def document(self) -> dict[str, Any]:
        reply = await self.ground.api.get(f"/api/v1/jobs/{self.job_id}")
        assert reply.status == 200, reply.raw
        document: dict[str, Any] = reply.json["data"]
        return document

    async def told(self, seconds: float = RECOVERY_SECONDS) -> list[dict[str, Any]]:
        """Waits until the job has told whom it had to tell, and returns how that went."""

        async def settled() -> list[dict[str, Any]] | None:
            notifications: list[dict[str, Any]] = (await self.document())["notifications"]
            return notifications if all(each["status"] in ENDED for each in notifications) else None

        return await until(settled, "the job has told its end", seconds)

    async def notified(self, so: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any]:
        """Waits until the job's letter is like this, and returns how it stands."""

        async def asked() -> Mapping[str, Any] | None:
            letters = (await self.document())["notifications"]
            return next((letter for letter in letters if so(letter)), None)

        return await until(asked, "the letter of the job is as expected")

    def message_ids(self) -> list[str]:
        """Of every letter that arrived about this job."""
        about = [each.message for each in self.ground.smtp.letters if self.job_id.encode() in each.content]
        return [str(message["Message-ID"]) for message in about]

    async def account(self) -> str:
        """Waits for the end, looks at every side of the account, and returns it in short: `20,000 = 19,998 + 2`."""
        await self.ended()
        document = await self.document()
        result = document["result"]
        assert document["status"] == "completed", document
        assert result["matched"] == result["removed"] + result["failed"]
        await self._check_versions(result)
        await self._check_batches(result["matched"])
        return f"{result['matched']:,} = {result['removed']:,} + {result['failed']:,}"

    async def accounted(self, *, copies: int = 1) -> str:
        """The same, and the letter about it: so many copies, all under the one id of the job."""
        account = await self.account()
        (letter,) = await self.told()
        assert letter["status"] == "completed", letter
        assert self.message_ids() == [self.message_id] * copies
        return account

    async def _check_versions(self, result: Mapping[str, Any]) -> None:
        """What is left, what is in the trash, and what is said of both."""
        async with self.ground.database.connection() as connection:
            left = await connection.fetch("SELECT name, notes FROM flow_versions WHERE flow_id = $1", self.flow.id)
            trash = await connection.fetchrow(
                "SELECT count(*) AS entries, count(DISTINCT version_id) AS versions FROM deleted_versions"
                " WHERE job_id = (SELECT id FROM jobs WHERE public_id = $1)",
                self.job_id,
            )
            failures = await connection.fetch(
                "SELECT name, reason FROM job_failures WHERE job_id = (SELECT id FROM jobs WHERE public_id = $1)",
                self.job_id,
            )
        assert {row["name"] for row in left} == self.spared.keys()
        replaced = [name for name, reason in self.spared.items() if reason == "changed_since"]
        assert {row["name"] for row in left if row["notes"] == "replaced"} == set(replaced)
        expected = [(name, reason) for name, reason in self.spared.items() if reason] + [(None, "gone")] * self.gone
        told = Counter((row["name"], row["reason"]) for row in failures)
        assert told == Counter(expected)
        assert result["reasons"] == dict(Counter(reason for _, reason in expected))
        removed = len(self.version_ids) - len(expected)
        assert (trash["entries"], trash["versions"]) == (removed, removed)
        assert (result["matched"], result["removed"]) == (len(self.version_ids), removed)

    async def _check_batches(self, matched: int) -> None:
        """Every batch committed once: together they cover the set without a gap and without an overlap."""
        async with self.ground.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT details FROM audit_events WHERE action = 'versions.remove' AND subject_type = 'job'"
                " AND subject_id = (SELECT id FROM jobs WHERE public_id = $1) ORDER BY id",
                self.job_id,
            )
        batches = [orjson.loads(row["details"]) for row in rows]
        position = 0
        for batch in batches:
            assert batch["from"] == position, batches
            position = batch["to"]
        assert position == matched
