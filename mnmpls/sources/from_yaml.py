"""A lab from YAML text, by way of a tree that knows its lines; safely: no tags, bounded size and depth."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

import yaml

from ..errors import LabError, Problem
from ..model import Lab
from . import from_clab, from_tree
from .reading import DEEPEST, PLAIN, TOO_DEEP, Notes
from .variables import expanded

LARGEST_FILE_BYTES = 8 * 2**20
MOST_ENTRIES = 1_000_000
"""Entries with all aliases written out: nine lines of nested aliases would make a thousand million of them."""
TOO_LONG = f"a lab file may have {MOST_ENTRIES} entries, with all aliases written out; this one has more"


def read(path: str, variables: Mapping[str, str]) -> Lab:
    """The lab in a YAML file, a lab file's or Containerlab's, with its faults. Raises LabError for a file that is no
    sane YAML at all."""
    root = composed(path, expanded(path, text_of(path), variables))
    read_tree = from_clab.read if from_clab.is_clab(root) else from_tree.read
    return read_tree(Notes(path), root)


def composed(path: str, text: str, first: int = 0) -> yaml.Node:
    """The root of the document in ``text``, which begins in line ``first`` of ``path``, counted from 0. Raises LabError
    with the line when it is not sane YAML."""
    try:
        _look_through(path, text, first)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = first + 1 + min(error.problem_mark.line if error.problem_mark else 0, text.count("\n"))
        raise LabError([Problem("", f"this is not YAML: {_why(text, error, first)}", f"{path}:{line}")]) from error
    except yaml.reader.ReaderError as error:
        bad = chr(error.character) if isinstance(error.character, int) else str(error.character)
        line = first + 1 + text[: max(text.find(bad), 0)].count("\n")
        told = f"this is not YAML: the character U+{ord(bad):04X} may not be in it: take it out"
        raise LabError([Problem("", told, f"{path}:{line}")]) from error
    except yaml.YAMLError as error:
        raise LabError([Problem("", f"this is not YAML: {error}", path)]) from error
    if root is None:
        raise LabError([Problem("", "the file is empty; a lab needs nodes and links", path)])
    return root


def _why(text: str, error: yaml.MarkedYAMLError, first: int) -> str:
    """The parser's own words, with the line where what it was in had begun."""
    mark = error.problem_mark
    if mark and any(line.startswith("\t", mark.column) for line in text.split("\n")[mark.line : mark.line + 1]):
        return "a tab stands where only spaces may: indent with spaces"
    begun = f" (begun in line {first + error.context_mark.line + 1})" if error.context_mark else ""
    return ", ".join(part for part in (f"{error.context}{begun}" if error.context else "", error.problem) if part)


def text_of(path: str) -> str:
    """What is in the file. Raises LabError for one that is too long, no text, or not to be read."""
    try:
        # Not to wait for whoever writes into a FIFO; what is read may grow meanwhile.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise LabError([Problem("", "this is not a regular file: give a lab file", path)])
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except IsADirectoryError:
        raise LabError([Problem("", "this is not a regular file: give a lab file", path)]) from None
    except OSError as error:
        raise LabError([Problem("", f"cannot read the lab file: {error.strerror}", path)]) from error
    if len(raw) > LARGEST_FILE_BYTES:
        text = f"a lab file may have {LARGEST_FILE_BYTES} bytes; this one has more"
        raise LabError([Problem("", text, path)])
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise LabError([Problem("", "this is not UTF-8 text: save it as UTF-8", f"{path}:{line}")]) from error


_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _look_through(path: str, text: str, first: int) -> None:
    """Refuses before anything is built, so that neither depth nor aliases cost memory."""
    depth, total, open_ = 0, 0, list[tuple[str | None, int]]()
    sizes: dict[str, int] = {}
    for event in yaml.parse(text, Loader=_Loader):
        place = f"{path}:{first + (event.start_mark.line + 1 if event.start_mark else 1)}"
        tag = str(getattr(event, "tag", None) or PLAIN)
        if tag != "!" and (not tag.startswith(PLAIN) or "python" in tag):
            raise LabError([Problem("", f"the tag {tag} is not allowed: a lab file is plain data", place)])
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise LabError([Problem("", f"*{event.anchor} stands for nothing, or for itself", place)])
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            depth, total = depth + 1, total + 1
            open_.append((event.anchor, total))
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            depth -= 1
            if anchor:
                sizes[anchor] = total - before + 1
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if depth > DEEPEST or total > MOST_ENTRIES:
            raise LabError([Problem("", TOO_DEEP if depth > DEEPEST else TOO_LONG, place)])
