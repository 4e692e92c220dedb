"""Equal ways on paper: which there are in a core, and which zebra or a kernel lacks."""

from __future__ import annotations

from pathlib import Path

from mnmpls.checks.equal_ways import Known, Told, lost, shortest, untold
from mnmpls.daemons.routers import routers
from mnmpls.model import Lab
from mnmpls.plan import complete
from mnmpls.plan.ring import ring
from mnmpls.sources import from_data
from mnmpls.state import MAIN_TABLE


def square(*more: object, **given: object) -> Lab:
    nodes = dict.fromkeys(("a", "b", "c", "d"), "p")
    links = [["a", "b"], ["b", "c"], ["c", "d"], {"a": "d", "b": "a", **given}, *more]
    return complete(from_data({"igp": "ospf", "nodes": nodes, "links": links}))


def names(lab: Lab, *off: str) -> dict[tuple[str, str], dict[str, int]]:
    found = shortest(lab, frozenset(off))
    return {(name, end): dict(ports) for name, ends in found.items() for end, ports in ends.items()}


def test_which_there_are() -> None:
    """To the far corner of a square by both sides, as long as nothing is nearer, and everybody is there. Two wires to
    one neighbour are two ways, and so are two routers on one LAN."""
    assert names(square())["a", "c"] == {"a-b-eth": 1, "a-d-eth": 1} and len(names(square())) == 4
    assert names(square(igp={"metric": 11})) == {} == names(square(), "b")
    twice = names(square(["a", "b"]))
    assert len(twice["a", "b"]) == 2 and set(twice["a", "c"].values()) == {1} and len(twice["a", "c"]) == 3
    lan = {"igp": "ospf", "nodes": {**dict.fromkeys(("a", "b", "c", "d"), "p"), "lan": "bridge"},
           "links": [["a", "lan"], ["b", "lan"], ["c", "lan"], ["b", "d"], ["c", "d"]]}  # fmt: skip
    assert names(complete(from_data(lan)))["a", "d"] == {"a-eth": 2}


def test_none_through_a_router_that_wants_none() -> None:
    """BIRD where there are labels: only what is for itself goes there, by several ways too."""

    def ways(**given: object) -> dict[tuple[str, str], dict[str, int]]:
        nodes = {"a": "p", "b": {"role": "p", "daemon": "bird"}, "c": "p", "d": "p"}
        links = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "a"]]
        return names(complete(from_data({"igp": "ospf", **given, "nodes": nodes, "links": links})))

    assert set(ways()) == {("a", "c"), ("c", "a"), ("b", "d"), ("d", "b")}
    assert ways(labels="ldp") == {("d", "b"): {"d-a-eth": 1, "d-c-eth": 1}}


def test_which_nobody_can_tell(tmp_path: Path) -> None:
    """Areas come before metrics, and a configuration of the user's own may say anything."""
    assert names(square(igp={"area": 1})) == {}
    (tmp_path / "b.conf").write_text("router ospf\n", encoding="utf-8")
    twice = {"igp": "ospf", "links": [["a", "b"], ["a", "b"]]}
    own = {"role": "p", "loopback": "10.0.0.2/32", "frr": {"ospfd": str(tmp_path / "b.conf")}}
    assert names(complete(from_data({**twice, "nodes": {"a": "p", "b": "p"}})))
    assert names(complete(from_data({**twice, "nodes": {"a": "p", "b": own}}))) == {}


def test_which_zebra_was_not_told() -> None:
    """A way to the far corner's loopback that is as good as the one that zebra has; what another protocol has brought
    is no matter of the core's."""
    lab = complete(ring())
    both, core = routers(lab), shortest(lab, frozenset())["pe101"]

    def seen(protocol: str, *ports: str) -> list[str]:
        told = Told(protocol, "default", tuple(("", port) for port in ports))
        return list(untold(core, both, Known({(MAIN_TABLE, "10.10.0.3/32"): told}, {}, {}, {})))

    assert seen("ospf", "pe101-pe201-gre", "pe101-pe102-gre") == seen("bgp", "pe101-pe201-gre") == []
    assert seen("ospf", "pe101-pe201-gre") == [
        "zebra has no way to 10.10.0.3/32 of pe202 by pe101-pe102-gre, which is as good as by pe101-pe201-gre"
    ]


def test_which_a_kernel_has_not() -> None:
    """In a VRF, and at a label, of which zebra does not tell the port; single ways are the matter of others."""
    ways = (("10.0.0.1", "x"), ("10.0.0.2", "y"))
    single = Told("bgp", "default", ways[:1])
    told = {(10, "10.1.0.0/24"): Told("bgp", "red", ways), (MAIN_TABLE, "10.2.0.0/24"): single}
    label = {16: tuple((via, "") for via, _ in ways)}
    whole = Known(told, label, dict.fromkeys(told, ways), {16: ways})
    assert list(lost(whole)) == [] and whole.several == 2
    assert list(lost(Known(told, label, {(10, "10.1.0.0/24"): ways[1:]}, {16: ways[:1]}))) == [
        "the kernel sends 10.1.0.0/24 in red not by 10.0.0.1 on x, which zebra has as one of 2 equal ways",
        "the kernel sends label 16 not by 10.0.0.2, which zebra has as one of 2 equal ways",
    ]
