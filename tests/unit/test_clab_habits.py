"""What people write into Containerlab topologies in their own ways, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnmpls import run
from mnmpls.cli import main
from mnmpls.errors import LabError
from mnmpls.export.containerlab import containerlab
from mnmpls.model import Lab, OwnConfig
from mnmpls.plan import complete, records
from mnmpls.plan.foreign import stood_in_for
from mnmpls.sources import data, from_data, load
from mnmpls.sources.clab_habits import again, told_addresses
from mnmpls.sources.to_yaml import to_yaml
from mnmpls.state import Sysctl

ZEBRA = """hostname r1
no ipv6 forwarding
interface eth1
 ip address 10.0.0.1/24
interface lo
 ip address 10.1.1.1/32
router ospf
 network 10.0.0.0/24 area 0
"""
BOUND = """
name: bound
topology:
  defaults: {kind: linux, image: mnmpls}
  groups:
    ce: {binds: ["__clabNodeName__/daemons:/etc/frr/daemons", "./__clabNodeName__/frr.conf:/etc/frr/frr.conf:ro"]}
  nodes:
    r1: {group: ce}
    r2: {labels: {mnmpls.role: ce}, binds: ["r2:/etc/frr/"]}
    r3: {labels: {mnmpls.role: ce}, binds: ["r3:/etc/frr"]}
    r4: {labels: {mnmpls.role: ce}, binds: ["r4.conf:/etc/bird/bird.conf", "r4:/etc/frr", "gone:/etc/frr"]}
    r5: {group: ce, config: {vars: {frr: r2/frr.conf}}}
    r6: {image: "frrouting/frr:v8", binds: ["r1/frr.conf:/etc/frr/frr.conf"]}
  links: [{endpoints: ["r1:eth1", "r2:eth1"]}]
"""


def read(folder: Path, text: str) -> Lab:
    path = folder / "x.clab.yml"
    path.write_text(text, encoding="utf-8")
    return load(str(path))


def test_configurations_that_are_bound_are_the_nodes_own(tmp_path: Path) -> None:
    """A file or a folder of files where FRR or BIRD looks for it, inherited too; what the node's own words name counts
    more, and of other images nothing is read. What the file says of addresses and forwarding is planned."""
    files = {"r1/frr.conf": ZEBRA, "r1/daemons": "bgpd=yes\n", "r2/frr.conf": "! r2\n", "r3/zebra.conf": "! z\n",
             "r3/ospfd.conf": "! o\n", "r3/vtysh.conf": "!\n", "r4.conf": "# bird\n", "r4/daemons": "\n"}  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    lab = read(tmp_path, BOUND)
    assert {node.name: node.own for node in lab.nodes} == {
        "r1": (OwnConfig("frr", ZEBRA),), "r2": (OwnConfig("frr", "! r2\n"),),
        "r3": (OwnConfig("zebra", "! z\n"), OwnConfig("ospfd", "! o\n")), "r4": (OwnConfig("bird", "# bird\n"),),
        "r5": (OwnConfig("frr", "! r2\n"),), "r6": (),
    }  # fmt: skip
    done = complete(lab)
    assert done.links[0].a.addresses == ("10.0.0.1/24",) and done.node("r1").loopbacks == ("10.1.1.1/32",)
    kernels = records(done)
    assert Sysctl("net.ipv6.conf.all.forwarding", "0") in kernels["r1"]
    assert Sysctl("net.ipv6.conf.all.forwarding", "1") in kernels["r2"]
    (tmp_path / "r1/frr.conf").unlink()
    with pytest.raises(LabError, match=r"x.clab.yml:6: nodes.r1.frr: cannot read .*r1/frr.conf: No such file"):
        complete(load(str(tmp_path / "x.clab.yml")))


LINES = [
    ("ip addr add 10.0.0.1/24 dev eth1", [("eth1", "10.0.0.1/24")], "ip addr replace 10.0.0.1/24 dev eth1"),
    ("ip -6 a add dev eth1 2001:db8::1/64", [("eth1", "2001:db8::1/64")], "ip -6 a replace dev eth1 2001:db8::1/64"),
    ("ip link set eth1 up", [], "ip link set eth1 up"),
    ("ip address add $ADDRESS dev eth1", [], "ip address add $ADDRESS dev eth1"),
    ("sh -c 'ip a a 10.0.0.1/24 dev e1 && ip r add default via 10.0.0.2'", [("e1", "10.0.0.1/24")],
     "sh -c 'ip a replace 10.0.0.1/24 dev e1 && ip r replace default via 10.0.0.2 proto 201'"),
    ("ip route add 10.0.0.0/8 via 10.1.0.1 dev eth1", [], "ip route add 10.0.0.0/8 via 10.1.0.1 dev eth1"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "told", "becomes"), LINES, ids=[line for line, *_ in LINES])
def test_addresses_in_command_lines(line: str, told: list[tuple[str, str]], becomes: str) -> None:
    """They are read as ip(8) takes them, and the line may be run where they are."""
    assert [*told_addresses(line)] == told and again(line) == becomes
    assert [*told_addresses(becomes)] == told


BY_LINES = """
name: lines
topology:
  nodes:
    r:
      kind: linux
      image: mnmpls
      group: ce
      exec:
        - echo __clabNodeName__ of __clabLabName__
        - ip addr add 10.3.3.3/32 dev lo
        - ip addr add 10.4.0.1/16 dev lo
    h1:
      kind: linux
      image: alpine:3
      exec:
        - ip addr add 10.0.1.2/24 dev eth1
        - |
          sh -c 'ip route add default via 10.0.1.7
          echo "ready"'
    h2: {kind: linux, image: alpine:3, exec: [ip addr add 10.0.9.2/24 dev eth1.7, ip route add default via 10.0.9.1]}
  links:
    - {endpoints: ["r:eth1", "h1:eth1"]}
    - {endpoints: ["r:eth2", "h2:eth1"], ipv4: ["", 10.0.2.2/24]}
