"""A lab as the text of a tidy lab file: the shortest forms, one node or link a line, always in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ..model import Lab
from .from_tree import END
from .to_data import data

_ONE_OR_MANY = frozenset(("ip", "loopback", "exec", "rt", "import", "export", "path", "labels"))
"""Keys at which one value may stand without a list."""
WIDTH = 120


def to_yaml(lab: Lab) -> str:
    """What the file says of ``lab``; whoever reads it gets an equal one. Raises LabError for a lab with faults."""
    return "".join(f"{line}\n" for line in _lines(data(lab)))


def flow(value: object) -> str:
    """In YAML's flow style, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf"), allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    for key, value in told.items():
        if key not in ("nodes", "links", "lsps"):
            yield f"{key}: {flow(value)}"
    yield ""
    yield "nodes:" if told["nodes"] else "nodes: {}"
    for name, node in told["nodes"].items():
        yield from _node(name, short(node))
    yield ""
    yield "links:" if told["links"] else "links: []"
    yield from (f"  - {_link(link)}" for link in told["links"])
    if told.get("lsps"):
        yield ""
        yield "lsps:"
        yield from (f"  - {flow(short(lsp))}" for lsp in told["lsps"])


def _node(name: str, node: dict[str, Any]) -> Iterator[str]:
    """On one line if that is short enough, else a line for each key."""
    line = f"  {flow(name)}: {flow(node['role'] if len(node) == 1 else node)}"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"  {flow(name)}:"
    for key, value in node.items():
        yield from _entry(f"    {key}:", value)


def _entry(key: str, value: object) -> Iterator[str]:
    line = f"{key} {flow(value)}"
    indent = " " * (len(key) - len(key.lstrip()) + 2)
    if len(line) <= WIDTH or not isinstance(value, (dict, list)):
        yield line
    elif isinstance(value, dict):
        yield key
        yield from (f"{indent}{flow(name)}: {flow(inner)}" for name, inner in value.items())
    else:
        yield key
        yield from (f"{indent}- {flow(inner)}" for inner in value)


def _link(link: Mapping[str, Any]) -> str:
    ends = [_end(link[side]) for side in ("a", "b")]
    others = {key: value for key, value in link.items() if key not in ("a", "b")}
    if not others:
        return f"[{', '.join(map(_in_a_list, ends))}]"
    return flow({"a": ends[0], "b": ends[1], **others})


def _in_a_list(end: str | dict[str, Any]) -> str:
    """A mapping of one key needs no braces there."""
    text = flow(end)
    return text[1:-1] if isinstance(end, dict) and len(end) == 1 else text


def _end(end: Mapping[str, Any]) -> str | dict[str, Any]:
    """``NODE``, ``{NODE: address}``, ``{NODE: {...}}``; of a node that is called like a key, the long form."""
    others = short({key: value for key, value in end.items() if key != "node"})
    name = end["node"]
    if not others:
        return str(name)
    if name in END:
        return {"node": name, **others}
    return {name: others["ip"] if list(others) == ["ip"] else others}


def short(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of one as their one; VRFs of which only the names are known as a list of these."""
    return {key: _shortened(key, value) for key, value in entries.items()}


def _shortened(key: str, value: Any) -> Any:
    if key == "vrfs":
        return {name: short(vrf) for name, vrf in value.items()} if any(value.values()) else list(value)
    if key == "routes":
        return [short(route) for route in value]
    return value[0] if key in _ONE_OR_MANY and isinstance(value, list) and len(value) == 1 else value
