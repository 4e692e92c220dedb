"""Labs of containers on this machine's own kernel, by a docker daemon of the tests' own. The lab needs no MPLS, and no
privileged containers, which not every machine can have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnmpls.containers import deploy, topology
from mnmpls.containers.daemon import connected
from mnmpls.containers.labs import PACKAGE
from mnmpls.plan import complete
from mnmpls.sources import load
from tests.boxes import ROOT, daemon, docker, good, inspected, make_image, mnmpls, said

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:distutils Version"),  # in Debian's docker SDK
]

LESS = ("setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource")
"""A daemon that cannot make privileged containers, on any machine."""
PLAIN = """
name: {name}
topology:
  defaults:
    kind: linux
    image: mnmpls
    privileged: false
    cap-add: [NET_ADMIN]
    binds: ["{file}:/etc/mnmpls/lab.clab.yml:ro"]
    env: {{WHO: all, FROM: defaults}}
  groups:
    ce: {{sysctls: {{net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 1}}, env: {{FROM: group}}, labels: {{a: b}}}}
  nodes:
    h1: {{group: host, config: {{vars: {{gateway: 192.168.1.254}}}}}}
    r: {{group: ce, env: {{HERE: __clabNodeName__}}}}
    h2: {{group: host, config: {{vars: {{gateway: 192.168.2.254}}}}}}
  links:
    - {{endpoints: [h1:eth1, r:eth1], ipv4: [192.168.1.1/24, 192.168.1.254/24]}}
    - {{endpoints: [r:eth2, h2:eth1], ipv4: [192.168.2.254/24, 192.168.2.1/24]}}
