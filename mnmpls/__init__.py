"""MPLS and VRF labs on any Linux machine::

    from mnmpls import load, run

    with run(load("topos/l3vpn.yml")) as lab:
        print(lab["c1h1"].run(["ping", "-c1", "88.2.1.3"]).stdout)
        assert lab.check().ok
"""

from __future__ import annotations

from typing import Any

__all__ = ["load", "run"]


def __getattr__(name: str) -> Any:
    """On first use: ``import mnmpls.state`` shall not cost what a whole runtime costs."""
    if name == "load":
        from .sources import load

        return load
    if name == "run":
        from .live.owned import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
