"""Who makes routes and labels, as a lab file says it: a protocol's name, or a mapping with ``protocol``."""

from __future__ import annotations

import yaml

from ..model import NO_IGP, STATIC, Igp, Labels, Routing, Vpn
from .keys import IGP, IGP_OF_LINK, IGP_OF_NODE, LABEL_MAKER, ROUTING, VPN_MAKER, Keys
from .reading import Entries, Notes, mapping

Data = dict[str, object]


def igp(notes: Notes, node: yaml.Node | None) -> Igp:
    """The lab's."""
    has = _long(notes, "igp", node, IGP)
    return _igp(has, has.text("protocol", STATIC))


def igp_of_node(notes: Notes, where: str, node: yaml.Node | None) -> Igp:
    """What differs at one node: ``none``, or a mapping."""
    return _differing(notes, where, node, IGP_OF_NODE)


def igp_of_link(notes: Notes, where: str, node: yaml.Node | None) -> Igp:
    """The same at one link."""
    return _differing(notes, where, node, IGP_OF_LINK)


def labels(notes: Notes, node: yaml.Node | None) -> Labels:
    has = _long(notes, "labels", node, LABEL_MAKER)
    protocol = has.text("protocol", STATIC)
    return Labels(protocol, *map(has.text, ("srgb", "pop")))


def vpn(notes: Notes, node: yaml.Node | None) -> Vpn:
    has = _long(notes, "vpn", node, VPN_MAKER)
    return Vpn(
        has.text("protocol", STATIC),
        has.number("asn"),
        has.texts("reflectors"),
        has.text("unicast"),
    )


def routing(notes: Notes, where: str, node: yaml.Node | None) -> Routing:
    """Of one link, between PE and CE."""
    has = _long(notes, where, node, ROUTING)
    return Routing(
        has.text("protocol", STATIC),
        has.text("area"),
        has.flag("as_override"),
        has.text("site_of_origin"),
        has.flag("allow_own_as"),
    )


def _long(notes: Notes, where: str, node: yaml.Node | None, known: Keys) -> Entries:
    """The long form of either."""
    if node is None:
        return Entries(notes, where)
    notes.at(where, node)
    if isinstance(node, yaml.MappingNode):
        return mapping(notes, where, node, known)
    short = Entries(notes, where)
    short["protocol"] = node
    return short


def _differing(notes: Notes, where: str, node: yaml.Node | None, known: Keys) -> Igp:
    if node is None:
        return Igp()
    notes.at(where, node)
    if not isinstance(node, yaml.ScalarNode):
        return _igp(mapping(notes, where, node, known), "")
    if node.value != NO_IGP:
        text_ = f"a protocol is the whole lab's: here write {NO_IGP}, or a mapping with {', '.join(known)}"
        notes.fault(where, node, f"{text_}, not {node.value!r}")
    return Igp(NO_IGP)


def _igp(has: Entries, protocol: str) -> Igp:
    return Igp(
        protocol,
        has.text("area"),
        has.number("metric"),
        has.number("hello"),
        has.number("dead"),
        has.flag("bfd") if "bfd" in has else None,
        has.text("level"),
    )


def igp_data(given: Igp) -> str | Data | None:
    """The same as a lab file writes it; None for what says nothing."""
    more: Data = {"area": given.area or None, "metric": given.metric, "hello": given.hello_s, "dead": given.dead_s,
                  "bfd": given.bfd, "level": given.level or None}  # fmt: skip
    return _short(given.protocol, more)


def labels_data(given: Labels) -> str | Data | None:
    return _short(given.protocol, {"srgb": given.srgb or None, "pop": given.pop or None})


def vpn_data(given: Vpn) -> str | Data | None:
    more: Data = {"asn": given.asn, "reflectors": list(given.reflectors) or None, "unicast": given.unicast or None}
    return _short(given.protocol, more)


def routing_data(given: Routing) -> str | Data | None:
    more: Data = {
        "area": given.area or None,
        "as_override": given.as_override or None,
        "site_of_origin": given.site_of_origin or None,
        "allow_own_as": given.allow_own_as or None,
    }
    return _short(given.protocol, more)


def _short(protocol: str, more: Data) -> str | Data | None:
    told = {key: value for key, value in more.items() if value is not None}
    if told:
        return {"protocol": protocol, **told} if protocol else told
    return None if protocol in ("", STATIC) else protocol
