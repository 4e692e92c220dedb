"""A Containerlab topology as what a container runtime is to make of it: Containerlab's names, labels, environment and
inheritance (https://containerlab.dev/manual/nodes/). What the nodes are in the lab, sources/from_clab.py reads."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..errors import LabError, Problem, nearest
from ..model import Lab
from ..plan import records
from ..sources.clab_habits import magic
from ..sources.clab_levels import texts_of, unmerged
from ..sources.from_yaml import composed
from ..sources.keys import NODE
from ..sources.variables import expanded, names
from ..state import Record, Sysctl
from .space import wires_of

POLICIES = ("IfNotPresent", "Never", "Always")
MADE = "mnmpls.made"
"""Label of what the container was made of."""
_MAPS = ("env", "labels", "sysctls")
_LISTS = ("binds", "cap-add", "devices")
_PLAIN = ("image", "image-pull-policy", "entrypoint", "cmd", "user", "privileged", "restart-policy", "cpu", "memory",
          "cpu-set", "shm-size", "network-mode", "healthcheck")  # fmt: skip
_OF_MANAGEMENT = ("mgmt-ipv4", "mgmt-ipv6", "ports", "dns", "aliases")
_UNMET = {
    **dict.fromkeys(_OF_MANAGEMENT, "there is no management network here"),
    "startup-delay": "nodes are started at once here",
}
"""Only told of: the lab is the same without."""
_ELSEWHERE = ("kind", "group", "type", "config", "exec", "stages", "position", *_UNMET)
"""Read by others, or not at all."""
_CONTAINERLABS = (
    "auto-remove", "certificate", "cgroup-parent", "cgroupns-mode", "components", "credentials",
    "enforce-startup-config", "env-files", "extras", "hostname", "license", "link-apply-mode", "pid-mode", "runtime",
    "security-opts", "startup-config", "suppress-startup-config", "tmpfs", "volumes",
)  # fmt: skip
"""What it can, and we cannot."""
_KNOWN = (*_PLAIN, *_MAPS, *_LISTS, *_ELSEWHERE)
_TRUE = ("true", "yes", "on", "y")
_NANOSECOND = 10**9
_NEARLY = 0.8


@dataclass(frozen=True, slots=True)
class Box:
    """A container to be made: ``settings`` are the docker SDK's words for ``containers.create``, ``fewer`` those for a
    daemon that may not give it all rights; none where the topology says which it is to have."""

    node: str
    name: str
    image: str
    pull: str
    settings: Mapping[str, Any]
    fewer: Mapping[str, Any]
    place: str = ""
    image_place: str = ""


def read(text: str, lab: Lab, file: str) -> tuple[Box, ...]:
    """The containers of the topology in ``text``, which came from ``file`` and has been read as the completed ``lab``,
    with the name that it runs under. Raises LabError for what is not made here."""
    tree = _tree(text, file)
    topology = _mapping(tree["topology"])
    problems: list[Problem] = []
    _require_makeable(lab, topology.get("links") or (), problems)
    prefix = "clab" if tree.get("prefix") is None else str(tree["prefix"])
    # The nodes read the same file, and are to find the same in it.
    variables = {name: os.environ[name] for name in names(text) if name in os.environ}
    wanted = records(lab)
    readers = [_Reader(lab, node.name, topology, prefix, file, problems, wanted) for node in lab.nodes]
    boxes = tuple(reader.box(variables) for reader in readers if reader.is_makeable)
    problems += _of_kinds([reader for reader in readers if not reader.is_makeable])
    if problems:
        raise LabError(problems)
    return boxes


def unmet(text: str, lab: Lab, file: str) -> Iterator[Problem]:
    """What the topology asks for that is not done here, though the lab is made."""
    tree = _tree(text, file)
    topology = _mapping(tree["topology"])
    if "mgmt" in tree:
        yield Problem("mgmt", "there is no management network here", lab.place("mgmt"))
    kinds = (("topology.kinds", "kinds"), ("topology.groups", "groups"), ("nodes", "nodes"))
    levels = [("topology.defaults", topology.get("defaults"))]
    levels += [(f"{path}.{name}", each) for path, key in kinds for name, each in _mapping(topology.get(key)).items()]
    for where, level in levels:
        for key in _mapping(level).keys() & _UNMET.keys():
            yield Problem(f"{where}.{key}", _UNMET[key], lab.place(f"{where}.{key}"))
        yield from _misspelt(lab, f"{where}.config.vars", _mapping(level))
        for stage, told in _mapping(_mapping(level).get("stages")).items():
            if "wait-for" in _mapping(told):
                path = f"{where}.stages.{stage}.wait-for"
                yield Problem(path, "each node waits for its own links here, and for no other node", lab.place(path))


def _misspelt(lab: Lab, where: str, level: Mapping[str, Any]) -> Iterator[Problem]:
    """Variables may be anybody's, but for those that are nearly ours."""
    given = _mapping(_mapping(level.get("config")).get("vars"))
    for key in given.keys() - NODE.keys():
        if near := get_close_matches(str(key), NODE, 1, _NEARLY):
            text = f"a variable that nothing here reads; did you mean {near[0]!r}?"
            yield Problem(f"{where}.{key}", text, lab.place(f"{where}.{key}"))


