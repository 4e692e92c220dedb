"""A Containerlab topology as the containers that are made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnmpls.containers import entry
from mnmpls.containers.far import FarNamespace
from mnmpls.containers.image import SOURCE, changes
from mnmpls.containers.topology import Box, read, unmet
from mnmpls.errors import LabError
from mnmpls.export.containerlab import planned, spelled, topology
from mnmpls.kernel import Namespace
from mnmpls.plan import complete
from mnmpls.sources import from_data, load

TEXT = """
name: small
topology:
  defaults: {kind: linux, image: one, env: {A: defaults, B: defaults, C: defaults}, binds: [".:/here:ro"], cpu: 0.5}
  kinds:
    linux: {env: {B: kind, C: kind}, image: two, cmd: "sleep 'a b'"}
  groups:
    ce: {env: {C: group}, image: three, sysctls: {net.ipv4.ip_forward: 1}, privileged: false}
  nodes:
    n1: {group: ce, image: four, env: {D: node}, binds: ["..:/__clabNodeName__"],
         healthcheck: {interval: 3, retries: 2}}
    n2: {group: host, labels: {mine: 1}, restart-policy: always}
  links:
    - endpoints: [n1:eth1, n2:eth1]
"""


def boxes(folder: Path, text: str = TEXT) -> dict[str, Box]:
    file = folder / "small.clab.yml"
    file.write_text(text, encoding="utf-8")
    return {box.node: box for box in read(text, complete(load(str(file))), str(file))}


def test_the_nearest_level_counts_maps_are_merged_and_lists_joined(tmp_path: Path) -> None:
    """Node before group before kind before defaults, as Containerlab has it."""
    n1, n2 = boxes(tmp_path).values()
    assert (n1.image, n2.image, n1.name) == ("four", "two", "clab-small-n1")
    env = n1.settings["environment"]
    assert [env[key] for key in "ABCD"] == ["defaults", "kind", "group", "node"]
    assert (env["CLAB_INTFS"], env["CLAB_LABEL_CLAB_NODE_GROUP"]) == ("1", "ce")
    assert n1.settings["volumes"] == [f"{tmp_path}:/here:ro", f"{tmp_path.parent}:/n1"]
    assert (n1.settings["privileged"], n2.settings["privileged"]) == (False, True)
    assert n1.settings["sysctls"]["net.ipv4.ip_forward"] == "1"
    assert (n1.settings["command"], n1.settings["nano_cpus"]) == (["sleep", "a b"], 500_000_000)
    assert n1.settings["healthcheck"] == {"interval": 3_000_000_000, "retries": 2}
    assert (n1.settings["restart_policy"], n2.settings["restart_policy"]) == ({"Name": "no"}, {"Name": "always"})
    assert n2.settings["labels"]["mine"] == "1"


def test_rights_where_a_daemon_may_not_give_all(tmp_path: Path) -> None:
    """A host, a CE whose settings docker makes, and a node of another image may set up their networks. Others have no
    right at all, by which they bring a kernel of their own; nobody is given less than the topology says."""
    lab = from_data({
        "name": "small", "links": [["h", "ce"], ["ce", {"pe": {"vrf": "red"}}], ["pe", "x"], ["pe", "said"]],
        "nodes": {"h": "host", "ce": "ce", "pe": {"role": "pe", "vrfs": ["red"]}, "x": "host", "said": "p"},
    })  # fmt: skip
    tree = topology(planned(lab), "mnmpls")
    tree["topology"]["nodes"]["x"]["image"] = "alpine"
    tree["topology"]["nodes"]["said"] |= {"privileged": True, "cap-add": ["SYS_ADMIN"]}
    found = boxes(tmp_path, spelled(tree))
    assert found["said"].settings["privileged"] and found["said"].fewer == {}
    fewer = {name: box.fewer for name, box in found.items() if box.fewer}
    assert not any(each["privileged"] for each in fewer.values())
    admin = ["NET_ADMIN"]
    assert {name: each["cap_add"] for name, each in fewer.items()} == {"h": admin, "ce": admin, "pe": [], "x": admin}
    assert all(each["labels"] == found[name].settings["labels"] for name, each in fewer.items())


WRITTEN = """
name: 2
topology:
  kinds: {linux: &base {image: mnmpls, group: host, cpu: 1.5, env: {A: true, B: 010, C: null}, labels: {a: 1}}}
  nodes:
    1: {kind: linux, group: host, privileged: no}
    on: {<<: *base, kind: linux, labels: {b: 2}}
    n3: {memory: 512MiB, <<: [{labels: {c: 3}}, *base], kind: linux, privileged: "true"}