"""


@pytest.fixture(scope="module")
def dockerd() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="mnmpls-docker-") as folder, daemon(Path(folder), LESS) as address:
        make_image()
        yield address


def written(folder: Path, name: str = "plain", text: str = PLAIN) -> Path:
    file = folder / f"{name}.clab.yml"
    file.write_text(text.format(name=name, file=file.name), encoding="utf-8")
    return file


def left() -> list[str]:
    """What is there of labs: containers and names of namespaces."""
    names = [each for each in os.listdir("/run/netns") if "plain" in each] if os.path.isdir("/run/netns") else []
    return [*docker("ps", "-aq").split(), *names]


def test_lab_of_containers_from_up_to_down(dockerd: str, tmp_path: Path) -> None:
    """Names, labels, environment and rights are Containerlab's, and every verb works on it. What somebody adds as the
    runtime would, an eth0 with an address, is no drift."""
    file = written(tmp_path)
    assert "plain: 3 nodes are up" in good("up", file, "--runtime", "docker")
    try:
        told = inspected("clab-plain-r")
        assert told["Config"]["Hostname"] == "r" and os.readlink("/run/netns/clab-plain-r").endswith("/ns/net")
        labels = {"containerlab": "plain", "clab-node-name": "r", "clab-node-longname": "clab-plain-r", "a": "b",
                  "clab-node-kind": "linux", "clab-node-group": "ce", "clab-topo-file": str(file)}  # fmt: skip
        assert labels.items() <= told["Config"]["Labels"].items()
        env = {"CLAB_INTFS=2", "CLAB_LABEL_CLAB_NODE_NAME=r", "WHO=all", "FROM=group", "CLAB_LABEL_CONTAINERLAB=plain"}
        assert env <= set(told["Config"]["Env"])
        assert (told["HostConfig"]["CapAdd"], told["HostConfig"]["Privileged"]) == (["NET_ADMIN"], False)
        about = json.loads(good("list", "--json"))[-1]
        assert (about["name"], about["runtime"], about["nodes"]) == ("plain", "docker", 3)
        line = "echo $FROM; cat /proc/sys/kernel/hostname"
        assert good("exec", "plain", "r", "--", "sh", "-c", line) == "group\nr\n"
        good("exec", file, "h1", "--", "ip", "link", "add", "eth0", "type", "veth")
        good("exec", "plain", "h1", "--", "ip", "address", "add", "172.20.20.3/24", "dev", "eth0")
        assert "9 of 9 findings as intended (drift 3 of 3, reach 6 of 6)" in good("check", "plain")
        assert "h2 answers" in good("trace", "plain", "h1", "h2")
        assert "ready: " in good("logs", "plain", "r")
        good("exec", "plain", "r", "--", "ip", "address", "flush", "dev", "eth2")
        drift = mnmpls("drift", "plain")
        assert drift.returncode == 1 and "r: missing: " in drift.stdout and "eth0" not in drift.stdout
    finally:
        assert good("down", "plain") == "plain is down\n"
    assert left() == []


def test_running_lab_becomes_what_its_file_says(dockerd: str, tmp_path: Path) -> None:
    """Only the difference is made, the containers stay, and what it was before is gone; what takes another container,
    or a file that the nodes do not see, is refused with its place before anything is changed. It is the same after a
    restart."""
    file = written(tmp_path)
    good("up", file, "--runtime", "docker")
    try:
        first, text = inspected("clab-plain-h1")["State"]["Pid"], file.read_text()
        for was, now in (("group: ce,", "group: ce, user: root,"), ("h2:eth1], ipv4", "h2:eth2], ipv4")):
            file.write_text(text.replace(was, now))
            done = mnmpls("apply", "plain")
            assert done.returncode == 2 and "its container would be another (its image," in done.stderr, done
            assert f"{file}:15: nodes.r: " in done.stderr
        file.write_text(text.replace("192.168.1.1/24", "192.168.1.7/24"))
        assert good("apply", "plain") == (
            "h1: - ip address 192.168.1.1/24 dev eth1\nh1: + ip address 192.168.1.7/24 dev eth1\n"
            "h1: + ip route default via 192.168.1.254 dev eth1\nplain: as the file says\n"
        )
        assert good("apply", "plain") == "plain: nothing to do\n"
        assert "9 of 9" in good("check", "plain") and inspected("clab-plain-h1")["State"]["Pid"] == first
        docker("restart", "-t", "1", "clab-plain-h1")
        good("start", "plain", "h1")
        assert "9 of 9" in good("check", "plain")
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(file)
        assert "has a former or another file than" in mnmpls("apply", "plain").stderr
    finally:
        good("down", "plain")
    assert left() == []


def test_links_come_back(dockerd: str, tmp_path: Path) -> None:
    """A node turned off and on again, and one that docker restarted behind our back: `start` makes its links anew, and
    the nodes at both ends set themselves up again. One whose lab has become wrong meanwhile does not pass for ready."""
    file = written(tmp_path)
    good("up", file, "--runtime", "docker")
    try:
        good("stop", "plain", "r")
        assert json.loads(good("list", "--json"))[-1]["off"] == ["r"]
        assert "r: turned off" in mnmpls("drift", "plain").stdout
        assert mnmpls("exec", "plain", "r", "--", "true").stderr.startswith("mnmpls: r of lab 'plain' is turned off")
        assert good("start", "plain", "r") == "plain: r is on\n"
        assert "9 of 9" in good("check", "plain")
        docker("restart", "-t", "1", "clab-plain-r")
        assert mnmpls("drift", "plain").returncode == 1
        good("start", "plain", "r")
        assert "9 of 9" in good("check", "plain")
        file.write_text(file.read_text().replace("192.168.1.1/24", "192.168.1.1/99"))
        assert "/run/mnmpls.ready" in docker("exec", "clab-plain-h2", "sh", "-c", "echo /run/*")
        docker("restart", "-t", "1", "clab-plain-h2")
        said("clab-plain-h2", "nothing was set up")
        assert "/run/mnmpls.ready" not in docker("exec", "clab-plain-h2", "sh", "-c", "echo /run/*")
    finally:
        good("down", "plain")
    assert left() == []


def test_lab_that_somebody_else_deployed(dockerd: str, tmp_path: Path) -> None:
    """Found by the labels that Containerlab gives; its topology is read from the file that they name, where no node has
    it. Links that are not there, after `docker restart` say, are made."""
    file = written(tmp_path, "plain2")
    for node in ("h1", "r", "h2"):
        labels = {"containerlab": "plain2", "clab-node-name": node, "clab-topo-file": str(file)}
        words = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
        words += ["--no-healthcheck", "--network=none", "--cap-add=NET_ADMIN", "--sysctl=net.ipv4.ip_forward=1"]
        docker("run", "-d", "-it", "--name", f"clab-plain2-{node}", *words, "--entrypoint", "sleep", "mnmpls", "1000")
    try:
        good("start", file, "r")
        for node, address in (("h1", "192.168.1.1/24"), ("r", "192.168.1.254/24")):
            good("exec", "plain2", node, "--", "ip", "address", "add", address, "dev", "eth1")
        good("exec", "plain2", "h1", "--", "ping", "-c1", "192.168.1.254")
        assert "h2: missing" in mnmpls("drift", "plain2").stdout
    finally:
        good("down", "plain2")
    assert left() == []


_OTHER = """h2:
      image: other:1
      entrypoint: sleep 1000
      labels: {{org.opencontainers.image.title: other}}
      healthcheck: {{test: [NONE]}}
      exec: [ip address add 192.168.2.1/24 dev eth1, ip route add default via 192.168.2.254]
      startup-delay: 1
