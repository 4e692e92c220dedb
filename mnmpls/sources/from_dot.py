"""A lab from a DOT file (https://graphviz.org/doc/info/lang.html): nodes are its nodes, edges its links.

Attributes are the keys of a lab file; those of a link's end have ``tail_`` (the node that is written first) or
``head_`` before them. A graph's name is the lab's; ``lsps`` and ``platform_labels`` are attributes of the graph::

    graph small {
      node [role=host]                                        // for those that say nothing else
      pe1 [role=pe vrfs="{red: {rt: 65000:7}}"]
      p1  [role=p loopback="10.0.0.9/32"]
      pe1 -- p1 [tail_ip="10.1.0.1/30" head_ip="10.1.0.2/30"]
      ce1 [role=ce exec="ip route"]
      ce1 -- pe1 [head_vrf=red]
      lsps="[{path: [pe1, p1, pe2], labels: [101, 111], vrf: red}]"
    }

A value is a text, or in YAML if it begins with ``[``, ``{`` or a quote. Attributes of Graphviz's own, for the drawing,
are passed over, and so are edges with ``class=lsp``; ``a=head`` makes the second node of an edge the link's end ``a``.
A port behind a node's name (``pe1:eth0``) is the interface's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product

import yaml
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedEOF, UnexpectedInput, UnexpectedToken

from ..errors import LabError, Problem
from ..model import Lab
from . import from_tree, from_yaml
from .keys import LAB, LINK, NODE, PORT
from .reading import PLAIN, Notes

_GRAMMAR = r"""
start: STRICT? (GRAPH | DIGRAPH) id? body
body: "{" (_statement ";"?)* "}"
_statement: defaults | assignment | edge | node | body | subgraph
subgraph: SUBGRAPH id? body
defaults: (GRAPH | NODE | EDGE) list
assignment: id "=" id
node: point list?
edge: _end (_EDGEOP _end)+ list?
_end: point | body | subgraph
point: id (":" id)*
list: ("[" (pair (";" | ",")?)* "]")+
pair: id "=" id
id: NAME | NUMBER | QUOTED ("+" QUOTED)* | HTML

_EDGEOP: "--" | "->"
STRICT.2: /strict(?!\w)/i
DIGRAPH.2: /digraph(?!\w)/i
SUBGRAPH.2: /subgraph(?!\w)/i
GRAPH.2: /graph(?!\w)/i
NODE.2: /node(?!\w)/i
EDGE.2: /edge(?!\w)/i
NAME: /[^\W\d]\w*/
NUMBER: /(?<![\w.])-?(\.\d+|\d+(\.\d*)?)(?![\w.])/
QUOTED: /"(?:[^"\\]|\\[\s\S])*"/
HTML: /<(?:[^<>]|<[^<>]*>)*>/
%ignore /\s+/
%ignore /\/\/[^\n]*/
%ignore /\/\*[\s\S]*?\*\//
%ignore /(?m:^)#[^\n]*/
"""

GRAPHVIZ = frozenset((
    "_background", "area", "arrowhead", "arrowsize", "arrowtail", "bb", "beautify", "bgcolor", "center",
    "charset", "class", "cluster", "clusterrank", "color", "colorscheme", "comment", "compound", "concentrate",
    "constraint", "damping", "decorate", "defaultdist", "dim", "dimen", "dir", "diredgeconstraints", "distortion",
    "dpi", "edgehref", "edgetarget", "edgetooltip", "edgeurl", "epsilon", "esep", "fillcolor", "fixedsize",
    "fontcolor", "fontname", "fontnames", "fontpath", "fontsize", "forcelabels", "gradientangle", "group",
    "head_lp", "headclip", "headhref", "headlabel", "headport", "headtarget", "headtooltip", "headurl", "height",
    "href", "id", "image", "imagepath", "imagepos", "imagescale", "inputscale", "k", "label", "label_scheme",
    "labelangle", "labeldistance", "labelfloat", "labelfontcolor", "labelfontname", "labelfontsize", "labelhref",
    "labeljust", "labelloc", "labeltarget", "labeltooltip", "labelurl", "landscape", "layer", "layerlistsep",
    "layers", "layerselect", "layersep", "layout", "len", "levels", "levelsgap", "lhead", "lheight", "linelength",
    "lp", "ltail", "lwidth", "margin", "maxiter", "mclimit", "mindist", "minlen", "mode", "model", "newrank",
    "nodesep", "nojustify", "normalize", "notranslate", "nslimit", "nslimit1", "oneblock", "ordering",
    "orientation", "outputorder", "overlap", "overlap_scaling", "overlap_shrink", "pack", "packmode", "pad",
    "page", "pagedir", "pencolor", "penwidth", "peripheries", "pin", "pos", "quadtree", "quantum", "radius",
    "rank", "rankdir", "ranksep", "ratio", "rects", "regular", "remincross", "repulsiveforce", "resolution",
    "root", "rotate", "rotation", "samehead", "sametail", "samplepoints", "scale", "searchsize", "sep", "shape",
    "shapefile", "showboxes", "sides", "size", "skew", "smoothing", "sortv", "splines", "start", "style",
    "stylesheet", "tail_lp", "tailclip", "tailhref", "taillabel", "tailport", "tailtarget", "tailtooltip",
    "tailurl", "target", "tbbalance", "tooltip", "truecolor", "url", "vertices", "viewport", "voro_margin",
    "weight", "width", "xdotversion", "xlabel", "xlp", "z",
))  # fmt: skip
"""The attributes of Graphviz's manual, in lower case: what they say about a drawing is nothing about a lab."""

