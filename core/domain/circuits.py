"""Which runs go out next: runners that fail are left alone, and none takes more than its share of the places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.domain.backoff import backoff_seconds
from core.domain.dispatch import (
    FIRST_OPEN_SECONDS,
    GIVE_UP_SECONDS,
    IN_FLIGHT_PER_RUNNER,
    LONGEST_OPEN_SECONDS,
    OPEN_AFTER,
    PAUSED_SECONDS,
    PROBE_SECONDS,
    Candidate,
    Cause,
    Circuit,
    Outgoing,
    PutOff,
    Tried,
    is_ill,
    runner_of,
)

Fraction = Callable[[], float]
"""Where the random part of waits comes from: numbers in [0, 1)."""

NO_RUNNER = "Neither the flow nor its company has a runner_url."

PAUSED = "Firing is paused; see penstock admin pause-firing."

CLOSED = Circuit(0)

_SPREAD_SECONDS = 2.0
"""Runs that wait for one runner come back over so long, so that it is not met by all of them at once."""


@dataclass(slots=True)
class Choice:
    """What becomes of the candidates; one that is not named stays where it is, since there is no place for it now."""

    sending: list[Candidate] = field(default_factory=list)
    probes: dict[str, int] = field(default_factory=dict)
    """The runs among `sending` that look whether a runner is back, by runner."""
    waiting: list[PutOff] = field(default_factory=list)
    hopeless: list[tuple[Candidate, Cause, str]] = field(default_factory=list)


def judge(known: Mapping[str, Circuit], tried: Sequence[Tried], fraction: Fraction) -> dict[str, Circuit]:
    """What changes in what is known of runners after these tries, in the order in which they came back.

    Of a runner that is left alone already only a probe counts: the failures of what was under way beside it are news
    of the same outage.
    """
    changed: dict[str, Circuit] = {}
    for each in tried:
        runner, ill = runner_of(each.run.runner_url), is_ill(each)
        if ill is None:
            continue
        circuit = changed.get(runner) or known.get(runner, CLOSED)
        if not ill:
            if circuit != CLOSED:
                changed[runner] = CLOSED
        elif not circuit.is_suspect or each.run.probes:
            changed[runner] = _failed_again(circuit, fraction())
    return changed


def choose(
    candidates: Sequence[Candidate],
    circuits: Mapping[str, Circuit],
    flying: Collection[Outgoing],
    room: int,
    fraction: Fraction,
) -> Choice:
    """At most `room` of the candidates, in their order, beside those that are `flying`."""
    choice = Choice()
    under_way = Counter(runner_of(run.runner_url) for run in flying)
    for one in candidates:
        if one.runner_url is None:
            choice.hopeless.append((one, Cause.NO_RUNNER, NO_RUNNER))
            continue
        runner = runner_of(one.runner_url)
        circuit = circuits.get(runner, CLOSED)
        if circuit.is_suspect and (circuit.is_open or runner in choice.probes):
            _hold_back(choice, one, circuit, fraction())
        elif len(choice.sending) < room and under_way[runner] < IN_FLIGHT_PER_RUNNER:
            under_way[runner] += 1
            choice.sending.append(one)
            if circuit.is_suspect:
                choice.probes[runner] = one.id
    return choice


def hold_all(candidates: Sequence[Candidate], fraction: Fraction) -> list[PutOff]:
    """For as long as nothing is sent at all; it is no try, and no run is given up for it."""
    return [
        PutOff(one.id, PAUSED_SECONDS + _SPREAD_SECONDS * fraction(), Cause.FIRING_PAUSED, PAUSED) for one in candidates
    ]


def probed(circuit: Circuit) -> Circuit:
    """The circuit while a run looks whether the runner is back: shut to all others, and not for ever, should that one
    be lost."""
    return Circuit(circuit.failures, PROBE_SECONDS)


def _failed_again(circuit: Circuit, fraction: float) -> Circuit:
    failures = circuit.failures + 1
    if failures < OPEN_AFTER:
        return Circuit(failures)
    times = failures - OPEN_AFTER + 1
    return Circuit(failures, backoff_seconds(times, fraction, FIRST_OPEN_SECONDS, LONGEST_OPEN_SECONDS))


def _hold_back(choice: Choice, one: Candidate, circuit: Circuit, fraction: float) -> None:
    wait = max(circuit.open_seconds or 0.0, 0.0) + _SPREAD_SECONDS * fraction
    message = f"The runner failed {circuit.failures} times in a row and is left alone for a while."
    if one.age_seconds + wait > GIVE_UP_SECONDS:
        choice.hopeless.append((one, Cause.CIRCUIT_OPEN, message))
    else:
        choice.waiting.append(PutOff(one.id, wait, Cause.CIRCUIT_OPEN, message))