"""


def test_addresses_in_command_lines_are_planned_with(tmp_path: Path) -> None:
    """Neighbours get theirs in the same subnets; the link's own word counts more. A gateway counts where it is near. A
    script of several lines stays one, in a lab file and in a topology."""
    lab = read(tmp_path, BY_LINES)
    done = complete(lab)
    assert [port.addresses for link in lab.links for port in link.ports] == [
        None, ("10.0.1.2/24",), None, ("10.0.2.2/24",),
    ]  # fmt: skip
    assert done.links[0].a.addresses == ("10.0.1.254/24",) and lab.node("r").loopbacks == ("10.3.3.3/32",)
    assert lab.node("h1").gateway == "10.0.1.7" and lab.node("h2").gateway == ""
    assert lab.node("r").exec[0] == "echo r of lines"
    script = lab.node("h1").exec[1]
    assert script == "sh -c 'ip route replace default via 10.0.1.7 proto 201\necho \"ready\"'"
    assert from_data(data(lab)) == lab
    (tmp_path / "again.yml").write_text(to_yaml(lab))
    assert load(str(tmp_path / "again.yml")) == lab
    assert script in read(tmp_path, containerlab(lab)).node("h1").exec


FOREIGN = """
name: foreign
topology:
  groups: {router: {kind: linux, image: "frrouting/frr:v8"}}
  nodes:
    r1: {group: router}
    r2: {group: router}
    s: {kind: nokia_srlinux, image: srlinux}
    pe: {kind: linux, image: mnmpls, group: pe}
    a-host-with-a-long-name: {kind: linux, image: "alpine:3"}
    e: {kind: linux, image: mnmpls, group: host, network-mode: none}
  links:
    - {endpoints: ["r1:eth1", "r2:eth1"]}
    - {endpoints: ["r1:eth2", "pe:eth1"]}
    - {endpoints: ["r2:eth2", "s:ethernet-1/49"]}
    - {endpoints: ["pe:eth2", "a-host-with-a-long-name:eth1"]}
    - {endpoints: ["pe:eth3", "e:eth0"]}
"""


def test_nodes_that_only_containers_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without containers a host of ours stands for one that is at an edge, and for what is said to be something; others
    are refused. Nobody makes up addresses of theirs. Their kinds' names of ports are known."""
    lab = read(tmp_path, FOREIGN)
    done = complete(lab)
    ports = {(port.node, port.name): port.addresses for link in done.links for port in link.ports}
    assert ports["s", "e1-49"] == ports["r1", "eth1"] == ports["r2", "eth2"] == ()
    assert ports["pe", "eth2"] and ports["a-host-with-a-long-name", "eth1"] and ports["e", "eth0"]
    refused = r"x.clab.yml:6: nodes.r1: r1, r2: image frrouting/frr:v8 runs in containers only: `mnmpls up --runtime"
    with pytest.raises(LabError, match=refused) as caught:
        stood_in_for(done)
    assert "8: nodes.s: s: kind nokia_srlinux runs in containers only: `containerlab deploy`" in str(caught.value)
    with pytest.raises(LabError, match=refused):
        run(lab)
    assert main(["up", str(tmp_path / "x.clab.yml")]) == 2
    assert "r1, r2: image frrouting/frr:v8 runs in containers only" in capsys.readouterr().err
    told = FOREIGN.replace("{group: router}", "{group: router, labels: {mnmpls.role: ce}}").replace(
        "s: {", "s: {group: host, "
    )
    assert stood_in_for(read(tmp_path, told)) == (
        "nodes of ours stand for r1, r2 (image frrouting/frr:v8), s (kind nokia_srlinux), "
        "a-host-with-a-long-name (image alpine:3); "
        "what they are runs in containers only: `containerlab deploy`"
    )
    assert stood_in_for(from_data({"nodes": {"h": "host"}})) == ""


def test_template_is_refused(tmp_path: Path) -> None:
    """It is none of YAML, or would be read as it is meant for somebody else."""
    for text in ("{{ range seq 3 }}\n", "  nodes: {a: {kind: linux, image: '{{ .image }}'}}\n"):
        with pytest.raises(LabError, match=r"x.clab.yml:2: this is a template, which containerlab fills in"):
            read(tmp_path, f"topology:\n{text}")
