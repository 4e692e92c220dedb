"""A backbone of four provider edges in a ring of tunnels, by routing daemons, in its variants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..errors import LabError, Problem, nearest
from ..model import IPSEC_MODES, Evpn, Igp, Ipsec, Lab, Labels, Link, Node, Port, Vpn, Vrf

NO_IPSEC = NO_LAN = "none"
VARIANTS = {
    "tunnel": ("ip6gre", "vxlan", "gretap"),
    "addressing": ("numbered", "unnumbered"),
    "ipsec": (NO_IPSEC, *IPSEC_MODES),
}
"""Parameter -> what it may be; the first is what it is when nothing is said."""
BESIDE = {"lan": (NO_LAN, "evpn"), "way": ("direct", "around")}
"""Likewise: what the core carries beside the clients' VPN, and whether their routers' own tunnel is the last choice, so
that the two other routers are on the way."""

_PES = {"pe101": 2, "pe201": 1, "pe202": 3, "pe102": 4}
"""In the ring's order, with the last number of each one's loopback addresses."""
_LAST_CHOICE = 100
_CLIENTS = {"client1": "pe101", "client2": "pe201"}
_LAN, _OFFICES = "office", {"office1": "pe101", "office2": "pe201"}


def ring(**chosen: object) -> Lab:
    """The ring over an underlay with IPv6 only, two clients in a VRF, both IP versions, and with ``lan="evpn"`` a
    LAN of two hosts beside them. With ``way="around"`` it stands the loss of either router that has no client. Raises
    LabError for a variant that is not there."""
    found = list(_problems(chosen))
    if found:
        raise LabError(found)
    said = {**{name: known[0] for name, known in (VARIANTS | BESIDE).items()}, **chosen}
    has_lan, around = said.pop("lan") != NO_LAN, said.pop("way") == "around"
    names, numbers = list(_PES), range(len(_PES))
    underlay = [Link(Port(pe, "eth1", (f"2001:db8::{pe[2:]}/64",)), Port("internet")) for pe in names]
    tunnels = [_tunnel(i + 1, names[i], names[i - len(names) + 1], **said) for i in numbers]  # type: ignore[arg-type]
    if around:
        tunnels[0] = replace(tunnels[0], igp=Igp(metric=_LAST_CHOICE))
    sites = [Link(Port(client), Port(pe, vrf="red"), versions=(4, 6)) for client, pe in _CLIENTS.items()]
    offices = _OFFICES if has_lan else {}
    lan = [Link(Port(office), Port(pe, evpn=_LAN), versions=(4, 6)) for office, pe in offices.items()]
    return Lab(
        "ring",
        (Node("internet", "bridge"), *map(_pe, names), *(Node(name, "host") for name in (*_CLIENTS, *offices))),
        (*underlay, *tunnels, *sites, *lan),
        igp=Igp("ospf"),
        labels=Labels("ldp"),
        vpn=Vpn("bgp"),
        evpns=(Evpn(_LAN),) if has_lan else (),
    )


def _pe(name: str) -> Node:
    loopbacks = f"10.10.0.{_PES[name]}/32", f"fd53:ba85:6bf9:10::{_PES[name]}/128"
    return Node(name, "pe", loopbacks, (Vrf("red"),) if name in _CLIENTS.values() else ())


def _tunnel(number: int, a: str, b: str, tunnel: str, addressing: str, ipsec: str) -> Link:
    over = f"2001:db8::{a[2:]}", f"2001:db8::{b[2:]}"
    vni = number if tunnel == "vxlan" else None
    esp = None if ipsec == NO_IPSEC else Ipsec(ipsec)
    return Link(Port(a), Port(b), tunnel, over=over, vni=vni, unnumbered=addressing == "unnumbered", ipsec=esp)


def _problems(chosen: dict[str, object]) -> Iterator[Problem]:
    known = VARIANTS | BESIDE
    for name, value in chosen.items():
        if name not in known:
            yield Problem(f"ring.{name}", f"the ring has no {name!r}; {nearest(name, known)}")
        elif value not in known[name]:
            yield Problem(f"ring.{name}", f"there is no {name}={value}; {nearest(str(value), known[name])}")