_COMPASS = frozenset(("n", "ne", "e", "se", "s", "sw", "w", "nw", "c", "_"))
_YAML = ("[", "{", "'", '"')
_MOST_BRACES = 200
_KEYWORDS = {"GRAPH": "graph", "NODE": "node", "EDGE": "edge"}


@dataclass(frozen=True, slots=True)
class Value:
    """A text of the file, and its line counted from 0."""

    text: str
    line: int


Attributes = dict[str, Value]
End = tuple[Value, str]
"""A node's name, and the port behind it."""


@dataclass
class _Graph:
    """What the statements say so far."""

    attributes: Attributes = field(default_factory=dict)
    nodes: dict[str, Attributes] = field(default_factory=dict)
    stated: dict[str, int] = field(default_factory=dict)
    edges: list[tuple[End, End, Attributes]] = field(default_factory=list)


@dataclass(frozen=True)
class _Scope:
    """Defaults for what is made from here on; each subgraph changes a copy. ``top``: it is the graph itself."""

    node: Attributes
    edge: Attributes
    top: bool = True


def read(path: str) -> Lab:
    """The lab in a DOT file, with its faults. Raises LabError for a file that is no DOT at all."""
    text = from_yaml.text_of(path)
    tree = _parsed(path, text)
    graph = _Graph()
    body = tree.children[-1]
    assert isinstance(body, Tree)
    _walk(body, _Scope({}, {}), graph)
    name = [_value(each) for each in tree.children if isinstance(each, Tree) and each.data == "id"]
    return from_tree.read(Notes(path), _root(path, graph, name))


def _parsed(path: str, text: str) -> Tree[Token]:
    if text.count("{") > from_yaml.MOST_ENTRIES or _depth(text) > _MOST_BRACES:
        raise LabError([Problem("", f"braces in braces: more than {_MOST_BRACES} levels", path)])
    try:
        return _parser().parse(text)
    except UnexpectedInput as error:
        raise LabError([_problem(path, text, error)]) from error


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr")


def _depth(text: str) -> int:
    deepest = depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        deepest = max(deepest, depth)
    return deepest


def _problem(path: str, text: str, error: UnexpectedInput) -> Problem:
    line, why = error.line, "the file ends where more was to come: a brace or a quote is open"
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        line = text.rstrip().count("\n") + 1
    elif isinstance(error, UnexpectedToken):
        why = f"{str(error.token)[:40]!r} cannot stand here"
    else:
        sign = text[error.pos_in_stream or 0]
        why = f"{sign!r} cannot stand here (names with other signs than letters, digits and _ need quotes)"
    return Problem("", f"this is not DOT: {why}", f"{path}:{line}")


