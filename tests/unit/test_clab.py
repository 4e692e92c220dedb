"""Containerlab topologies and clabernetes' manifests: read, written, and read back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mnmpls.cli import main
from mnmpls.errors import LabError
from mnmpls.export.clab_hosts import Host, clab_hosts
from mnmpls.export.clabernetes import UNDERLAY_BYTES, clabernetes
from mnmpls.export.containerlab import containerlab, planned
from mnmpls.model import Lab
from mnmpls.plan import complete, records
from mnmpls.sources import from_data, load
from mnmpls.sources.variables import expanded
from tests import absent

ROOT = Path(__file__).resolve().parents[2]
TOPOS = sorted((ROOT / "topos").glob("*.yml"))
DROPPED = {"groups", "stages", "privileged", "cap-add", "restart-policy", "hostname", "tmpfs", "devices", "mtu", "vars"}
"""By clabernetes' parser, without a word."""


def without_unicode_classes(schema: Any) -> Any:
    r"""Python's re has no ``\p{L}``."""
    if isinstance(schema, dict):
        kept = {key: each for key, each in schema.items() if key != "pattern" or r"\p{" not in str(each)}
        return {key: without_unicode_classes(each) for key, each in kept.items()}
    return [without_unicode_classes(each) for each in schema] if isinstance(schema, list) else schema


def read(folder: Path, text: str, name: str = "x.clab.yml") -> Lab:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return load(str(path))


@pytest.mark.parametrize("path", TOPOS, ids=lambda path: path.stem)
def test_topos_survive_containerlab(tmp_path: Path, path: Path) -> None:
    """What is written reads back as a lab with the same records, and is written the same again."""
    lab = load(str(path))
    text = containerlab(lab)
    back = read(tmp_path, text)
    assert records(complete(back)) == records(planned(lab))
    assert containerlab(back) == text


@pytest.mark.parametrize("path", TOPOS, ids=lambda path: path.stem)
def test_generated_topologies_are_current(path: Path) -> None:
    """``clab/`` holds what ``mnmpls export containerlab`` makes of ``topos/``. MNMPLS_REWRITE=1 rewrites it."""
    kept = ROOT / "clab" / path.stem / f"{path.stem}.clab.yml"
    text = containerlab(load(str(path)))
    if os.environ.get("MNMPLS_REWRITE"):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, encoding="utf-8")
    assert kept.read_text(encoding="utf-8") == text


def test_no_generated_topology_is_left_over() -> None:
    """Each folder of ``clab/`` is of a lab that is still there."""
    assert {path.name for path in (ROOT / "clab").iterdir()} == {path.stem for path in TOPOS}


@pytest.mark.parametrize("path", TOPOS, ids=lambda path: path.stem)
def test_containerlab_takes_what_is_written(path: Path) -> None:
    """By Containerlab's own JSON schema, which knows no key but its own; for one host and for two."""
    validator = jsonschema.Draft7Validator(without_unicode_classes(yaml.safe_load(absent.schema("clab.schema.json"))))
    lab = load(str(path))
    names = [node.name for node in lab.nodes]
    hosts = [Host("left", "192.0.2.1", tuple(names[::2])), Host("right", "2001:db8::2", tuple(names[1::2]))]
    each = {path: text for path, text in clab_hosts(lab, hosts).items() if path.endswith(".clab.yml")}
    assert len(each) == 2
    for text in (containerlab(lab), *each.values()):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
    assert list(validator.iter_errors({"name": "x", "topology": {"nodes": {"a": {"knid": "linux"}}}})) != []


