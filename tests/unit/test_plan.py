"""What a lab is completed to, and which records follow."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnmpls.model import Lab, Link, Node, Port, StaticRoute, Vrf
from mnmpls.plan import complete, l3vpn, problems, records
from mnmpls.sources import from_data, load
from mnmpls.state import Address, LabelRoute, NextHop, Record, Route, Sysctl
from mnmpls.state import Port as PortState

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = Path(__file__).parent / "goldens"

NODE = st.integers(1, 3)
NAME = st.from_regex("[ab1][ab1-]{0,14}", fullmatch=True)
SIZES = st.fixed_dictionaries({"customers": NODE, "sites": st.integers(1, 4), "hosts": st.integers(0, 3), "core": NODE})


def text_of(record: Record) -> str:
    """A record on one line, short enough to be read."""
    fields = [getattr(record, name) for name in record.__dataclass_fields__]
    shown = [" | ".join(map(_hop, f)) if isinstance(f, tuple) else str(f) for f in fields]
    return " ".join([type(record).__name__, *filter(None, shown)])


def _hop(hop: NextHop) -> str:
    pushed = f" labels {'/'.join(map(str, hop.labels))}" if hop.labels else ""
    return (f"via {hop.via} " if hop.via else "") + f"dev {hop.port}{pushed}"


def open_lab() -> Lab:
    return l3vpn(customers=1, sites=2, hosts=1, core=2)


@pytest.mark.parametrize(
    ("name", "node", "lab"),
    [
        ("source-pe1", "pe1", lambda: load(str(ROOT / "topos" / "l3vpn.yml"))),
        ("source-p", "p", lambda: load(str(ROOT / "topos" / "l3vpn.yml"))),
        ("source-c1e1", "c1e1", lambda: load(str(ROOT / "topos" / "l3vpn.yml"))),
        ("source-br11", "br11", lambda: load(str(ROOT / "topos" / "l3vpn.yml"))),
        ("planned-pe1", "pe1", open_lab),
        ("planned-p1", "p1", open_lab),
    ],
)
def test_records_of_a_node(name: str, node: str, lab: object) -> None:
    """A node's records are exactly those of its golden file. MNMPLS_REWRITE=1 rewrites it."""
    assert callable(lab)
    text = "".join(f"{line}\n" for line in sorted(map(text_of, records(complete(lab()))[node])))
    golden = GOLDENS / f"{name}.txt"
    if os.environ.get("MNMPLS_REWRITE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@settings(deadline=None, max_examples=40)
@given(SIZES)
def test_completing_twice_changes_nothing(sizes: dict[str, int]) -> None:
    """A completed lab is sound, stays as it is, and gives the same records each time."""
    lab = complete(l3vpn(**sizes))
    assert not problems(lab)
    assert complete(lab) == lab
    assert records(complete(lab)) == records(complete(l3vpn(**sizes)))


@settings(deadline=None, max_examples=40)
@given(st.lists(NAME, min_size=2, max_size=6, unique=True), st.integers(1, 3))
def test_planned_names_fit_and_never_collide(names: list[str], parallel: int) -> None:
    """Whatever the nodes are called, and with parallel links, every port has a name of its own of 15 bytes at most."""
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    links = tuple(Link(Port(a), Port(b)) for a, b in pairs for _ in range(parallel))
    lab = complete(Lab("names", tuple(Node(name, "p") for name in names), links))
    ports = [(port.node, port.name) for link in lab.links for port in link.ports]
    assert len(set(ports)) == len(ports)
    assert all(0 < len(name.encode()) <= 15 for _, name in ports)


def test_large_sizes_have_unique_names_and_core_addresses() -> None:
    """Twenty customers at ten sites: names fit, no provider address is given twice, customers overlap."""
    lab = complete(l3vpn(customers=20, sites=10, hosts=2, core=3))
    ports = [port for link in lab.links for port in link.ports]
    assert len({(port.node, port.name) for port in ports}) == len(ports)
    assert max(len(port.name) for port in ports) <= 15
    core = [cidr for port in ports for cidr in port.addresses or () if cidr.startswith(("10.", "172."))]
    core += [cidr for node in lab.nodes for cidr in node.loopbacks]
    assert len(set(core)) == len(core)
    lans = {c: {a for p in ports if p.node.startswith(f"c{c}h") for a in p.addresses or ()} for c in (1, 20)}
    assert lans[1] == lans[20] and len(lans[1]) == 20


def test_records_grow_with_what_shares_a_vpn_only() -> None:
    """Strangers cost nothing: a PE's records are as many with 2 customers elsewhere as with 20."""
    alone = complete(l3vpn(customers=1, sites=2, core=1))

    def with_strangers(number: int) -> int:
        extra = [Node(f"x{i}", "pe", vrfs=(Vrf(f"other{i}"),)) for i in range(40)]
        wires = [Link(Port(f"x{i}"), Port("p")) for i in range(40)]
        customers = [Node(f"y{i}", "host") for i in range(number)]
        wires += [Link(Port(f"y{i}"), Port(f"x{i}", vrf=f"other{i}")) for i in range(number)]
        lab = replace(alone, nodes=(*alone.nodes, *extra, *customers), links=(*alone.links, *wires))
        return len(records(complete(lab))["pe1"])

    assert with_strangers(2) == with_strangers(20)


def routes(found: frozenset[Record], table: int) -> dict[str, tuple[NextHop, ...]]:
    return {r.dst: r.hops for r in found if isinstance(r, Route) and r.table == table}


def test_who_forwards() -> None:
    """Routers and CEs do, a host between two networks does not: the machine's own setting is not inherited."""
    links = tuple(Link(Port(node), Port("pe")) for node in ("h", "h", "ce", "one"))
    nodes = (Node("pe", "pe"), Node("ce", "ce"), Node("h", "host"), Node("one", "host"))
    found = records(complete(Lab("who", nodes, links)))
    ours = {name: [each.value for each in of if isinstance(each, Sysctl) and each.key == "net.ipv4.ip_forward"]
            for name, of in found.items()}  # fmt: skip
    assert ours == {"pe": ["1"], "ce": ["1"], "h": ["0"], "one": []}


def test_what_the_user_gives_is_kept() -> None:
    """Names, addresses, tables, targets, MTU, gateway, sysctls and routes stand in the completed lab as given."""
    vrf = Vrf("red", 77, "65000:7", ("65000:8",), ("65000:9",))
    pe = Node("pe", "pe", ("9.9.9.9/32",), (vrf,), (StaticRoute("10.9.0.0/16", "10.1.0.2", vrf="red"),),
              (("net.ipv4.ip_forward", "0"),))  # fmt: skip
    wire = Link(Port("pe", "to-c", ("10.1.0.1/30",), "red", 9000), Port("c", "up", ("10.1.0.2/30",)))
    lab = complete(Lab("kept", (pe, Node("c", "ce", gateway="10.1.0.1")), (wire,), platform_labels=500))
    assert lab.nodes[0] == pe and lab.links[0].a == wire.a and lab.platform_labels == 500
    found = records(lab)["pe"]
    assert routes(found, 77)["10.9.0.0/16"] == (NextHop("10.1.0.2", "to-c"),)
    assert Sysctl("net.ipv4.ip_forward", "0") in found and PortState("to-c", True, 9000) in found


@pytest.mark.parametrize(
    ("highest", "size"), [(16, 10_000), (4999, 10_000), (5000, 100_000), (600_000, 1_048_575), (1_048_574, 1_048_575)]
)
def test_a_label_table_has_room_for_twice_the_labels_that_come_in(highest: int, size: int) -> None:
    """No router gets the kernel's largest table, 8 MiB each, unless a label needs it; each has room for more."""
    taken = StaticRoute("", "", "lo", label=highest)
    lab = Lab("size", (Node("p1", "p", routes=(taken,)), Node("p2", "p")), (Link(Port("p1"), Port("p2")),))
    for found in records(complete(lab)).values():
        assert Sysctl("net.mpls.platform_labels", str(size)) in found


def test_equal_paths_are_all_used() -> None:
    """Two P routers side by side: the ingress balances over both, and each pops the transport label (PHP)."""
    nodes = (Node("a", "pe", vrfs=(Vrf("v"),)), Node("b", "pe", vrfs=(Vrf("v"),)), Node("p1", "p"), Node("p2", "p"))
    links = [Link(Port(x), Port(y)) for x in "ab" for y in ("p1", "p2")]
    links += [Link(Port(f"h{x}"), Port(x, vrf="v")) for x in "ab"]
    plan = records(complete(Lab("ring", (*nodes, Node("ha", "host"), Node("hb", "host")), tuple(links))))
    far = next(r for r in plan["a"] if isinstance(r, Route) and r.table == 10 and any(h.labels for h in r.hops))
    assert [hop.port for hop in far.hops] == ["a-p1-eth", "a-p2-eth"]
    assert all(len(hop.labels) == 2 for hop in far.hops)
    for p in ("p1", "p2"):
        assert all(hop.labels == () and hop.via for r in plan[p] if isinstance(r, LabelRoute) for hop in r.hops)


def test_neighbouring_pes_push_the_vpn_label_only() -> None:
    """The penultimate hop is the ingress itself: no transport label is on the wire, and label 3 never is."""
    nodes = (Node("a", "pe", vrfs=(Vrf("v"),)), Node("b", "pe", vrfs=(Vrf("v"),)), Node("h", "host"))
    lab = complete(Lab("two", nodes, (Link(Port("a"), Port("b")), Link(Port("h"), Port("b", vrf="v")))))
    (hops,) = (hops for dst, hops in routes(records(lab)["a"], 10).items() if hops)
    assert [hop.labels for hop in hops] == [(1001,)]


def test_vrfs_of_one_pe_reach_each_other_by_target() -> None:
    """Equal targets on one PE: a plain route by the other VRF's port, without any label; the address of the PE itself
    at that port is looked up in its VRF."""
    vrfs = tuple(Vrf(name, None, None, ("1:1",), ("1:1",)) for name in ("red", "blue"))
    nodes = (Node("pe", "pe", vrfs=vrfs), Node("h1", "host"), Node("h2", "host"))
    links = (Link(Port("h1"), Port("pe", vrf="red")), Link(Port("h2"), Port("pe", vrf="blue")))
    found = records(complete(Lab("leak", nodes, links)))["pe"]
    assert routes(found, 10)["172.16.0.2/31"] == (NextHop("", "pe-h2-eth"),)
    assert routes(found, 10)["172.16.0.3/32"] == (NextHop("", "blue"),)
    assert not any(isinstance(record, LabelRoute) for record in found)


def test_ipv6_of_customers_travels_by_ipv6_next_hops() -> None:
    """IPv6 given to LANs and core: default routes, imported routes with labels, and both versions by one label."""
    v = (Vrf("v"),)
    nodes = (Node("a", "pe", vrfs=v), Node("b", "pe", vrfs=v), Node("ha", "host"), Node("hb", "host"))
    core = Link(Port("a", "", ("10.0.0.1/30", "2001:db8:f::1/64")), Port("b", "", ("10.0.0.2/30", "2001:db8:f::2/64")))
    links = [core] + [Link(Port(f"h{x}", "", (f"2001:db8:{x}::1/64", f"10.{i}.0.1/24")), Port(x, vrf="v"))
                      for i, x in enumerate("ab", 1)]  # fmt: skip
    plan = records(complete(Lab("six", nodes, tuple(links))))
    found = routes(plan["a"], 10)
    assert [hop.via for hop in found["2001:db8:b::/64"]] == ["2001:db8:f::2"]
    assert found["2001:db8:b::/64"][0].labels == found["10.2.0.0/24"][0].labels
    assert {"0.0.0.0/0", "::/0"} <= routes(plan["ha"], 254).keys()
    assert sum(isinstance(record, Address) for record in plan["ha"]) == 2


def test_rp_filter_is_always_set_and_a_vrf_miss_goes_nowhere() -> None:
    """Every forwarding node has its source check off for all, default and each port and VRF (a namespace inherits the
    host's), and every VRF has an unreachable default of both IP versions; lo is up everywhere."""
    lab = complete(l3vpn())
    for node in lab.nodes:
        found = records(lab)[node.name]
        assert PortState("lo", True, 65536) in found
        if node.role in ("p", "pe", "ce"):
            devices = {port.name for port in lab.ports(node.name)} | {vrf.name for vrf in node.vrfs}
            for name in devices | {"all", "default"}:
                assert Sysctl(f"net.ipv4.conf.{name}.rp_filter", "0") in found
        for vrf in node.vrfs:
            unreachable = {r.dst for r in found if isinstance(r, Route) and r.table == vrf.table and not r.hops}
            assert unreachable == {"0.0.0.0/0", "::/0"}


def test_source_names_are_the_planned_ones_and_lines_are_kept() -> None:
    """topos/l3vpn.yml leaves its interface names out and gets the source's; every entry knows its line."""
    lab = load(str(ROOT / "topos" / "l3vpn.yml"))
    assert {port.name for port in complete(lab).ports("pe1")} == {"pe1-p-eth", "pe1-c1e1-eth", "pe1-c2e1-eth"}
    assert [port.name for port in complete(lab).ports("br11")] == ["br11-c1e1-eth", "br11-c1h1-eth", "br11-c1h2-eth"]
    assert lab.places["nodes.pe1.vrfs.vrf-pe1-c1"] == f"{ROOT / 'topos' / 'l3vpn.yml'}:12"


def test_vpns_with_a_site_in_common_share_no_lan() -> None:
    """A CE at a VRF of each calls both: it has an address of its own in each, and routes into the one to which its
    default route does not lead. VPNs that have nothing in common number for themselves."""
    nodes = {
        "pe1": {"role": "pe", "vrfs": ["red", "blue"]}, "pe2": {"role": "pe", "vrfs": ["red", "blue", "green"]},
        **dict.fromkeys(("both", "r", "b", "g"), "ce"), **dict.fromkeys(("h1", "h2", "h3", "h4"), "host"),
    }  # fmt: skip
    ends = [("pe1", "red", "both"), ("pe1", "blue", "both"), ("pe2", "red", "r"), ("pe2", "blue", "b")]
    links = [{"a": {"node": pe, "vrf": vrf}, "b": ce} for pe, vrf, ce in [*ends, ("pe2", "green", "g")]]
    lans = [["both", "h1"], ["r", "h2"], ["b", "h3"], ["g", "h4"]]
    lab = complete(from_data({"nodes": nodes, "links": [["pe1", "pe2"], *links, *lans]}))
    subnets = [link.b.addresses for link in lab.links[-4:]]
    assert subnets == [(f"192.168.{number}.1/24",) for number in (1, 2, 3, 1)]
    mine = {one.dst: one.hops[0].port for one in records(lab)["both"] if isinstance(one, Route)}
    blue = lab.links[2].b.name
    assert (mine["192.168.3.0/24"], mine["0.0.0.0/0"]) == (blue, lab.links[1].b.name) and "192.168.2.0/24" not in mine


ROUTERS = {name: {"role": "p", "loopback": f"10.255.0.{i}/32"} for i, name in enumerate("abc", start=1)}
BENEATH: dict[str, tuple[list[object], str]] = {
    "a wire": ([{"a": "a", "b": "b", "name": "w"}, {"a": "a", "b": "b", "type": "gre", "over": "w"}], "gre"),
    "a wire beside": ([["a", "b"], {"a": "a", "b": "b", "name": "w"}, {"a": "a", "b": "b", "type": "gre", "over": "w"}],
                      "eth gre"),
    "a tunnel": ([{"a": "a", "b": "b", "name": "w"}, {"a": "a", "b": "b", "type": "gretap", "over": "w", "name": "t"},
                  {"a": "a", "b": "b", "type": "gre", "over": "t"}], "gre"),
    "a way of several wires": ([["a", "c"], ["c", "b"],
                                {"a": "a", "b": "b", "type": "gre", "over": ["10.255.0.1", "10.255.0.2"]}], "eth gre"),
    "a LAN whose nodes they all join": (
        [*([{name: f"10.9.0.{i}/24"}, "lan"] for i, name in enumerate("abc", start=1)),
         {"a": "a", "b": "b", "type": "gre", "over": ["10.9.0.1", "10.9.0.2"]},
         {"a": "b", "b": "c", "type": "gre", "over": ["10.9.0.2", "10.9.0.3"]}], "gre"),
    "a LAN that they do not all join": (
        [*([{name: f"10.9.0.{i}/24"}, "lan"] for i, name in enumerate("abc", start=1)),
         {"a": "a", "b": "b", "type": "gre", "over": ["10.9.0.1", "10.9.0.2"]}], "eth gre"),
}  # fmt: skip


@pytest.mark.parametrize("beneath", BENEATH)
def test_labels_take_tunnels_and_not_what_carries_them(beneath: str) -> None:
    """What joins just the nodes that tunnels through it join lets no labels in, nor has it room for them; any other
    link of the core does."""
    links, wanted = BENEATH[beneath]
    path = ["a", "c", "b"] if beneath.startswith("a way") else ["a", "b"]
    nodes = {**ROUTERS, "lan": "bridge"}
    lab = complete(from_data({"nodes": nodes, "links": links, "lsps": [{"path": path, "fec": "10.50.0.0/24"}]}))
    let_in = {each.key.split(".")[3] for each in records(lab)["a"] if isinstance(each, Sysctl) and ".input" in each.key}
    of = {port.name: link for link in lab.links for port in link.ports if port.node == "a"}
    assert sorted({"eth" if of[name].is_wire else of[name].type for name in let_in - {"lo"}}) == wanted.split()
    wires = [name for name, link in of.items() if link.is_wire]
    sizes = {each.name: each.mtu_bytes for each in records(lab)["a"] if isinstance(each, PortState)}
    assert all(sizes[name] == (1504 if name in let_in else 1500) for name in wires)
