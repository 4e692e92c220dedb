"""Small labs that are not one customer with two sites."""

from __future__ import annotations

from dataclasses import replace

from mnmpls.model import Lab, Link, Lsp, Node, Port, Vrf

_P = Node("p", "p")


def _vrf(name: str, imports: str = "65000:1", exports: str = "65000:1") -> Vrf:
    return Vrf(name, imports=(imports,), exports=(exports,))


def _lab(name: str, roles: str, pes: dict[str, tuple[Vrf, ...]], links: list[tuple[str, str]]) -> Lab:
    """``roles``: `host h1 h2, ce ce1`. An end of a link is a node, or `node:vrf`. Every PE hangs on p."""
    nodes = [_P, *(Node(pe, "pe", vrfs=vrfs) for pe, vrfs in pes.items())]
    for part in roles.split(", "):
        role, *names = part.split()
        nodes += [Node(node, role) for node in names]
    wires = [*((pe, "p") for pe in pes), *links]
    return Lab(name, tuple(nodes), tuple(Link(_end(a), _end(b)) for a, b in wires))


def _end(text: str) -> Port:
    node, _, vrf = text.partition(":")
    return Port(node, vrf=vrf or None)


def _with_loopbacks(lab: Lab, **cidrs: str) -> Lab:
    nodes = (replace(node, loopbacks=(cidrs[node.name],)) if node.name in cidrs else node for node in lab.nodes)
    over = tuple(cidrs[name].partition("/")[0] for name in ("ce1", "ce3"))
    return replace(lab, nodes=tuple(nodes), links=(*lab.links, Link(Port("ce1"), Port("ce3"), type="gre", over=over)))


_RED, _BLUE = _vrf("red"), _vrf("blue", "65000:2", "65000:2")
_HUB, _SPOKE = _vrf("hub", "65000:200", "65000:100"), _vrf("spoke", "65000:100", "65000:200")

LABS = (
    _lab(
        "multihomed",
        "ce ce1 ce2, host h1 h2",
        {"pe1": (_RED,), "pe2": (_RED,), "pe3": (_RED,)},
        [("ce1", "pe1:red"), ("ce1", "pe2:red"), ("ce2", "pe3:red"), ("h1", "ce1"), ("h2", "ce2")],
    ),
    _lab(
        "hub-and-spoke",
        "ce ce1, host h1 h2 h3",
        {"pe1": (_HUB,), "pe2": (_SPOKE,), "pe3": (_SPOKE,)},
        [("ce1", "pe1:hub"), ("h1", "ce1"), ("h2", "pe2:spoke"), ("h3", "pe3:spoke")],
    ),
    _lab(
        "outside-all-vrfs",
        "ce ce1, host h1 h2 h3 r1",
        {"pe1": (), "pe2": (_RED,)},
        [("ce1", "pe1"), ("h1", "ce1"), ("h2", "pe1"), ("h3", "pe2"), ("r1", "pe2:red")],
    ),
    _lab(
        "a-site-in-two-vpns",
        "ce ce1 ce2 ce3, host h1 h2 h3",
        {"pe1": (_RED, _BLUE), "pe2": (_RED, _BLUE)},
        [*(("ce1", "pe1:red"), ("ce1", "pe1:blue"), ("ce2", "pe2:red"), ("ce3", "pe2:blue")),
         *(("h1", "ce1"), ("h2", "ce2"), ("h3", "ce3"))],
    ),
    _lab(
        "targets-of-one-side",
        "host h1 h2 h3",
        {"pe1": (_vrf("tap", "65000:1", "65000:9"), _RED), "pe2": (_RED,)},
        [("h1", "pe1:tap"), ("h2", "pe2:red"), ("h3", "pe1:red")],
    ),
    replace(
        _lab("an-lsp-of-one-side", "host h1 h2", {"pe1": (), "pe2": ()}, [("h1", "pe1"), ("h2", "pe2")]),
        lsps=(Lsp(("pe1", "p", "pe2"), fec=("172.16.0.2/31",)),),
    ),
    _lab(
        "a-host-between",
        "ce ce1 ce2, host h1 h2 between behind",
        {"pe1": (_RED,), "pe2": (_RED,)},
        [("ce1", "pe1:red"), ("ce2", "pe2:red"), ("h1", "ce1"), ("between", "ce1"), ("between", "behind"),
         ("h2", "ce2")],
    ),
    _with_loopbacks(
        _lab(
            "loopbacks-of-customers",
            "ce ce1 ce2 ce3, host h1 h2 h3",
            {"pe1": (_RED,), "pe2": (_RED,)},
            [("ce1", "pe1:red"), ("ce2", "pe2:red"), ("ce3", "ce2"), ("h1", "ce1"), ("h2", "ce2"), ("h3", "ce3")],
        ),
        ce1="172.31.0.1/32", ce2="172.31.0.2/32", ce3="172.31.0.3/32", h3="172.31.1.1/32",
    ),
)  # fmt: skip
"""Two PEs for one CE; sites that reach a hub but not each other; customers without a VPN, joined at one router only; a
site that two VPNs share; ways there without ways back, by route targets and by an LSP; a host with two links; CEs and a
host that are called by their loopbacks, between two of which a tunnel runs."""
