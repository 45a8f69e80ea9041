"""The program that ends a process group once the process which started it is gone, however it went.

    python -S -E warden.py LIFELINE PRESENCE

Both are descriptors of pipes that nothing is ever written to. Only the starter holds the write end of LIFELINE, so
its end of file means that the starter has ended, or closed it to say goodbye. Every other process of the group holds
the write end of PRESENCE, so its end of file means that all of them have ended, whatever groups and sessions their
own children went to. Descriptors this program merely inherits, such as a lock, stay open until it ends.

It is its own file and imports next to nothing, so that it costs little and so that nothing in it can fail.
"""

import os
import select
import signal
import sys

PATIENCE_SECONDS = 5.0
"""PostgreSQL ends on SIGINT within a tenth of a second or one checkpoint; killed after that, it recovers."""


def main(lifeline: int, presence: int) -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    if os.getpgrp() != os.getpid():
        sys.exit("warden: not the leader of a process group")  # the signals below would reach strangers
    os.read(lifeline, 1)
    if not ended(presence, 0.0):
        os.killpg(0, signal.SIGINT)
        ended(presence, PATIENCE_SECONDS)
    # Whatever is left, and this process with it: the group is empty from here on.
    os.killpg(0, signal.SIGKILL)


def ended(presence: int, seconds: float) -> bool:
    """Waits until nobody holds the other end of the pipe, at most this long."""
    return bool(select.select([presence], [], [], seconds)[0])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
