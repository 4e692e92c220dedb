"""Labs for laws: any that a lab file can say, sensible or not."""

from __future__ import annotations

from hypothesis import strategies as st

from mnmpls.model import (
    POPS,
    ROLES,
    Dummy,
    Evpn,
    Igp,
    Impairment,
    Lab,
    Labels,
    Link,
    Lsp,
    Node,
    OwnConfig,
    PolicyRule,
    Port,
    StaticRoute,
    Vpn,
    Vrf,
)

_NAMES = ["a", "b-1", "pe1", "node", "ip", "mac", "none", "null", "~", "0x1", "1_0", "no"]
NAME = st.sampled_from(_NAMES)
WORD = st.sampled_from([*_NAMES, "10.0.0.1/30", "2001:db8::1/64", "65000:1", "1.2.3.4:5", "12:30:45", "a b", "#'"])
NUMBER = st.integers(-5, 2**32)
WORDS = st.lists(WORD, max_size=3).map(tuple)
NUMBERS = st.lists(NUMBER, max_size=3).map(tuple)


def _maybe(words: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.just("") | words


def _optional(words: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | words


VRF = st.builds(Vrf, NAME, st.none() | NUMBER, _optional(WORD), WORDS, WORDS, WORDS, st.none() | NUMBER)
LABEL = st.none() | NUMBER
SETTINGS = (_maybe(WORD), *[st.none() | NUMBER] * 3, st.none() | st.booleans())
NO_IGP = st.just(Igp("none"))
ROUTE = st.builds(StaticRoute, WORD, _maybe(WORD), _maybe(NAME), NUMBERS, _optional(NAME), LABEL, _maybe(WORD))
SYSCTLS = st.dictionaries(WORD, WORD, max_size=3).map(lambda found: tuple(found.items()))
RULE = st.builds(PolicyRule, NUMBER, NUMBER, _maybe(WORD), _maybe(NAME), st.none() | NUMBER)
DUMMY = st.builds(Dummy, NAME, WORDS, _optional(NAME), st.none() | NUMBER)
TEXT = st.lists(WORD, min_size=1, max_size=3).map(lambda lines: "".join(f"{line}\n" for line in lines))
ONE = st.builds(OwnConfig, st.sampled_from(["frr", "bird", "ospfd", "swanctl"]), TEXT)
OWN = st.tuples() | st.tuples(ONE) | st.tuples(
    st.builds(OwnConfig, st.just("zebra"), TEXT), st.builds(OwnConfig, st.just("bgpd"), TEXT),
    st.builds(OwnConfig, st.just("bird"), TEXT),
)  # fmt: skip
NODE = st.builds(
    Node,
    NAME,
    st.sampled_from(ROLES) | WORD,
    WORDS | st.just(("none",)),
    st.lists(VRF, max_size=3, unique_by=lambda vrf: vrf.name).map(tuple),
    st.lists(ROUTE, max_size=2).map(tuple),
    SYSCTLS,
    _maybe(WORD),
    WORDS,
    _maybe(WORD),
    WORDS,
    WORDS,
    st.lists(RULE, max_size=2).map(tuple),
    st.lists(DUMMY, max_size=2, unique_by=lambda dummy: dummy.name).map(tuple),
    NO_IGP | st.builds(Igp, st.just(""), *SETTINGS[:2]),
    own=OWN,
    daemon=st.sampled_from(["", "frr", "bird", "x"]),
)
ADDRESSES = st.none() | WORDS.filter(lambda words: words != ("none",))
IMPAIRMENT = st.builds(Impairment, *[st.none() | st.integers(0, 10**9)] * 5)
PORT = st.builds(
    Port,
    *(NAME, _maybe(NAME), ADDRESSES, _optional(NAME), st.none() | NUMBER, _optional(WORD), IMPAIRMENT, _optional(NAME)),
)
EVPN = st.builds(Evpn, NAME, st.none() | NUMBER, WORDS, WORDS, st.none() | NUMBER, _optional(WORD), WORDS)
LINK = st.builds(
    Link,
    *(PORT, PORT, st.just("veth") | WORD, _maybe(NAME), WORDS),
    *[st.none() | NUMBER] * 4,
    *(NUMBERS, st.booleans(), NO_IGP | st.builds(Igp, st.just(""), *SETTINGS)),
)
LSP = st.builds(
    Lsp, WORDS, NUMBERS, _maybe(WORD), _maybe(NAME), _maybe(NAME), WORDS, st.sampled_from(POPS) | WORD, _maybe(WORD)
)
LABS = st.builds(
    Lab,
    WORD,
    st.lists(NODE, max_size=4, unique_by=lambda node: node.name).map(tuple),
    st.lists(LINK, max_size=4).map(tuple),
    st.lists(LSP, max_size=2).map(tuple),
    st.none() | NUMBER,
    _maybe(WORD),
    st.builds(Igp, WORD, *SETTINGS),
    st.builds(Labels, WORD),
    st.builds(Vpn, WORD),
    st.lists(EVPN, max_size=2, unique_by=lambda evpn: evpn.name).map(tuple),
)