"""


def test_nodes_of_other_images(dockerd: str, tmp_path: Path) -> None:
    """They are run and not set up; who reaches whom is asked all the same. A variable of the environment is the same to
    all who read the topology, and what is not done is told."""
    docker("tag", "mnmpls", "other:1")
    before, after = PLAIN.split("h2: {{", 1)
    text = before.replace("192.168.1.254}}", "$GATE}}", 1) + _OTHER + after.split("\n", 1)[1]
    words = ("up", written(tmp_path, text=text), "--runtime", "docker", "--allow-exec")
    done = mnmpls(*words, env={"GATE": "192.168.1.254"})
    try:
        assert done.returncode == 0, done.stderr
        assert "plain.clab.yml:22: nodes.h2.startup-delay: nodes are started at once here" in done.stderr
        assert "8 of 8 findings as intended (drift 2 of 2, reach 6 of 6)" in good("check", "plain")
        docker("restart", "-t", "1", "clab-plain-h2")
        again = mnmpls("start", "plain", "h2", env={"GATE": "192.168.1.254"})
        assert again.returncode == 0 and "h2's exec: lines were not run again; " in again.stderr, again
        assert "h2: ip address " in again.stderr
    finally:
        good("down", "plain")
    assert left() == []


def made_before(image: str) -> None:
    """An image of another source."""
    docker("create", "--name", "former", "mnmpls")
    docker("cp", __file__, f"former:{PACKAGE}/more.py")
    docker("commit", "former", image)
    docker("rm", "former")


def test_who_waits_long_is_told_for_whom(dockerd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, until the last node says that it is ready: here one that becomes it when that is told. That an
    image is older than what deploys it is told at once."""
    docker("tag", "mnmpls", "other:1")
    made_before("mnmpls:former")
    monkeypatch.setattr(deploy, "_TELL_S", 0.1)
    health = "healthcheck: {{test: [CMD, test, -e, /go], interval: 1, timeout: 60}}"
    other = f"h2: {{{{group: host, image: 'other:1', entrypoint: sleep 1000, {health},"
    text = PLAIN.replace("h2: {{group: host,", other).replace("r: {{", "r: {{image: 'mnmpls:former', ")
    file = written(tmp_path, text=text)
    lab, heard = complete(load(str(file))), []

    def say(text: str) -> None:
        heard.append(text)
        if "waiting" in text:
            docker("exec", "clab-plain-h2", "sh", "-c", ">/go")

    with connected() as client:
        deploy.deploy(client, lab, topology.read(file.read_text(), lab, str(file)), {}, 600.0, say)
    good("down", "plain")
    assert heard[0].startswith("the image mnmpls:former has another version of mnmpls in it than this one"), heard
    assert "of 3 nodes are set up; waiting for " in heard[1] and "h2" in heard[1], heard
    assert left() == []


def test_daemon_without_all_rights(dockerd: str, tmp_path: Path) -> None:
    """A topology that asks for no rights in particular is made with those that there are, and one line says so: a node
    that docker can set up has the right to its network, which is enough for it."""
    rights = "    privileged: false\n    cap-add: [NET_ADMIN]\n"
    forwards = "net.ipv6.conf.all.forwarding: 1"
    paths = "net.ipv4.conf.all.rp_filter: 0, net.ipv4.conf.default.rp_filter: 0"
    text = PLAIN.replace(rights, "").replace(forwards, f"{forwards}, {paths}")
    done = mnmpls("up", written(tmp_path, text=text), "--runtime", "docker")
    try:
        assert done.returncode == 0, done.stderr
        (line,) = (line for line in done.stderr.splitlines() if "unable to apply caps" in line)
        assert "docker may not give nodes all rights here (unable to apply caps); those that need" in line
        given = inspected("clab-plain-r")["HostConfig"]
        assert not given["Privileged"] and [each.removeprefix("CAP_") for each in given["CapAdd"]] == ["NET_ADMIN"]
        assert "NOT" not in good("check", "plain")
    finally:
        good("down", "plain")
    assert left() == []