def _walk(body: Tree[Token], scope: _Scope, graph: _Graph) -> None:
    for statement in body.children:
        assert isinstance(statement, Tree)
        if statement.data == "defaults":
            keyword, pairs = statement.children
            assert isinstance(keyword, Token)
            kept = {"NODE": scope.node, "EDGE": scope.edge, "GRAPH": graph.attributes if scope.top else {}}
            kept[keyword.type].update(_pairs(pairs))
        elif statement.data == "assignment":
            if scope.top:
                graph.attributes.update([_pair(statement)])
        elif statement.data == "node":
            (name, _), *_rest = _point(statement.children[0], scope, graph)
            graph.stated.setdefault(name.text, name.line)
            for pairs in statement.children[1:]:
                graph.nodes[name.text].update(_pairs(pairs))
        elif statement.data == "edge":
            _edge(statement, scope, graph)
        else:
            _inside(statement, scope, graph)


def _inside(statement: Tree[Token], scope: _Scope, graph: _Graph) -> None:
    """A subgraph, or braces alone."""
    body = statement if statement.data == "body" else statement.children[-1]
    assert isinstance(body, Tree)
    _walk(body, _Scope(dict(scope.node), dict(scope.edge), top=False), graph)


def _edge(statement: Tree[Token], scope: _Scope, graph: _Graph) -> None:
    *ends, last = statement.children
    own = _pairs(last) if isinstance(last, Tree) and last.data == "list" else {}
    points = [_point(each, scope, graph) for each in (ends if own or _is_list(last) else statement.children)]
    for one, other in zip(points, points[1:], strict=False):
        graph.edges += [(tail, head, {**scope.edge, **own}) for tail, head in product(one, other)]


def _is_list(what: object) -> bool:
    return isinstance(what, Tree) and what.data == "list"


def _point(end: object, scope: _Scope, graph: _Graph) -> list[End]:
    """The nodes at an edge's end; they are made there if they were not before."""
    assert isinstance(end, Tree)
    if end.data != "point":
        inner = _Graph(nodes=graph.nodes, stated=graph.stated, edges=graph.edges)
        _inside(end, scope, inner)
        return [(value, "") for value in _named(end)]
    name, *port = map(_value, end.children)
    graph.nodes.setdefault(name.text, dict(scope.node))
    return [(name, port[0].text if port and port[0].text not in _COMPASS else "")]


def _named(body: Tree[Token]) -> list[Value]:
    """The nodes inside braces, each once."""
    points = body.find_pred(lambda tree: tree.data == "point")
    found = {value.text: value for point in points for value in [_value(point.children[0])]}
    return sorted(found.values(), key=lambda value: value.line)


def _pairs(pairs: object) -> Attributes:
    assert isinstance(pairs, Tree)
    return dict(_pair(each) for each in pairs.children if isinstance(each, Tree))


def _pair(pair: Tree[Token]) -> tuple[str, Value]:
    key, value = map(_value, pair.children)
    return key.text, replace(value, line=key.line)


def _value(node: object) -> Value:
    """An ID. Inside quotes a backslash stands before a quote and before itself, and goes with a line's end."""
    assert isinstance(node, Tree)
    tokens = [each for each in node.children if isinstance(each, Token)]
    text = "".join(_unquoted(each) if each.type == "QUOTED" else str(each) for each in tokens)
    return Value(text, (tokens[0].line or 1) - 1)


def _unquoted(token: Token) -> str:
    return re.sub(r"\\(\\|\"|\n)", lambda found: "" if found[1] == "\n" else found[1], token[1:-1])


# From there to the tree of a lab file.


