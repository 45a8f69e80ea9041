"""Connections and transactions. The only door to PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias, TypeVar

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

from core.domain.errors import Unavailable
from core.settings import Settings, SettingsError
from core.store.constraints import translate
from core.store.door import Door

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Result = TypeVar("Result")

MOST_TRIES = 4
"""A deadlock or serialization failure is tried again three times; locks are taken in one order, so one is rare."""

ACQUIRE_SECONDS = 10.0
"""How long a caller queues for a connection, and how long making one may take, before the caller is told to come back:
longer than any of our statements."""

COMMAND_SECONDS = 60.0
"""No statement of ours takes this long; one that does is on a dead connection."""

LONGEST_REST_SECONDS = 300.0
"""A connection that nobody used for so long is replaced: something on the way may have forgotten it without a word."""

IDLE_SECONDS = 10.0
"""A transaction that says nothing for this long belongs to a process that hangs or was stopped. PostgreSQL then ends
it, which frees its locks before the lease of its job runs out: a job whose row stays locked could never be rescued."""

GONE_SECONDS = 2.0
"""How soon PostgreSQL notices that the client of a running statement has died. By itself it looks only when it has
something to send: a session that waits for a lock would keep its own, and so its job, for as long as that takes."""

_LIMITS = {
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS:.0f}s",
    "client_connection_check_interval": f"{GONE_SECONDS:.0f}s",
}
_LIMIT_TRANSACTION = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in _LIMITS.items())

_log = structlog.get_logger()


class _PlainConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is returned to the pool as it is.

    asyncpg would spend a round trip on resetting it. We only ever use SET LOCAL and transaction-level locks, which
    PgBouncer's transaction mode demands of us anyway, so there is nothing to reset.
    """

    def get_reset_query(self) -> str:
        return ""