"""


def test_words_are_taken_as_they_are_written(tmp_path: Path) -> None:
    """As Containerlab takes them, whatever YAML 1.1 makes of them; what `<<` takes in counts less than what is said."""
    found = boxes(tmp_path, WRITTEN)
    assert list(found) == ["1", "on", "n3"] and found["1"].name == "clab-2-1"
    assert {node: box.settings["privileged"] for node, box in found.items()} == {"1": False, "on": True, "n3": True}
    assert [found["n3"].settings["environment"][key] for key in "ABC"] == ["true", "010", ""]
    assert found["n3"].settings["mem_limit"] == "512m"
    labels = {node: sorted({*"abc"} & box.settings["labels"].keys()) for node, box in found.items()}
    assert labels == {"1": ["a"], "on": ["a", "b"], "n3": ["a", "c"]}


@pytest.mark.parametrize(
    ("prefix", "name"),
    [("x", "x-small-n1"), ("", "clab-small-n1"), ("__lab-name", "small-n1"), ('""', "n1")],
)
def test_prefix_of_the_names(tmp_path: Path, prefix: str, name: str) -> None:
    """As Containerlab's."""
    assert boxes(tmp_path, f"prefix: {prefix}\n{TEXT}")["n1"].name == name


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("cpu: 0.5", "cpu: 0.5, tmpfs: [/x]", "nodes.n1.tmpfs: only containerlab knows `tmpfs`"),
        ("image: four", "imagee: four", ":10: nodes.n1.imagee: there is no key 'imagee' here; did you mean 'image'?"),
        ("kind: linux, image", "image", ":10: nodes.n1.kind: it has no kind: write kind: linux, at the node or under"),
        ("group: host, ", "group: host, kind: srl, ", ":12: nodes.n2.kind: kind 'srl' is containerlab's to make"),
        ("group: host, ", "kind: bridge, ", "here a bridge is a linux of group bridge and image mnmpls"),
        ("{kind: linux, image: one", "{kind: ceos, ports: [1:1]", "kind 'ceos' is containerlab's to make (n1, n2): "),
        ("cmd: ", "license: a, cmd: ", ":6: nodes.n2.license: only containerlab knows `license`: leave it out, or"),
        ("cmd: ", "network-mode: host, cmd: ", "6: nodes.n2.network-mode: 'host' is containerlab's to make; here each"),
        ("sleep 'a b'", "sleep 'a b", "6: nodes.n2.cmd: \"sleep 'a b\" is no command line: no closing quotation"),
        ("cpu: 0.5", "memory: much", "nodes.n1.memory: 'much' is no size: write one such as 512MB"),
        ("cpu: 0.5", "cpu: half", "nodes.n1.cpu: 'half' is no number"),
        ("{interval: 3, retries: 2}", "{interval: 3s}", "nodes.n1.healthcheck: '3s' is no number"),
        ("{interval: 3, retries: 2}", "false", "nodes.n1.healthcheck: write it as a mapping of words"),
        ("  links:\n", "  links:\n    - endpoints: [n1:e, 'host:h']\n", ":14: topology.links[0]: links to host"),
        ("image: one, ", "image: one, image-pull-policy: Nver, ", "there is no policy 'Nver'; did you mean 'Never'?"),
        ("binds: [", "binds: [nowhere, ", "'nowhere' is no bind: write SOURCE:PATH"),
        ("env: {A: defaults, B: defaults, C: defaults}", "env: [a]", "nodes.n1.env: write it as a mapping of words"),
        ("binds: [", "binds: [{a: b}, ", "nodes.n1.binds: write it as a list of words"),
    ],
)
def test_what_is_not_made_is_refused_with_its_place(tmp_path: Path, was: str, now: str, told: str) -> None:
    """Nothing that the file asks for is left out without a word."""
    assert was in TEXT
    with pytest.raises(LabError) as error:
        boxes(tmp_path, TEXT.replace(was, now, 1))
    assert told in str(error.value) and "small.clab.yml:" in str(error.value)


def test_what_is_not_done_is_told_with_its_place(tmp_path: Path) -> None:
    """A lab that is the same without is made, and a person hears of what is not."""
    text = TEXT.replace("topology:", "mgmt: {network: mine}\ntopology:", 1)
    mistaken = "config: {vars: {route: [], theirs: 1}}"
    more = f"startup-delay: 9, ports: ['80:80'], mgmt-ipv4: 172.20.20.9, {mistaken}"
    text = text.replace("group: host, ", f"group: host, {more}, ")
    text = text.replace("cmd: ", "stages: {create: {wait-for: [{node: n2, stage: healthy}]}}, cmd: ")
    boxes(tmp_path, text)
    file = str(tmp_path / "small.clab.yml")
    told = {str(each).removeprefix(f"{file}:") for each in unmet(text, load(file), file)}
    assert told == {
        "3: mgmt: there is no management network here",
        "7: topology.kinds.linux.stages.create.wait-for: each node waits for its own links here, and for no other node",
        "13: nodes.n2.ports: there is no management network here",
        "13: nodes.n2.startup-delay: nodes are started at once here",
        "13: nodes.n2.config.vars.route: a variable that nothing here reads; did you mean 'routes'?",
        "13: nodes.n2.mgmt-ipv4: there is no management network here",
    }


def test_nodes_are_given_the_variables_of_their_topology(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They read the same file, and are to find the same in it."""
    monkeypatch.setenv("MINE", "five")
    monkeypatch.delenv("NONE", raising=False)
    one = boxes(tmp_path, TEXT.replace("image: four", "image: ${MINE}:${NONE:=6}"))["n1"]
    assert one.image == "five:6"
    assert one.settings["environment"]["MINE"] == "five" and "NONE" not in one.settings["environment"]


def test_dockerfile_says_the_same_of_a_container() -> None:
    """What runs in it, its paths, labels and health, whichever way the image is made."""
    lines = (SOURCE / "docker/Dockerfile").read_text(encoding="utf-8").splitlines()
    assert set(changes("$VERSION")) <= set(lines)


def test_node_with_a_kernel_of_its_own_is_asked_there_for_all_that_kernels_know() -> None:
    """What is not passed on would be the container's own kernel's, silently."""
    here = {"create", "open", "fd", "fresh", "entered", "add_name", "observe", "carriers", "set_dormant"}
    known = {name for name, each in vars(Namespace).items() if not name.startswith("_")}
    assert known - here - vars(FarNamespace).keys() == set()


def test_words_that_are_no_command_of_the_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said, with the status that a shell has for it."""
    assert entry.main(["no-such-command"]) == 127
    assert capsys.readouterr().err == "mnmpls: cannot run no-such-command: No such file or directory\n"
    assert entry.main([str(tmp_path)]) == 126
