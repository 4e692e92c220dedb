"""The lab file's JSON schema (draft 2020-12), for editors: completion, descriptions, and red lines while one types."""

from __future__ import annotations

from ..model import DUMMY as DUMMY_TYPE
from ..model import ROLES
from .keys import (
    DUMMY,
    EVPN,
    IGP,
    IGP_OF_LINK,
    IGP_OF_NODE,
    IPSEC,
    LAB,
    LABEL_MAKER,
    LINK,
    LSP,
    MAIN,
    NODE,
    PORT,
    ROUTE,
    ROUTING,
    RULE,
    TEXT,
    TEXTS,
    VPN_MAKER,
    VRF,
    Keys,
    Shape,
)

NODE_KEY: Keys = {"node": {**TEXT, "description": "name of the node"}}


def schema() -> dict[str, object]:
    """A lab file in a lab's own words. It sees the shape of each entry; what entries mean to each other (addresses,
    names, labels) only reading the lab finds."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mnmpls lab",
        **_mapping(LAB, "nodes"),
        "$defs": {
            "igp": _mapping(IGP),
            "igp_of_node": _mapping(IGP_OF_NODE),
            "igp_of_link": _mapping(IGP_OF_LINK),
            "labels": _mapping(LABEL_MAKER),
            "vpn": _mapping(VPN_MAKER),
            "node": {"anyOf": [{"enum": list(ROLES)}, _mapping(NODE, "role")]},
            "main": _mapping(MAIN),
            "vrf": {"anyOf": [{"type": "null"}, _mapping(VRF)]},
            "evpn": {"anyOf": [{"type": "null"}, _mapping(EVPN)]},
            "dummy": _mapping(DUMMY, "ip"),
            "rule": _mapping(RULE, "table", "priority"),
            "route": {**_mapping(ROUTE), "anyOf": [{"required": ["dst"]}, {"required": ["label"]}]},
            "link": {
                "anyOf": [
                    {"type": "array", "items": {"$ref": "#/$defs/end"}, "minItems": 2, "maxItems": 2},
                    _mapping(LINK, "a", "b"),
                    _dummy_entry(),
                ]
            },
            "routing": _mapping(ROUTING, "protocol"),
            "ipsec": _mapping(IPSEC, "mode"),
            "end": {"anyOf": [TEXT, _mapping({**NODE_KEY, **PORT}, "node"), _short_end()]},
            "lsp": {**_mapping(LSP), "anyOf": [{"required": ["path"]}, {"required": ["ingress", "egress"]}]},
        },
    }


def _mapping(keys: Keys, *required: str) -> dict[str, object]:
    """A mapping with these keys and no others. An empty value counts as left out."""
    entries = {key: shape if key in required else _or_empty(shape) for key, shape in keys.items()}
    needs = {"required": list(required)} if required else {}
    return {"type": "object", "properties": entries, "additionalProperties": False, **needs}


def _or_empty(shape: Shape) -> Shape:
    return {
        "description": shape["description"],
        "anyOf": [{key: value for key, value in shape.items() if key != "description"}, {"type": "null"}],
    }


def _dummy_entry() -> Shape:
    """``{type: dummy, NODE: ADDRESS}``, a dummy of the node."""
    return {
        "type": "object",
        "properties": {"type": {"const": DUMMY_TYPE}, "name": {"anyOf": [TEXT, {"type": "null"}]}},
        "additionalProperties": {"anyOf": [TEXTS, {"$ref": "#/$defs/dummy"}]},
        "required": ["type"],
        "minProperties": 2,
        "maxProperties": 3,
    }


def _short_end() -> Shape:
    """``NODE: ADDRESS`` or ``NODE: {port: ..., ip: ...}``; a mapping with one of a port's own keys is a long form."""
    return {
        "type": "object",
        "propertyNames": {"not": {"enum": [*NODE_KEY, *PORT]}},
        "additionalProperties": {"anyOf": [TEXTS, {"type": "null"}, _mapping(PORT)]},
        "minProperties": 1,
        "maxProperties": 1,
    }
