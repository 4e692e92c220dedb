"""The only room that touches a kernel: namespaces, wires, records written and read back, and what its refusals mean."""

from __future__ import annotations

from .esp import forget, try_cipher, try_esp
from .namespace import Namespace
from .wires import Wire, wire, wires

__all__ = ["Namespace", "Wire", "forget", "try_cipher", "try_esp", "wire", "wires"]