def crd(name: str) -> Any:
    """What it takes: no key but those that it names, and what has a default may be left out."""

    def strict(schema: Any) -> Any:
        if not isinstance(schema, dict):
            return schema
        found = {key: strict(each) for key, each in schema.items()}
        if isinstance(properties := found.get("properties"), dict) and isinstance(found.get("type"), str):
            found["properties"] = {key: strict(each) for key, each in properties.items()}
            found.setdefault("additionalProperties", False)
            found["required"] = [key for key in found.get("required", ()) if "default" not in properties[key]]
        return found

    (version,) = yaml.safe_load(absent.schema(name))["spec"]["versions"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft7Validator(schema)


def test_clabernetes_takes_what_is_written_and_drops_nothing() -> None:
    """By its CRD; and what its own parser would drop without a word is not there. The file that each node plans by is
    the whole topology, at the path that the node binds."""
    validator = crd("clabernetes.containerlab.dev_topologies.yaml")
    for path in TOPOS:
        lab = load(str(path))
        if any(node.name != node.name.lower() for node in lab.nodes):
            with pytest.raises(LabError, match="a name in Kubernetes is of lower-case letters"):
                clabernetes(lab)
            continue
        config_map, topology = yaml.safe_load_all(clabernetes(lab))
        assert [error.message for error in validator.iter_errors(topology)] == []
        ((file, text),) = config_map["data"].items()
        assert text == containerlab(planned(lab, 1400))
        inner = yaml.safe_load(topology["spec"]["definition"]["containerlab"])["topology"]
        assert not DROPPED & {*inner, *(key for node in inner["nodes"].values() for key in node)}
        assert all(set(link) == {"endpoints"} for link in inner["links"])
        files = topology["spec"]["deployment"]["filesFromConfigMap"]
        for name, node in inner["nodes"].items():
            assert node["binds"] == [f"{file}:/etc/mnmpls/lab.clab.yml:ro"]
            (bound,) = files[name]
            assert (bound["filePath"], bound["configMapName"]) == (file, config_map["metadata"]["name"])
    wrong = {"spec": {"definition": {"containerlab": ""}, "deployments": {}}}
    assert list(validator.iter_errors(wrong)) != []


BY_HAND = """
name: byhand
topology:
  kinds:
    linux: {image: "mnmpls:1", sysctls: {net.ipv4.conf.all.log_martians: 1}}
  groups:
    pe: {labels: {graph-icon: router}, config: {vars: {vrfs: {red: {rd: "65000:1", interfaces: [eth2]}}}}}
    edge: {config: {vars: {mnmpls: {role: ce}}}, exec: [ip -br link]}
  nodes:
    pe1: {kind: linux, group: pe}
    pe2: {kind: linux, group: pe, config: {vars: {loopback: 10.9.9.9/32, colour: blue}}}
    p1: {kind: linux, labels: {mnmpls.role: p}}
    ce1: {kind: linux, group: edge, exec: [ip -br addr]}
    ce2: {kind: linux, group: edge, stages: {configure: {exec: {on-exit: [ip route]}}}}
    h1: {kind: linux, group: host, stages: {healthy: {exec: [{command: id, target: host, phase: on-exit}]}}}
  links:
    - endpoints: [pe1:eth1, p1:eth1]
      ipv4: [10.0.1.1/30, 10.0.1.2/30]
      mtu: 1600
      vars: {delay: 10ms, mpls: {ldp: true}}
    - {endpoints: [pe2:eth1, p1:eth2], vars: {b: {loss: 1}}}
    - endpoints: [pe1:eth2, ce1:eth1]
      ipv4: [192.168.1.1/24, ""]
      ipv6: ["2001:db8:1::1/64", ""]
    - type: veth
      endpoints:
        - {node: pe2, interface: eth2, ipv4: 192.168.2.1/24, mac: "aa:c1:ab:00:00:01"}
        - {node: ce2, interface: eth1, vars: {ip: 192.168.2.9/24}}
    - endpoints: ["ce1:eth2", "h1:eth1"]
    - endpoints: ["p1:eth7", "host:p1-eth7"]
    - {type: mgmt-net, endpoint: {node: p1, interface: eth8}, host-interface: p1-mgmt}
    - {type: dummy, endpoint: {node: ce2, interface: dum0, ipv4: 10.77.0.1/24}}
    - {type: dummy, endpoint: {node: ce2, interface: dum1}}
"""


def test_topology_that_a_person_wrote(tmp_path: Path) -> None:
    """Groups, kinds and defaults are inherited; roles come from group, label or variables; addresses from brief and
    extended links; VRFs by interface; what leads out of the lab and other people's variables are left alone."""
    lab = read(tmp_path, BY_HAND, "odd-name.yaml")
    assert lab.faults == ()
    assert {node.name: node.role for node in lab.nodes} == {
        "pe1": "pe", "pe2": "pe", "p1": "p", "ce1": "ce", "ce2": "ce", "h1": "host",
    }  # fmt: skip
    assert lab.node("pe2").loopbacks == ("10.9.9.9/32",)
    assert lab.node("ce1").exec == ("ip -br link", "ip -br addr")
    assert lab.node("ce2").exec == ("ip -br link", "ip route")
    assert lab.node("h1").exec == ()
    assert dict(lab.node("h1").sysctls) == {"net.ipv4.conf.all.log_martians": "1"}
    ports = {(port.node, port.name): port for link in lab.links for port in link.ports}
    assert {key for key, port in ports.items() if port.vrf == "red"} == {("pe1", "eth2"), ("pe2", "eth2")}
    assert ports["pe1", "eth1"].addresses == ("10.0.1.1/30",) and ports["pe1", "eth1"].mtu_bytes == 1600
    assert ports["p1", "eth1"].impairment.delay_us == 10_000 and ports["p1", "eth2"].impairment.loss_ppm == 10_000
    assert ports["pe1", "eth2"].addresses == ("192.168.1.1/24", "2001:db8:1::1/64")
    assert ports["ce1", "eth1"].addresses is None
    assert ports["pe2", "eth2"].mac == "aa:c1:ab:00:00:01" and ports["ce2", "eth1"].addresses == ("192.168.2.9/24",)
    assert ("p1", "eth7") not in ports and ("p1", "eth8") not in ports
    assert [(dummy.name, dummy.addresses) for dummy in lab.node("ce2").dummies] == [
        ("dum0", ("10.77.0.1/24",)), ("dum1", ()),
    ]  # fmt: skip
    assert records(complete(lab)).keys() == {node.name for node in lab.nodes}


VARIABLES = {"A": "one", "EMPTY": "", "N1": "x"}
PUT_IN = [
    ("$A ${A} ${N1}", "one one x"),
    ("$B ${B} ${EMPTY}", "$B $B $EMPTY"),
    ("${B:=two} ${B:-two} ${EMPTY:=two} ${A:=two}", "two two two one"),
    ("${B=two} ${EMPTY-two} ${A=two}", "two $EMPTY one"),
    ("${A:+set} ${B:+set}. ${EMPTY+set}", "set . set"),
    ("${B:=$A} ${B:=$C} ${B:=10.0.0.1/24, x}", "one $C 10.0.0.1/24, x"),
    ("$$A $1 ${1} 100$ $", "$A $1 ${1} 100$ $"),
]


@pytest.mark.parametrize(("given", "becomes"), PUT_IN)
def test_variables_of_the_environment(given: str, becomes: str) -> None:
    """As Containerlab puts them in (hellt/envsubst, without digits and without replacing what is not set), in its
    topologies only."""
    assert expanded("x", f"topology:\n  {given}\n", VARIABLES) == f"topology:\n  {becomes}\n"
    assert expanded("x", f"nodes:\n  {given}\n", VARIABLES) == f"nodes:\n  {given}\n"


def test_variable_that_does_not_end(tmp_path: Path) -> None:
    """It has its line."""
    with pytest.raises(LabError, match=r"x.clab.yml:4: \${A has no closing brace"):
        read(tmp_path, "name: x\ntopology:\n  defaults:\n    image: ${A\n  nodes: {}\n")


def test_dollar_signs_survive(tmp_path: Path) -> None:
    """What is exported has no variables, whatever is set where it is deployed."""
    lab = from_data({"name": "x", "nodes": {"a": {"role": "host", "exec": ["sh -c 'echo $HOME $$'"]}}})
    text = containerlab(lab)
    assert "$$HOME $$$$" in text
    assert read(tmp_path, text).node("a").exec == ("sh -c 'echo $HOME $$'",)


def test_nodes_of_other_images_and_kinds(tmp_path: Path) -> None:
    """They need no role: they are hosts, unless it is said what else."""
    nodes = {"pe1": {"group": "pe", "image": "registry.example/us/mnmpls:9"}, "a": {"image": "alpine:3"},
             "b": {"kind": "nokia_srlinux"}, "c": {"image": "frr", "labels": {"mnmpls.role": "ce"}}}  # fmt: skip
    lab = read(tmp_path, yaml.safe_dump({"name": "x", "topology": {"defaults": {"image": "mnmpls"}, "nodes": nodes}}))
    assert lab.faults == ()
    assert {node.name: node.role for node in lab.nodes} == {"pe1": "pe", "a": "host", "b": "host", "c": "ce"}


def test_eth0_is_left_to_containerlab(tmp_path: Path) -> None:
    """A port of that name gets another, in its node's routes, rules and settings as well."""
    lab = from_data({
        "name": "zero",
        "nodes": {
            "h1": {"role": "ce",
                   "routes": [{"dst": "10.9.0.0/24", "port": "eth0"},
                              {"dst": "10.8.0.0/24", "port": "eth1", "table": 100}],
                   "sysctls": {"net.ipv4.conf.eth0.log_martians": "1"},
                   "rules": [{"iif": "eth0", "table": 100, "priority": 2000}]},
            "h2": "ce", "h3": "ce",
        },
        "links": [[{"h1": {"port": "eth0"}}, "h2"], [{"h1": {"port": "eth1"}}, "h3"]],
    })  # fmt: skip
    text = containerlab(lab)
    assert "eth0" not in text
    back = read(tmp_path, text)
    assert [route.port for route in back.node("h1").routes] == ["eth2", "eth1"]
    assert ("net.ipv4.conf.eth2.log_martians", "1") in back.node("h1").sysctls
    assert [rule.iif for rule in back.node("h1").rules] == ["eth2"]


def test_hosts_share_a_lab() -> None:
    """A wire within a host stays one, a wire between two becomes both ends of one VXLAN, whose MTU the plan keeps to;
    the whole lab lies beside each topology."""
    lab = load(str(ROOT / "topos" / "ldp_l3vpn.yml"))
    left = Host("left", "192.0.2.1", ("p", "pe1", "red1", "blue1", "rh1", "bh1"))
    right = Host("right", "192.0.2.2", ("pe2", "red2", "blue2", "rh2", "bh2"))
    found = clab_hosts(lab, (left, right))
    trees = [yaml.safe_load(found[f"{host}/ldp_l3vpn.clab.yml"])["topology"]["links"] for host in ("left", "right")]
    assert [len(each) for each in trees] == [6, 5]
    (one,), (other,) = ([link for link in each if link.get("type") == "vxlan"] for each in trees)
    assert (one["endpoint"], one["remote"]) == ({"node": "p", "interface": "eth2"}, "192.0.2.2")
    assert (other["endpoint"], other["remote"]) == ({"node": "pe2", "interface": "eth1"}, "192.0.2.1")
    assert one["vni"] == other["vni"] and one["mtu"] == other["mtu"] == 1450
    assert {link["mtu"] for each in trees for link in each} == {1450, 1442}  # which two labels make 1450
    assert found["left/lab.yml"] == found["right/lab.yml"]
    with pytest.raises(LabError, match=r"nodes\.bh2: on which host is it"):
        clab_hosts(lab, (left, replace(right, nodes=right.nodes[:-1])))
    with pytest.raises(LabError, match="pe1 is on left already"):
        clab_hosts(lab, (left, replace(right, nodes=(*right.nodes, "pe1"))))


def mtus(text: str) -> dict[str, int]:
    """Of a topology's wires, by their ends."""
    return {" ".join(link["endpoints"]): link["mtu"] for link in yaml.safe_load(text)["topology"]["links"]}


@pytest.mark.parametrize(
    ("topo", "kinds"), [("l3vpn", {1400, 1396}), ("ldp_l3vpn", {1400, 1392}), ("evpn", {1400, 1350})]
)
def test_wires_between_pods_have_room_for_vxlan(topo: str, kinds: set[int]) -> None:
    """Those that labels travel by are as wide as VXLAN leaves it, all others by the labels narrower: what a customer's
    port takes gets through. A network beneath that takes more leaves the lab as it is anywhere else."""
    lab = load(str(ROOT / "topos" / f"{topo}.yml"))

    def between_pods(underlay_bytes: int = UNDERLAY_BYTES) -> dict[str, int]:
        (text,) = next(yaml.safe_load_all(clabernetes(lab, underlay_bytes=underlay_bytes)))["data"].values()
        return mtus(text)

    assert set(between_pods().values()) == kinds
    assert {each + 130 for each in between_pods(1400).values()} == {each + 80 for each in kinds}
    assert between_pods(9000) == mtus(containerlab(lab))


WIDE = """
name: wide
nodes: {a: ce, b: ce, c: ce}
links:
  - {a: a, b: b, mtu: 9000}
  - [{b: {port: eth2}}, {c: {mtu: 1451}}]
"""


def test_wire_that_is_wider_than_vxlan(tmp_path: Path) -> None:
    """It is refused with its line, where it is in VXLAN: between hosts only, or between any two pods."""
    lab = read(tmp_path, WIDE, "wide.yml")
    hosts = Host("left", "192.0.2.1", ("a", "b")), Host("right", "192.0.2.2", ("c",))
    with pytest.raises(LabError) as raised:
        clab_hosts(lab, hosts)
    (problem,) = raised.value.problems
    assert str(problem) == (
        f"{tmp_path}/wide.yml:6: links[1].b.mtu: 1451 bytes are more than VXLAN leaves of the network beneath, 1450: "
        "leave mtu out, or say by --underlay-mtu what that network takes"
    )
    found = clab_hosts(lab, hosts, underlay_bytes=1501)
    texts = (found[f"{name}/wide.clab.yml"] for name in ("left", "right"))
    (wire, end), (other,) = (yaml.safe_load(text)["topology"]["links"] for text in texts)
    assert (wire["mtu"], end["mtu"], other["mtu"]) == (9000, 1451, 1451)
    with pytest.raises(LabError, match=r"links\[0\]\.a\.mtu: 9000 bytes are more than .* 1400") as raised:
        clabernetes(lab)
    assert len(raised.value.problems) == 3
    with pytest.raises(LabError, match=r"1451 bytes .* 1430"):
        clab_hosts(lab, (hosts[0], replace(hosts[1], address="2001:db8::2")))


def test_mtu_of_the_network_beneath_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It belongs to wires in VXLAN, and is one that a network can have."""
    lab, evpn = (str(ROOT / "topos" / f"{name}.yml") for name in ("lsp", "evpn"))
    given = ["export", "clabernetes", lab, str(tmp_path), "--underlay-mtu"]
    assert main([*given, "1500"]) == 0
    (text,) = next(yaml.safe_load_all((tmp_path / "lsp.clabernetes.yml").read_text()))["data"].values()
    assert max(mtus(text).values()) == 1450
    capsys.readouterr()
    for words, said in (
        ([*given, "100"], "export: --underlay-mtu 100: give 138 to 65535 bytes"),
        ([*given[:2], evpn, *given[3:], "138"], "an MTU of 38 is not possible"),
        (["export", "containerlab", lab, str(tmp_path), "--underlay-mtu", "1500"], "give these, too, by --host"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err


def test_export_and_import_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files are written and named, never over others without --force; import prints a lab file."""
    folder = tmp_path / "made"
    topo = str(ROOT / "topos" / "lsp.yml")
    assert main(["export", "containerlab", topo, str(folder)]) == 0
    file = folder / "lsp.clab.yml"
    assert capsys.readouterr().out == f"{file}\n"
    assert main(["export", "containerlab", topo, str(folder)]) == 2
    assert "is there already; --force overwrites it" in capsys.readouterr().err
    assert main(["export", "containerlab", topo, str(folder), "--force", "--image", "mine:1"]) == 0
    assert "image: mine:1" in file.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(["import", str(file)]) == 0
    again = read(tmp_path, capsys.readouterr().out, "again.yml")
    assert records(complete(again)) == records(complete(load(str(file))))
    assert main(["export", "containerlab", topo, str(folder), "--host", "a,nowhere,b"]) == 2
    assert "write NAME,ADDRESS,NODE,NODE" in capsys.readouterr().err


def test_containers_draw_no_secrets() -> None:
    """Two that each drew one would not know each other: the lab has to give it."""
    links = [["p1", "p2"], {"a": "p1", "b": "p2", "type": "gre", "ipsec": "transport"}]
    with pytest.raises(LabError, match=r"links\[1\].ipsec: each container would draw a secret of its own"):
        containerlab(from_data({"nodes": {"p1": "p", "p2": "p"}, "links": links}))
