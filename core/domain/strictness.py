"""What a caller asks for with a strict check: a content that could run, not only one that can be kept.

A flow is often saved half finished, so none of this is asked by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.documents import Json
from core.domain.errors import Invalid
from core.domain.flow_classes import RETURN
from core.domain.wiring import LOOP, LOOP_END, Element, elements, group_of, id_of, links

_DRAWN = ("category", "name", "label", "x", "y")
"""What an editor needs to show a trigger or a node."""


def check_strictly(value: Mapping[str, Json]) -> None:
    """Raises Invalid naming the first trigger, node or global that is not complete."""
    for place, trigger in elements(value, "triggers"):
        path = f"triggers[{place}]"
        config = _object(trigger, path, "config")
        _check_meta(trigger, path)
        if trigger.get("type") == "timer":
            _check_timer(config, f"{path}.config")
        if next(links(trigger), None) is None:
            raise Invalid("must lead to a node, or it starts nothing", f"{path}.outputIds")
    _check_nodes(value)
    _check_globals(value)


def _check_nodes(value: Mapping[str, Json]) -> None:
    loops = {id_of(node) for _, node in elements(value, "nodes") if node.get("type") == LOOP}
    for place, node in elements(value, "nodes"):
        path, group, kind = f"nodes[{place}]", group_of(node), node.get("type")
        if id_of(node) is None:
            raise Invalid("is required by a strict check", f"{path}.id")
        config = _object(node, path, "config")
        _check_meta(node, path)
        if group is not None and group not in loops:
            raise Invalid(f"there is no {LOOP} with this id", f"{path}.meta.groupId")
        if kind == LOOP_END and (group is None or config.get("loopNodeId") != group):
            raise Invalid("must be the loop this is inside of, and so must meta.groupId", f"{path}.config.loopNodeId")
        if kind == RETURN and group is not None:
            raise Invalid("a custom node cannot end inside of a loop", f"{path}.type")


def _object(element: Element, path: str, name: str) -> dict[str, Json]:
    found = element.get(name)
    if not isinstance(found, dict):
        raise Invalid("is required by a strict check", f"{path}.{name}")
    return found


def _check_meta(element: Element, path: str) -> None:
    meta = _object(element, path, "meta")
    for name in _DRAWN:
        if name not in meta:
            raise Invalid("is required by a strict check", f"{path}.meta.{name}")


def _check_timer(config: dict[str, Json], path: str) -> None:
    seconds, cron = config.get("seconds"), config.get("cron")
    if (seconds is None) == (cron is None):
        raise Invalid("must have either seconds or cron", path)
    if isinstance(seconds, (int, float)) and seconds <= 0:
        raise Invalid("must be more than 0", f"{path}.seconds")
    if isinstance(cron, str) and not cron.strip():
        raise Invalid("must not be blank", f"{path}.cron")


def _check_globals(value: Mapping[str, Json]) -> None:
    seen: set[str] = set()
    for place, entry in elements(value, "globals"):
        key = str(entry.get("key"))
        if key in seen:
            raise Invalid("is the key of another global, too", f"globals[{place}].key")
        seen.add(key)
