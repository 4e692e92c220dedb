"""What is left for a lab's wires where a container runtime carries them in VXLAN, which says nothing of that to nodes:
neither Containerlab's own VXLAN links nor those of clabernetes look at the MTU of the ports that they join."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import LabError, Problem
from ..model import Lab, Link
from ..plan.check_links import LEAST_MTU_BYTES, MOST_MTU_BYTES

HEADERS_BYTES = {4: 50, 6: 70}
"""IP, UDP, VXLAN and the inner Ethernet header (RFC 7348, 4.3 and 5), by the IP version beneath."""
LEAST_BYTES = max(HEADERS_BYTES.values()) + LEAST_MTU_BYTES
MOST_BYTES = MOST_MTU_BYTES


def require_fitting(lab: Lab, left_bytes: Callable[[Link], int | None]) -> None:
    """Raises LabError for ends that are to have more than ``left_bytes`` says (None: all the same): Linux cuts a VXLAN
    device's MTU without a word when it is made (vxlan_config_apply), and what is larger is lost or in fragments."""
    problems = []
    for i, link in enumerate(lab.links):
        left = left_bytes(link) if link.is_wire else None
        for side, port in zip("ab", link.ports, strict=True):
            if left is not None and (port.mtu_bytes or 0) > left:
                path = f"links[{i}].{side}.mtu"
                text = f"{port.mtu_bytes} bytes are more than VXLAN leaves of the network beneath, {left}"
                remedy = "leave mtu out, or say by --underlay-mtu what that network takes"
                problems.append(Problem(path, f"{text}: {remedy}", lab.place(path)))
    if problems:
        raise LabError(problems)