def _of_kinds(each: Sequence[_Reader]) -> Iterator[Problem]:
    """One for each kind that is not made here, at its first node."""
    for kind in dict.fromkeys(reader.kind for reader in each):
        same = [reader for reader in each if reader.kind == kind]
        names = f" ({', '.join(reader.node for reader in same)})" if len(same) > 1 else ""
        here = "a bridge is a linux of group bridge and image mnmpls" if "bridge" in kind else "each node is a linux"
        text = f"kind {kind!r} is containerlab's to make{names}: use `containerlab deploy`; here {here}"
        if not kind:
            text = f"it has no kind: write kind: linux, at the node or under defaults{names}"
        yield Problem(f"nodes.{same[0].node}.kind", text, same[0].place_of("kind"))


def _tree(text: str, file: str) -> dict[str, Any]:
    """As Containerlab takes it: ``A: true`` under ``env`` is the text, and a node may be called 1."""
    found: dict[str, Any] = texts_of(unmerged(composed(file, expanded(file, text, os.environ))))
    return found


def _mapping(given: Any) -> Mapping[str, Any]:
    """Nothing of what is none; where it matters, the topology's reader has told of it."""
    return given if isinstance(given, dict) else {}


def _require_makeable(lab: Lab, links: Iterable[Mapping[str, Any]], problems: list[Problem]) -> None:
    """No links but wires between nodes, and what a node itself makes."""
    known = {node.name for node in lab.nodes}
    for i, link in enumerate(links):
        kind = link.get("type", "veth")
        outside = [name for name in map(_node, link.get("endpoints", ())) if name not in known]
        if kind not in ("veth", "dummy") or outside:
            what = f"links to {outside[0]}" if outside else f"links of type {kind}"
            text = f"{what} are made by `containerlab deploy` only; leave this one out, or deploy the lab with that"
            problems.append(Problem(f"topology.links[{i}]", text, lab.place(f"topology.links[{i}]")))


def _node(end: Any) -> str:
    return str(end["node"]) if isinstance(end, dict) else str(end).partition(":")[0]