class _Visit:
    """One connection for the life of a block. A class, since a generator in its place took longer than the door."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Connection:
        self._connection = await self._database.take()
        return self._connection

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self._database.give_back(self._connection, sound=kind is None)


def _is_open(connection: PoolConnectionProxy[asyncpg.Record]) -> bool:
    """asyncpg takes a connection that was lost away from whoever holds it."""
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        return False


class Database:
    """A pool behind a first-come, first-served door.

    asyncpg's own queue lets late callers overtake early ones when the pool is saturated, which more than doubled
    the slowest responses; the door in front restores the order of arrival. Giving a connection back to the pool
    takes a task of its own, a sixth of a short request, so one that was used in good order stays at hand.
    """

    def __init__(
        self,
        pool: asyncpg.Pool[asyncpg.Record],
        size: int,
        *,
        pooled: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._pooled = pooled
        self._door = Door(size, ACQUIRE_SECONDS)
        self._monotonic = monotonic
        self._at_hand: list[tuple[PoolConnectionProxy[asyncpg.Record], float]] = []
        """Connections and since when they rest, the one used last at the end."""

    def connection(self) -> _Visit:
        """A connection for single reading statements. Raises Unavailable when none comes free or answers in time."""
        return _Visit(self)

    async def give_up(self) -> None:
        """Gives back what is at hand, so that the pool can close."""
        while self._at_hand:
            await self._pool.release(self._at_hand.pop()[0])

    async def take(self) -> PoolConnectionProxy[asyncpg.Record]:
        """A connection that somebody else has to give back: `connection` sees to both."""
        await self._door.enter()
        try:
            while self._at_hand:
                connection, since = self._at_hand.pop()
                if _is_open(connection):
                    if self._monotonic() - since < LONGEST_REST_SECONDS:
                        return connection
                    connection.terminate()
                await self._pool.release(connection)
            return await self._pool.acquire()  # waits for nobody, since the door has let us in
        except BaseException:
            self._door.leave()
            raise

    async def give_back(self, connection: PoolConnectionProxy[asyncpg.Record], *, sound: bool) -> None:
        """`sound`: whatever it was used for ended without an error; otherwise the pool has a look at it."""
        try:
            if sound and not connection.is_in_transaction():
                self._at_hand.append((connection, self._monotonic()))
            else:
                await self._pool.release(connection)
        finally:
            self._door.leave()

    async def transaction(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Runs `work` in one transaction and returns what it returned.

        `work` may run up to MOST_TRIES times, each time from the beginning in a new transaction: it must keep no
        state outside of it. A broken constraint comes out as the domain error named in constraints.py.
        """

        async def begun(connection: Connection) -> Result:
            async with connection.transaction():
                if self._pooled:
                    await connection.execute(_LIMIT_TRANSACTION)
                return await work(connection)

        return await self.statement(begun)

    async def statement(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """The same for `work` that is a single statement, which is a transaction by itself: two round trips less."""
        for attempt in range(1, MOST_TRIES + 1):
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                if attempt == MOST_TRIES:
                    raise Unavailable("The database is busy; try again.") from error
                _log.warning("A transaction lost a conflict and starts again.", attempt=attempt, cause=str(error))
                await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311 - spreads rivals, guards nothing
            except asyncpg.IntegrityConstraintViolationError as error:
                raise translate(error) from error
        raise AssertionError("the loop returns or raises")


USUAL_CONNECTIONS = 10
"""Of a pool whose owner names no number."""


@asynccontextmanager
async def open_database(
    settings: Settings, *, role: str, size: int = USUAL_CONNECTIONS, plan_once: bool = False
) -> AsyncIterator[Database]:
    """Opens a pool of at most `size` connections for the life of the context. Raises SettingsError if it cannot.

    With `plan_once` a statement is planned when it is first run and not again for each set of parameters: for whoever
    runs few statements very often, where planning a page took longer than reading it.

    With DATABASE_DIRECT_URL set, DATABASE_URL is taken to be a pooler in transaction mode, where a statement prepared
    on one connection may be asked for on another; the statement cache is then off.
    """
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL is not set; name a PostgreSQL database, or use `make run`.")
    pool = await _open_pool(settings, size, _session(settings, role, plan_once=plan_once))
    database = Database(pool, size, pooled=settings.database_direct_url is not None)
    try:
        yield database
    finally:
        # A connection that will not close in good order must not keep a stopping process alive.
        try:
            await database.give_up()
            await asyncio.wait_for(pool.close(), 3)
        except TimeoutError:
            pool.terminate()


async def _open_pool(settings: Settings, size: int, session: Mapping[str, str]) -> asyncpg.Pool[asyncpg.Record]:
    """Raises SettingsError when the database cannot be used at all: the process then ends, and is started again."""
    try:
        return await asyncpg.create_pool(
            settings.database_url,
            min_size=1,
            max_size=size,
            timeout=ACQUIRE_SECONDS,
            command_timeout=COMMAND_SECONDS,
            max_inactive_connection_lifetime=LONGEST_REST_SECONDS,
            connection_class=_PlainConnection,
            statement_cache_size=0 if settings.database_direct_url else 200,
            server_settings=dict(session),
        )
    except (*UNREACHABLE, ValueError, asyncpg.PostgresError) as error:
        raise SettingsError(f"the database named in DATABASE_URL cannot be used: {error}") from error


def _session(settings: Settings, role: str, *, plan_once: bool) -> Mapping[str, str]:
    """Settings of a connection. A pooler shares its connections, so there they are made in each transaction."""
    named = {"application_name": f"penstock {role}"}
    if settings.database_direct_url is not None:
        return named
    return {**named, **_LIMITS, **({"plan_cache_mode": "force_generic_plan"} if plan_once else {})}


async def limit_statements(connection: Connection, seconds: float) -> None:
    """Stops every further statement of this transaction after so long; asyncpg then raises QueryCanceledError."""
    await connection.execute(f"SET LOCAL statement_timeout = '{seconds:.0f}s'")


async def plan_in_order(connection: Connection) -> None:
    """Plans every further statement of this transaction for the parameters it is run with, and along an index that has
    the rows in order where there is one. For lists of ranges of any length: a plan for all of them expects next to
    nothing, and one for a long range would rather read and sort all of it, with every core, than stop at the page."""
    await connection.execute(_IN_ORDER)


_IN_ORDER = "; ".join(
    f"SET LOCAL {name} = {value}"
    for name, value in {
        "plan_cache_mode": "force_custom_plan",
        "enable_sort": "off",
        "enable_seqscan": "off",
        "max_parallel_workers_per_gather": 0,
    }.items()
)


UNREACHABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InternalClientError,  # "cannot switch to state": the server went away between two of its messages
    TimeoutError,
)
"""What asyncpg raises while PostgreSQL is away, starting or stopping."""
