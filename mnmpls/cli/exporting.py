"""The verbs that exchange labs with Containerlab and its kin."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from ..errors import UsageError
from ..export.clab_hosts import Host, clab_hosts
from ..export.clabernetes import UNDERLAY_BYTES, clabernetes
from ..export.containerlab import containerlab
from ..export.underlay import LEAST_BYTES, MOST_BYTES
from ..model import DEFAULT_MTU_BYTES, Lab
from ..sources import load
from ..sources.to_yaml import to_yaml


def verb_export(options: Namespace) -> int:
    folder = Path(options.folder)
    for path, text in _texts(load(options.file), options).items():
        _write(folder / path, text, options.force)
    return 0


def _texts(lab: Lab, options: Namespace) -> Mapping[str, str]:
    if options.form == "clabernetes":
        if options.hosts:
            raise UsageError("export clabernetes: Kubernetes chooses the hosts; leave --host out")
        underlay = _underlay(options, UNDERLAY_BYTES)
        return {f"{lab.name}.clabernetes.yml": clabernetes(lab, options.image, underlay)}
    if options.hosts:
        hosts, underlay = [_host(text) for text in options.hosts], _underlay(options, DEFAULT_MTU_BYTES)
        return clab_hosts(lab, hosts, options.image, underlay)
    if options.underlay_mtu is not None:
        raise UsageError("export: --underlay-mtu is of the network between hosts: give these, too, by --host")
    return {f"{lab.name}.clab.yml": containerlab(lab, options.image)}


def _underlay(options: Namespace, usual: int) -> int:
    given: int | None = options.underlay_mtu
    if given is not None and not LEAST_BYTES <= given <= MOST_BYTES:
        raise UsageError(f"export: --underlay-mtu {given}: give {LEAST_BYTES} to {MOST_BYTES} bytes")
    return usual if given is None else given


def _host(text: str) -> Host:
    name, *rest = text.split(",")
    try:
        address = str(ip_address(rest[0] if rest else ""))
    except ValueError:
        raise UsageError(f"export: --host {text}: write NAME,ADDRESS,NODE,NODE,...") from None
    if not name or name != Path(name).name or len(rest) < 2:
        raise UsageError(f"export: --host {text}: write NAME,ADDRESS,NODE,NODE,...")
    return Host(name, address, tuple(rest[1:]))


def _write(path: Path, text: str, force: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"export: {path} is there already; --force overwrites it") from error
    print(path)


def verb_import(options: Namespace) -> int:
    sys.stdout.write(to_yaml(load(options.file)))
    return 0
