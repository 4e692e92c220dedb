"""The QEMU guest's initramfs, made in memory: one static program (qemu_init.c) and the modules it loads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

FOLDER, PROGRAM, DEVICE = 0o040755, 0o100755, 0o020600
CONSOLE = (5, 1)

MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
"""What the guest needs to see the host's tree and its line."""


def entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One file in the "newc" form (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return pad(head) + pad(data)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def dependencies(tree: str) -> dict[str, tuple[str, ...]]:
    """Module name → its file and those it needs, in the order of loading (modules.dep(5))."""
    needs = {}
    with open(f"{tree}/modules.dep", encoding="utf-8") as lines:
        for path, rest in (line.split(":") for line in lines):
            needs[os.path.basename(path).partition(".ko")[0]] = (*reversed(rest.split()), path)
    return needs


def built_in(tree: str) -> frozenset[str]:
    with open(f"{tree}/modules.builtin", encoding="utf-8") as lines:
        return frozenset(os.path.basename(line.strip()).removesuffix(".ko") for line in lines)


def missing(tree: str, names: Iterable[str]) -> list[str]:
    """Those modules that the kernel has neither as an uncompressed file nor built in."""
    needs, inside = dependencies(tree), built_in(tree)
    return [name for name in names if name not in inside and not needs.get(name, ("",))[-1].endswith(".ko")]


def archive(tree: str, program: str) -> bytes:
    """The whole initramfs for the kernel whose modules are in ``tree``."""
    return b"".join(entry(number, *each) for number, each in enumerate(files(tree, program), 1))


def files(tree: str, program: str) -> Iterator[tuple[str, int, bytes, tuple[int, int]]]:
    none = (0, 0)
    for folder in ("dev", "root", "modules"):
        yield folder, FOLDER, b"", none
    yield "dev/console", DEVICE, b"", CONSOLE
    yield "init", PROGRAM, content(program), none
    needs = dependencies(tree)
    paths = dict.fromkeys(path for name in MODULES for path in needs.get(name, ()))
    for number, path in enumerate(paths):
        yield f"modules/{number:02}-{os.path.basename(path)}", PROGRAM, content(f"{tree}/{path}"), none
    yield "TRAILER!!!", 0, b"", none


def content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