_NO_PORT = "group: pe, config: {{vars: {{vrfs: {{red: {{interfaces: [eth7]}}}}}}}}, env"
_LINK = "{{endpoints: [h1:eth1, r:eth1]"
WRONG = {
    "unknown node": ("h2:eth1", "h9:eth1", ":19: links[1].b: link r - h9: there is no node 'h9'"),
    "management's port": ("h2:eth1", "h2:eth0", ":19", "eth0 is Containerlab's own"),
    "VRF on a missing port": ("group: ce, env", _NO_PORT, ":15", "'eth7'"),
    "image": ("image: mnmpls", "image: mnmpls:none", ":6", "there is no image mnmpls:none: `make image` makes it"),
    "another's image": ("image: mnmpls", "image: x:n\n    image-pull-policy: Never", ":6", "there is no image x:n"),
    "containerlab's": ("group: ce, env", "group: ce, license: x, env", ":15", "only containerlab knows `license`"),
    "link to the host": (_LINK, f"{_LINK.replace('h1:eth1, r:eth1', 'r:eth3, host:r3')}}}}}\n    - {_LINK}", ":18",
                         "links[0]: links to host are made by"),
    "bind": ("/etc/mnmpls/lab.clab.yml:ro", '/etc/mnmpls/lab.clab.yml:ro", "none:/none', ":9", "none to bind"),
    "docker's no": ("net.ipv4.ip_forward: 1,", "net.ipv4.no_such: 1,", ":15", "no_such"),
    "daemon's rights": ("privileged: false", "privileged: true", ":14: nodes.h1: docker: ",
                        "leave `privileged: true` out"),
    "no rights": ("    cap-add: [NET_ADMIN]\n", "", "cannot be set up", "lab.clab.yml:1",
                  "it may not set up its network: give it cap-add: [NET_ADMIN]"),
    "no lab inside": ("/etc/mnmpls/lab.clab.yml", "/etc/mnmpls/lab.other", "cannot be set up", "no lab in"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_lab_is_one_clear_error_and_nothing_is_left(dockerd: str, tmp_path: Path, case: str) -> None:
    """With the place in the file, whoever finds it out: the reader, we, docker or the node itself."""
    was, is_now, *told = WRONG[case]
    assert was in PLAIN
    done = mnmpls("up", written(tmp_path, text=PLAIN.replace(was, is_now)), "--runtime", "docker")
    assert done.returncode in (1, 2) and all(each in done.stderr for each in told), done.stderr
    assert "Traceback" not in done.stderr and left() == []


def test_no_daemon_and_no_rights(dockerd: str, tmp_path: Path) -> None:
    """Each is said as what it is, with what to do, and nothing is made."""
    file = written(tmp_path)
    done = mnmpls("up", file, "--runtime", "docker", env={"DOCKER_HOST": f"unix://{tmp_path}/none"})
    none = f"no docker daemon answers at unix://{tmp_path}/none (No such file or directory); start it (systemctl"
    assert done.returncode == 1 and none in done.stderr, done.stderr
    words = [sys.executable, "-m", "mnmpls.containers.image"]  # it asks before it makes what takes minutes
    alone = {"DOCKER_HOST": f"unix://{tmp_path}/none", "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 1 and none in done.stderr, done.stderr
    assert mnmpls("up", file, "--runtime", "docker", "--netns").stderr.startswith("mnmpls: up: --netns is not for")
    folder = Path(dockerd.removeprefix("unix://")).parent
    folder.chmod(0o755)
    (folder / "socket").chmod(0o666)
    file = written(folder)
    words = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", sys.executable, "-m", "mnmpls"]
    done = subprocess.run([*words, "up", str(file), "--runtime", "docker"], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd="/", timeout=180)  # fmt: skip
    assert done.returncode == 1 and "which needs root: use sudo" in done.stderr, done.stderr
    assert left() == []