class _Reader:
    """Of one node, with what it inherits."""

    def __init__(
        self, lab: Lab, node: str, topology: Mapping[str, Any], prefix: str, file: str, problems: list[Problem],
        wanted: Mapping[str, frozenset[Record]],
    ) -> None:  # fmt: skip
        self.lab, self.node, self.file, self.problems, self.wanted = lab, node, file, problems, wanted[node]
        self.place = lab.place(f"nodes.{node}")
        self.long = {"": node, "__lab-name": f"{lab.name}-{node}"}.get(prefix, f"{prefix}-{lab.name}-{node}")
        own, defaults = _mapping(topology["nodes"][node]), _mapping(topology.get("defaults"))
        self.group = str(own.get("group") or defaults.get("group") or "")
        of_group = _mapping(_mapping(topology.get("groups")).get(self.group))
        self.kind = str(own.get("kind") or of_group.get("kind") or defaults.get("kind") or "")
        of_kind = _mapping(_mapping(topology.get("kinds")).get(self.kind))
        above = (f"topology.kinds.{self.kind}", f"topology.groups.{self.group}")
        self.paths = ("topology.defaults", *above, f"nodes.{node}")
        self.is_makeable = self.kind == "linux"
        self.given = self._merged((defaults, of_kind, of_group, own)) if self.is_makeable else {}

    def _merged(self, levels: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Weakest first: maps are merged, lists joined, of the rest the strongest counts."""
        found: dict[str, Any] = {}
        for level in levels:
            for key, value in level.items():
                if key in _MAPS:
                    found[key] = {**found.get(key, {}), **self._shaped(key, value, dict)}
                elif key in _LISTS:
                    found[key] = [*dict.fromkeys((*found.get(key, ()), *self._shaped(key, value, list)))]
                elif key in _KNOWN:
                    found[key] = value
                elif key in _CONTAINERLABS:
                    self._fault(key, f"only containerlab knows `{key}`: leave it out, or use `containerlab deploy`")
                else:
                    self._fault(key, f"there is no key {key!r} here; {nearest(str(key), _KNOWN)}")
        return found

    def _shaped(self, key: str, value: Any, shape: type) -> Any:
        if value is None:
            return shape()
        inner = value.values() if isinstance(value, dict) else value
        if isinstance(value, shape) and (key == "healthcheck" or all(isinstance(each, str | None) for each in inner)):
            return value
        self._fault(key, f"write it as a {'list' if shape is list else 'mapping'} of words")
        return shape()

    def place_of(self, key: str) -> str:
        """Where it is given, or else the node is."""
        said = (f"{path}.{key}" for path in reversed(self.paths))
        return next((self.lab.places[path] for path in said if path in self.lab.places), self.place)

    def _fault(self, key: str, text: str) -> None:
        problem = Problem(f"nodes.{self.node}.{key}", text, self.place_of(key))
        if problem not in self.problems:
            self.problems.append(problem)

    def box(self, variables: Mapping[str, str]) -> Box:
        """The container, with the environment's ``variables`` that the topology asks for."""
        pull = str(self.given.get("image-pull-policy", POLICIES[0]))
        if pull.lower() not in map(str.lower, POLICIES):
            self._fault("image-pull-policy", f"there is no policy {pull!r}; {nearest(pull, POLICIES)}")
        mode = str(self.given.get("network-mode", "none"))
        if mode != "none":
            self._fault("network-mode", f"{mode!r} is containerlab's to make; here each node has a network of its own")
        if not self.given.get("image"):
            self._fault("image", "it names no image: write image: mnmpls, at the node or under defaults")
        labels = self._labels()
        of_labels = {f"CLAB_LABEL_{key.upper().replace('-', '_')}": value for key, value in labels.items()}
        own = self._words("env")
        settings = {
            "name": self.long, "hostname": self.node, "labels": labels,
            "environment": {**variables, "CLAB_INTFS": str(len(wires_of(self.lab, self.node))), **of_labels, **own},
            "tty": True, "stdin_open": True, "detach": True,
            **self._rights(), **self._limits(), **self._command(),
            "volumes": list(self._binds()),
        }  # fmt: skip
        settings["labels"][MADE] = self._digest(settings)
        image = str(self.given.get("image"))
        fewer = {} if "privileged" in self.given else self._fewer(settings)
        return Box(self.node, self.long, image, pull, settings, fewer, self.place, self.place_of("image"))

    def _fewer(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """To set up its network is enough for a node that finds all it has to set as docker made it, and for one that
        is not ours. Any other brings a kernel of its own where it has no right at all (own_kernel.py)."""
        made = settings["sysctls"]

        def is_made(one: Sysctl) -> bool:
            default = re.sub(r"^(net\.ipv[46]\.conf)\.[^.]+\.", r"\1.default.", one.key)
            return str(made.get(one.key, made.get(default))) == one.value

        own = (one for one in self.wanted if isinstance(one, Sysctl))
        strange = any(each.node == self.node for each in self.lab.foreign)
        admin = ["NET_ADMIN"] if strange or all(map(is_made, own)) else []
        return {**settings, "privileged": False, "cap_add": [*settings["cap_add"], *admin]}

    def _digest(self, settings: Mapping[str, Any]) -> str:
        """Of all that cannot be changed while it runs, its links too; from which file it came is not of that."""
        wires = [link.ports for link in self.lab.links if link.is_wire and self.node in (link.a.node, link.b.node)]
        parts: dict[str, Any] = dict(settings)
        for key in ("labels", "environment"):
            parts[key] = {name: value for name, value in settings[key].items() if value != self.file}
        parts["links"] = sorted([each.node, each.name, each.mac] for ends in wires for each in ends)
        told = json.dumps([self.given.get("image"), parts], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def _labels(self) -> dict[str, str]:
        return {
            "containerlab": self.lab.name,
            "clab-node-name": self.node,
            "clab-node-longname": self.long,
            "clab-node-kind": self.kind,
            "clab-node-type": str(self.given.get("type", "")),
            "clab-node-group": self.group,
            "clab-topo-file": self.file,
            **self._words("labels"),
        }

    def _words(self, key: str) -> dict[str, str]:
        return {name: "" if value is None else str(value) for name, value in self.given.get(key, {}).items()}

    def _size(self, key: str, text: str) -> str:
        """``512MiB`` as docker takes it."""
        if found := re.fullmatch(r"([0-9.]+) ?([kmgt]?)i?b?", text.lower()):
            return f"{found[1]}{found[2] or 'b'}"
        self._fault(key, f"{text!r} is no size: write one such as 512MB")
        return "0"

    def _number(self, key: str, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            self._fault(key, f"{value!r} is no number")
            return 0

    def _rights(self) -> dict[str, Any]:
        return {
            "privileged": str(self.given.get("privileged") or "true").lower() in _TRUE,
            "cap_add": [str(each) for each in self.given.get("cap-add", ())],
            "devices": [str(each) for each in self.given.get("devices", ())],
            "sysctls": {"net.ipv6.conf.all.disable_ipv6": "0", **self._words("sysctls")},
            "network_mode": "none",
            "restart_policy": {"Name": str(self.given.get("restart-policy", "no"))},
        }

    def _limits(self) -> dict[str, Any]:
        words = {"cpu-set": "cpuset_cpus", "user": "user"}
        found: dict[str, Any] = {ours: str(self.given[key]) for key, ours in words.items() if self.given.get(key)}
        sizes = {"memory": "mem_limit", "shm-size": "shm_size"}
        found |= {ours: self._size(key, str(self.given[key])) for key, ours in sizes.items() if self.given.get(key)}
        if self.given.get("cpu"):
            found["nano_cpus"] = int(self._number("cpu", self.given["cpu"]) * _NANOSECOND)
        if health := self._shaped("healthcheck", self.given.get("healthcheck"), dict):
            times = {"interval": "interval", "timeout": "timeout", "start-period": "start_period"}
            found["healthcheck"] = {
                **({"test": health["test"]} if "test" in health else {}),
                **({"retries": int(self._number("healthcheck", health["retries"]))} if "retries" in health else {}),
                **{
                    ours: int(self._number("healthcheck", health[key])) * _NANOSECOND
                    for key, ours in times.items()
                    if key in health
                },
            }
        return found

    def _command(self) -> dict[str, Any]:
        """Split into words as Containerlab does."""
        words = {"entrypoint": "entrypoint", "cmd": "command"}
        return {ours: self._split(key, str(self.given[key])) for key, ours in words.items() if self.given.get(key)}

    def _split(self, key: str, line: str) -> list[str]:
        try:
            return shlex.split(line)
        except ValueError as error:
            self._fault(key, f"{line!r} is no command line: {str(error).lower()}")
            return []

    def _binds(self) -> Iterator[str]:
        """As docker wants them: whole paths, of what is there."""
        here = os.path.dirname(self.file)
        for given in self.given.get("binds", ()):
            source, _, rest = magic(str(given), self.node, self.lab.name, here).partition(":")
            path = os.path.realpath(os.path.join(here, os.path.expanduser(source)))
            if not rest:
                self._fault("binds", f"{given!r} is no bind: write SOURCE:PATH, or SOURCE:PATH:ro")
            elif not os.path.exists(path):
                self._fault("binds", f"there is no {path} to bind")
            else:
                yield f"{path}:{rest}"
