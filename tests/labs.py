"""Labs that tests of several kinds use."""

from __future__ import annotations

from mnmpls.model import Lab, Link, Node, Port, StaticRoute, Vrf


def dual_stack() -> Lab:
    """Two equal ways through the core, both IP versions, interface names with dots, a MAC, an MTU, settings with a
    space in them, and a route with labels that a user wrote."""
    routes = (StaticRoute("10.99.0.0/16", "10.0.1.2", labels=(40, 50, 60)), StaticRoute("fd99::/32", "fd00:1::2"))
    sysctls = (("net.ipv4.conf.up.1.rp_filter", "2"), ("net.ipv4.ip_local_port_range", "20000 30000"))
    pe1 = Node("pe1", "pe", vrfs=(Vrf("red"), Vrf("blue", imports=("65000:9",))), routes=routes, sysctls=sysctls)
    pe2 = Node("pe2", "pe", vrfs=(Vrf("red"),))
    nodes = (pe1, Node("a", "p"), Node("b", "p"), pe2, Node("c1", "ce"), Node("c2", "ce"))

    def wire(left: str, right: str, number: int, name: str = "") -> Link:
        ends = ((f"10.0.{number}.{n}/24", f"fd00:{number}::{n}/64") for n in (1, 2))
        return Link(Port(left, name, next(ends), mtu_bytes=1600), Port(right, "", next(ends), mtu_bytes=1600))

    core = (wire("pe1", "a", 1, "up.1"), wire("pe1", "b", 2), wire("a", "pe2", 3), wire("b", "pe2", 4))
    sites = tuple(
        Link(
            Port(f"pe{n}", "", (f"10.1.{n}.1/30", f"fd01:{n}::1/64"), "red"),
            Port(f"c{n}", "mtu", (f"10.1.{n}.2/30", f"fd01:{n}::2/64"), mac=f"02:00:00:00:00:0{n}", mtu_bytes=1400),
        )
        for n in (1, 2)
    )
    return Lab("dual stack", nodes, (*core, *sites))
