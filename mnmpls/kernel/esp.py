"""ESP in one namespace: whether its kernel has it, and what an IKE daemon that is gone has left."""

from __future__ import annotations

import errno

from . import apart, xfrm
from .namespace import Namespace
from .netlink import Refused
from .refusals import refused

ALGORITHMS = {"chacha20poly1305": "rfc7539esp(chacha20,poly1305)", "aes-gcm": "rfc4106(gcm(aes))"}
"""What the kernel calls a cipher."""

_NO_CIPHER = (errno.ENOSYS, errno.ENOENT)
"""That it has none of the name, or has none any more (net/xfrm/xfrm_algo.c remembers what it has found)."""


def try_esp(space: Namespace, version: int, in_udp: bool = False) -> None:
    """ESP over one IP version, of no cipher. Raises KernelRefused where the kernel has none."""
    if code := _refusal(space, version, "", in_udp):
        raise refused(f"ESP over IPv{version}{' in UDP' if in_udp else ''}", code, "")


def try_cipher(space: Namespace, cipher: str) -> None:
    """With ESP over either IP version; where there is neither, that is what is missing. Raises KernelRefused."""
    if all(_refusal(space, version, ALGORITHMS[cipher]) in _NO_CIPHER for version in (4, 6)):
        raise refused(f"ESP with {cipher}", errno.ENOSYS, "")


def _refusal(space: Namespace, version: int, algorithm: str, in_udp: bool = False) -> int:
    """The number of the error, 0 for none. What was tried last has the same number in the kernel's table."""
    try:
        apart.xfrm_write(space.fd, [xfrm.esp_flush(), xfrm.esp_new(version, algorithm, in_udp)])
    except Refused as error:
        return error.code
    return 0


def forget(netns: int) -> None:
    """Keys and policies of whatever daemon has been in the namespace behind this descriptor; guards stay. Nothing where
    the kernel has no IPsec."""
    apart.forget_esp(netns)
