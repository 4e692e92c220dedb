"""ESP in one namespace: whether its kernel has it, and what an IKE daemon that is gone has left."""

from __future__ import annotations

from . import apart, xfrm
from .namespace import Namespace
from .netlink import Refused
from .refusals import refused

ALGORITHMS = {"chacha20poly1305": "rfc7539esp(chacha20,poly1305)", "aes-gcm": "rfc4106(gcm(aes))"}
"""What the kernel calls a cipher."""


def try_esp(space: Namespace, version: int, cipher: str = "", in_udp: bool = False) -> None:
    """ESP over one IP version, of no cipher unless one is named. Raises KernelRefused where the kernel has none."""
    try:  # what was tried last has the same number
        apart.xfrm_write(space.fd, [xfrm.esp_flush(), xfrm.esp_new(version, ALGORITHMS.get(cipher, ""), in_udp)])
    except Refused as error:
        what = f"ESP over IPv{version}{' in UDP' if in_udp else ''}{f' with {cipher}' if cipher else ''}"
        raise refused(what, error.code, "") from error


def forget(netns: int) -> None:
    """Keys and policies of whatever daemon has been in the namespace behind this descriptor; guards stay. Nothing where
    the kernel has no IPsec."""
    apart.forget_esp(netns)