def _root(path: str, graph: _Graph, name: list[Value]) -> yaml.Node:
    top = [("name", _scalar(name[0]))] if name else []
    top += [(key, _node(path, value)) for key, value in _of_a_lab(graph.attributes, frozenset(LAB))]
    nodes = _mapping([(key, _attributes(path, graph, key)) for key in graph.nodes if _is_meant(graph, key)])
    links = yaml.SequenceNode(f"{PLAIN}seq", list(_links(path, graph)))
    return _mapping([*top, ("nodes", nodes), ("links", links)])


def _is_meant(graph: _Graph, name: str) -> bool:
    """A node that is only named at an edge is none of the lab's: a slip of the pen would make one."""
    return name in graph.stated or any(_of_a_lab(graph.nodes[name], frozenset(NODE)))


def _attributes(path: str, graph: _Graph, name: str) -> yaml.Node:
    pairs = [(key, _node(path, value)) for key, value in _of_a_lab(graph.nodes[name], frozenset(NODE))]
    return _mapping(pairs, graph.stated.get(name, 0))


def _links(path: str, graph: _Graph) -> Iterator[yaml.Node]:
    for tail, head, attributes in graph.edges:
        if attributes.get("class", tail[0]).text == "lsp" and "class" in attributes:
            continue
        ends = {"tail": _end(path, "tail_", tail, attributes), "head": _end(path, "head_", head, attributes)}
        turned = "a" in attributes and attributes["a"].text == "head"
        a, b = ("head", "tail") if turned else ("tail", "head")
        others = {
            key: value for key, value in attributes.items()
            if not key.startswith(("tail_", "head_")) and not (key == "a" and value.text in ends)
        }  # fmt: skip
        pairs = [(key, _node(path, value)) for key, value in _of_a_lab(others, frozenset(LINK) - {"a", "b"})]
        yield _mapping([("a", ends[a]), ("b", ends[b]), *pairs], tail[0].line)


def _end(path: str, prefix: str, end: End, attributes: Attributes) -> yaml.Node:
    name, port = end
    own = {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}
    if port:
        own.setdefault("port", Value(port, name.line))
    pairs = [(key, _node(path, value)) for key, value in own.items() if key in PORT or prefix + key not in GRAPHVIZ]
    return _mapping([("node", _scalar(name)), *pairs], name.line)


def _of_a_lab(attributes: Attributes, known: frozenset[str]) -> Iterator[tuple[str, Value]]:
    """Those with a meaning for the lab, and those with none at all: the reader finds fault with these."""
    return ((key, value) for key, value in attributes.items() if key in known or key.lower() not in GRAPHVIZ)


def _mapping(pairs: list[tuple[str, yaml.Node]], line: int = 0) -> yaml.Node:
    """Each key stands where its value does."""
    keyed = [(yaml.ScalarNode(f"{PLAIN}str", key, node.start_mark), node) for key, node in pairs]
    return yaml.MappingNode(f"{PLAIN}map", keyed, _mark(line))


def _scalar(value: Value) -> yaml.Node:
    return yaml.ScalarNode(f"{PLAIN}str" if value.text else f"{PLAIN}null", value.text, _mark(value.line))


def _mark(line: int) -> yaml.Mark:
    return yaml.Mark("", 0, line, 0, None, 0)


def _node(path: str, value: Value) -> yaml.Node:
    if not value.text.startswith(_YAML):
        return _scalar(value)
    root = from_yaml.composed(path, value.text, value.line)
    _move(root, Value(path, value.line), set())
    return root


def _move(node: yaml.Node, where: Value, seen: set[int]) -> None:
    """To where it stands in the file. Raises LabError for aliases: a few would make a lot of so short a text."""
    if id(node) in seen:
        raise LabError([Problem("", "an alias (*) has no place in an attribute", f"{where.text}:{where.line + 1}")])
    seen.add(id(node))
    node.start_mark = _mark(node.start_mark.line + where.line)
    inner = node.value if isinstance(node, (yaml.SequenceNode, yaml.MappingNode)) else []
    for each in inner:
        for one in each if isinstance(each, tuple) else (each,):
            _move(one, where, seen)
