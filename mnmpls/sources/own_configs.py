"""Configurations of the user's own for a node's daemons: named by their files, or written into the lab itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

import yaml

from ..model import FRR, FRR_DAEMONS, SWANCTL, OwnConfig
from .reading import Entries, Notes, is_null, mapping

LARGEST_BYTES = 2**20
KEYS = (FRR, "bird", SWANCTL)
"""Of a node."""


def own_configs(has: Entries) -> Iterator[OwnConfig]:
    """Those that a node with the entries ``has`` gives, with their texts. A file that cannot be read is a fault."""
    for key in KEYS:
        node = has.get(key)
        if isinstance(node, yaml.MappingNode) and key == FRR:
            given = mapping(has.notes, has.under(key), node, FRR_DAEMONS)
            for daemon in sorted(given, key=FRR_DAEMONS.index):
                yield from _config(has.notes, given.under(daemon), daemon, given[daemon])
        elif node is not None:
            yield from _config(has.notes, has.under(key), key, node)


def _config(notes: Notes, where: str, daemon: str, node: yaml.Node) -> Iterator[OwnConfig]:
    notes.at(where, node)
    if not isinstance(node, yaml.ScalarNode) or is_null(node) or not node.value:
        wanted = "a file, or a mapping of daemons and their files" if daemon == FRR else "a file"
        notes.fault(where, node, f"expected {wanted}, such as {daemon}.conf")
    elif "\n" in node.value:
        yield OwnConfig(daemon, _whole(node.value))
    elif (text := _text(notes, where, node)) is not None:
        yield OwnConfig(daemon, _whole(text), _beside(notes, node.value))


def _whole(text: str) -> str:
    """With a line's end, by which a text is known from a path."""
    return text if text.endswith("\n") else f"{text}\n"


def _beside(notes: Notes, path: str) -> str:
    return os.path.join(os.path.dirname(notes.path), path)


def _text(notes: Notes, where: str, node: yaml.ScalarNode) -> str | None:
    """What is in the file; None where a fault was noted."""
    path = _beside(notes, node.value)
    if notes.path and _leads_away(notes, path):
        text = f"{node.value} is outside the lab file's folder: put a copy beside the lab file"
        notes.fault(where, node, text)
        return None
    try:
        # Not to wait for whoever writes into a FIFO; what is read may grow meanwhile.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            raw = file.read(LARGEST_BYTES + 1) if is_file else b""
        text = raw.decode()
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or "this is not UTF-8 text"
        hint = "; paths are relative to the lab file's folder" if isinstance(error, FileNotFoundError) else ""
        notes.fault(where, node, f"cannot read {path}: {why}{hint}")
        return None
    if not is_file or len(raw) > LARGEST_BYTES or "\0" in text:
        why = f"it has more than {LARGEST_BYTES} bytes" if len(raw) > LARGEST_BYTES else "it is no file of text"
        notes.fault(where, node, f"cannot take {path}: {why}")
        return None
    return text


def _leads_away(notes: Notes, path: str) -> bool:
    """A lab of a stranger's is not to name files of the reader's."""
    folder = os.path.realpath(os.path.dirname(notes.path))
    return os.path.commonpath([folder, os.path.realpath(path)]) != folder
