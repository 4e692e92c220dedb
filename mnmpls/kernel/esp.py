"""ESP in one namespace: whether its kernel has it, and what an IKE daemon that is gone has left."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from . import apart, xfrm
from .namespace import Namespace
from .netlink import Message, Refused
from .refusals import refused

ALGORITHMS = {"chacha20poly1305": "rfc7539esp(chacha20,poly1305)", "aes-gcm": "rfc4106(gcm(aes))"}
"""What the kernel calls a cipher."""


def try_esp(space: Namespace, version: int, in_udp: bool = False) -> None:
    """ESP over one IP version, of no cipher. Raises KernelRefused where the kernel has none."""
    what = f"ESP over IPv{version}{' in UDP' if in_udp else ''}"
    _try(space, what, [xfrm.esp_new(version, "", in_udp)])


def try_cipher(space: Namespace, cipher: str) -> None:
    """Over either IP version. Raises KernelRefused where the kernel has none."""
    _try(space, f"ESP with {cipher}", [xfrm.esp_new(version, ALGORITHMS[cipher], False) for version in (4, 6)])


def _try(space: Namespace, what: str, any_of: Sequence[Message]) -> None:
    codes = []
    for message in any_of:
        try:
            apart.xfrm_write(space.fd, [message])
            return
        except Refused as error:
            codes.append(error.code)
    raise refused(what, errno.ENOSYS if errno.ENOSYS in codes else codes[0], "")


def forget(space: Namespace) -> None:
    """Keys and policies of whatever daemon has been here; guards stay. Nothing where the kernel has no IPsec."""
    apart.forget_esp(space.fd)
