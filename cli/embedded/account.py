"""Which user PostgreSQL runs as. It refuses to run as root, and containers and build machines often are root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.embedded.launch import Account
from cli.errors import StartError

ACCOUNTS = ("postgres", "nobody")
"""Unprivileged users to try, in this order; the second exists on every system."""

NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
"""Makes root look like nobody to one program. Its files stay root's, so it works below a folder only root can enter."""


@dataclass(frozen=True, slots=True)
class Disguise:
    """How to start PostgreSQL as somebody it accepts."""

    prefix: tuple[str, ...] = ()
    account: Account | None = None


def find_disguise(postgres: Path, home: Path, data: Path) -> Disguise:
    """The first way that can run the program and enter the home; existing data stays with the user it belongs to.

    Raises StartError if this user can do neither, or if the data is another user's.
    """
    owner = Account(data.stat().st_uid, data.stat().st_gid) if data.exists() else None
    if os.geteuid() != 0:
        if owner and owner.uid != os.geteuid():
            raise StartError(
                f"{data} belongs to {_name(owner.uid)}; run as that user, or choose another folder with PENSTOCK_HOME"
            )
        return Disguise()
    for disguise in _disguises(owner):
        if _works(disguise, postgres, home):
            return disguise
    raise StartError(
        f"PostgreSQL does not run as root, and neither {' nor '.join(ACCOUNTS)} can run {postgres} on {home}; "
        "start Penstock as an ordinary user, or name a database in DATABASE_URL"
    )


def _disguises(owner: Account | None) -> Iterator[Disguise]:
    if owner and owner.uid != 0:
        yield Disguise(account=owner)
        return
    if not owner:
        yield from (Disguise(account=account) for name in ACCOUNTS if (account := _account(name)))
    yield Disguise(prefix=NAMESPACE)


def _works(disguise: Disguise, postgres: Path, home: Path) -> bool:
    """Tries it: whether a user can reach a file depends on every folder above it, and namespaces may be forbidden."""
    enter_and_run = ("/bin/sh", "-c", 'cd "$0" && exec "$1" --version', str(home), str(postgres))
    account = disguise.account
    try:
        ended = subprocess.run(
            [*disguise.prefix, *enter_and_run],
            cwd="/",
            capture_output=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError:
        return False
    return ended.returncode == 0


def _account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
