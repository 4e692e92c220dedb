"""The verbs that exchange labs with Containerlab and its kin."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from ..errors import UsageError
from ..export.clab_hosts import Host, clab_hosts
from ..export.clabernetes import clabernetes
from ..export.containerlab import containerlab
from ..model import Lab
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
        return {f"{lab.name}.clabernetes.yml": clabernetes(lab, options.image)}
    if options.hosts:
        return clab_hosts(lab, [_host(text) for text in options.hosts], options.image)
    return {f"{lab.name}.clab.yml": containerlab(lab, options.image)}


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
