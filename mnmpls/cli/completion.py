"""Completion at a shell's prompt: a few lines in the shell's own language, which ask us for each word.

What can follow is read off the parser itself, so that nothing has to be kept in step; what only a running lab knows
is asked of its owner. No candidate means files: each shell completes them better than we could.
"""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .. import registry
from ..errors import MnmplsError
from ..live import finding
from .naming import again_inside
from .parser import parser

_ANSWER_S = 1.0
"""A person waits at the prompt."""

SHELLS = {
    "bash": r"""# eval "$(mnmpls completion bash)", in ~/.bashrc for every shell
_mnmpls() { mapfile -t COMPREPLY < <(mnmpls completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); }
complete -o default -F _mnmpls mnmpls
""",
    "zsh": r"""# eval "$(mnmpls completion zsh)", in ~/.zshrc after compinit
_mnmpls() {
    local -a found
    found=(${(f)"$(mnmpls completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    if (( $#found )); then compadd -a found; else _files; fi
}
compdef _mnmpls mnmpls
""",
    "fish": r"""# mnmpls completion fish | source, in ~/.config/fish/config.fish for every shell
function __mnmpls
    set -l words (commandline -opc) "$(commandline -ct)"
    set -l found (mnmpls completion words -- $words[2..] 2>/dev/null)
    if test (count $found) -gt 0; string join \n -- $found; else; __fish_complete_path (commandline -ct); end
end
complete -c mnmpls -f -a '(__mnmpls)'
""",
}


def verb_completion(options: Namespace) -> int:
    if options.shell != "words":
        print(SHELLS[options.shell], end="")
        return 0
    words = getattr(options, "command", [])
    try:
        found = candidates(words)
    except _InGuest as lab:
        return again_inside(lab.name, ["completion", "words", "--", *words])
    print("".join(f"{word}\n" for word in found), end="")
    return 0


class _InGuest(Exception):
    """Only who is in the same guest as this lab can tell."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def candidates(words: Sequence[str]) -> list[str]:
    """What the last of ``words`` (those after ``mnmpls``) can be completed to; none for a file's name. Raises _InGuest
    where that is for somebody in a lab's guest to say."""
    *before, last = [word for word in words if word != "="] or [""]  # bash breaks --kernel=uml at its sign
    if words[-1:] == ["="]:
        before, last = [*before, last], ""
    if "--" in before:
        return []
    at = _After(parser())
    for word in before:
        at.read(word)
    return sorted(word for word in at.possible(last) if word.startswith(last))


class _After:
    """Where in the grammar one is after some words: the parser of the verb, and what was said already."""

    def __init__(self, top: argparse.ArgumentParser) -> None:
        self.said: dict[str, str] = {}
        self._option: argparse.Action | None = None
        self._enter(top)

    def _enter(self, its: argparse.ArgumentParser) -> None:
        self._parser = its
        self._open = its._get_positional_actions()

    def read(self, word: str) -> None:
        if self._option:
            self._option = None
        elif word.startswith("-"):
            name, sign, _ = word.partition("=")
            found = self._parser._option_string_actions.get(name)
            self._option = found if found and found.nargs != 0 and not sign else None
        elif self._open:
            self._place(self._open[0], word)

    def _place(self, action: argparse.Action, word: str) -> None:
        if isinstance(action, argparse._SubParsersAction):
            if word in action.choices:
                self._enter(action.choices[word])
            else:
                self._open = []
            return
        self.said[action.dest] = word
        if action.nargs not in ("*", "+"):
            self._open = self._open[1:]

    def possible(self, last: str) -> Iterable[str]:
        if self._option:
            return self._values(self._option)
        if last.startswith("-"):
            return self._parser._option_string_actions
        return self._values(self._open[0]) if self._open else ()

    def _values(self, action: argparse.Action) -> Iterable[str]:
        if action.choices is not None:
            return map(str, action.choices)
        try:
            return list(_KNOWN.get(str(action.metavar), _nothing)(self.said))
        except MnmplsError:  # no such lab, or not ours: nothing to offer
            return ()


def _nothing(_: Mapping[str, str]) -> Iterator[str]:
    yield from ()


def _labs(_: Mapping[str, str]) -> Iterator[str]:
    yield from registry.names()


def _parts(said: Mapping[str, str]) -> list[dict[str, Any]]:
    name = said["lab"]
    if registry.ask(name, {"about": True}, _ANSWER_S).get("runtime") == finding.GUEST:
        raise _InGuest(name)
    found: list[dict[str, Any]] = registry.ask(name, {"lab": True}, _ANSWER_S)["parts"]
    return found


def _nodes(said: Mapping[str, str]) -> Iterator[str]:
    for part in _parts(said):
        yield from part["namespaces"]


def _ports(said: Mapping[str, str]) -> Iterator[str]:
    for part in _parts(said):
        for link in part["lab"]["links"]:
            yield from (end["port"] for end in (link["a"], link["b"]) if end["node"] == said["node"])


def _vrfs(said: Mapping[str, str]) -> Iterator[str]:
    for part in _parts(said):
        yield from part["lab"]["nodes"].get(said.get("node"), {}).get("vrfs", {})


_KNOWN: Mapping[str, Callable[[Mapping[str, str]], Iterator[str]]] = {
    "LAB": _labs,
    "NODE": _nodes,
    "SRC": _nodes,
    "DST": _nodes,
    "PORT": _ports,
    "VRF": _vrfs,
}
"""By what an argument is called in the usage text."""
