"""Variables of the environment in a Containerlab topology, put in before it is YAML, as Containerlab does
(core/file.go; https://github.com/hellt/envsubst): ``$NAME`` and ``${NAME}`` stay as they are where NAME is not set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..errors import LabError, Problem

_TOPOLOGY = re.compile(r"(?:^|[{,])\s*[\"']?topology[\"']?\s*:", re.MULTILINE)
_NAME = r"[^\W\d]\w*"
_VARIABLE = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<plain>{_NAME})|\{{(?P<name>{_NAME})(?:(?P<how>:?[-=+])(?P<other>[^}}\r\n]*))?\}}"
    rf"|(?P<open>\{{{_NAME}[^}}\r\n]*(?=[\r\n]|$)))",
    re.MULTILINE,
)
_PLAIN = re.compile(rf"\$({_NAME})")


def expanded(path: str, text: str, variables: Mapping[str, str]) -> str:
    """``text`` with its variables put in, if it is a topology. Raises LabError for one without its closing brace, and
    for a template (https://pkg.go.dev/text/template)."""
    if not ("$" in text or "{{" in text) or not _TOPOLOGY.search(text):
        return text
    if "{{" in text:
        line = text.count("\n", 0, text.index("{{")) + 1
        told = "this is a template, which containerlab fills in: give what it makes of it"
        raise LabError([Problem("", f"{told} (containerlab deploy --export-rendered FILE)", f"{path}:{line}")])

    def one(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if found["open"]:
            line = text.count("\n", 0, found.start()) + 1
            told = f"${found['open']} has no closing brace: write ${{NAME}}, or $$ for a dollar sign"
            raise LabError([Problem("", told, f"{path}:{line}")])
        if found["plain"]:
            return _value(found["plain"], variables)
        return _chosen(found["name"], found["how"] or "", found["other"] or "", variables)

    return _VARIABLE.sub(one, text)


def names(text: str) -> Iterator[str]:
    """The variables that ``text`` asks for, if it is a topology."""
    if "$" in text and _TOPOLOGY.search(text):
        for found in _VARIABLE.finditer(text):
            other = _PLAIN.fullmatch(found["other"] or "")
            yield from (name for name in (found["plain"], found["name"], other and other[1]) if name)


def _value(name: str, variables: Mapping[str, str]) -> str:
    return variables.get(name) or f"${name}"


def _chosen(name: str, how: str, other: str, variables: Mapping[str, str]) -> str:
    """With a colon an empty variable counts as none; ``+`` is for one that is set, the others for one that is not."""
    if how.endswith("+"):
        return _other(other, variables) if name in variables else ""
    lacks = not variables.get(name) if how.startswith(":") else name not in variables
    return _other(other, variables) if how and other and lacks else _value(name, variables)


def _other(text: str, variables: Mapping[str, str]) -> str:
    found = _PLAIN.fullmatch(text)
    return _value(found[1], variables) if found else text
