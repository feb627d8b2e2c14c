"""CEL's operators and functions: which kinds they take and what they give, as the library behind `cel` evaluates them.

A table of combinations for what has several operands, of accepted kinds for conversions and methods. What is not in a table says
nothing. Source: the CEL specification, "List of Standard Definitions"; a test holds the tables to the library.
"""

from collections.abc import Mapping, Sequence
from itertools import product

_Signatures = Mapping[tuple[str, ...], str]
_NUMBERS = ("int", "uint", "double")
_ORDERED = ("bool", "string", "bytes", "timestamp", "duration")
_ORDER: _Signatures = dict.fromkeys((*product(_NUMBERS, _NUMBERS), *((kind, kind) for kind in _ORDERED)), "bool")
_ARITHMETIC: _Signatures = {(kind, kind): kind for kind in _NUMBERS}
_TIMES: _Signatures = {("timestamp", "duration"): "timestamp", ("duration", "duration"): "duration"}

_ANY_PART = ("null", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "list", "map", "type")


def _unary(result: str, *kinds: str) -> _Signatures:
    return {(kind,): result for kind in kinds}


def _texts(result: str) -> _Signatures:
    return {("string", "string"): result}


_TABLE: Mapping[str, _Signatures] = {
    **dict.fromkeys(("_<_", "_<=_", "_>_", "_>=_"), _ORDER),
    "_+_": {
        **_ARITHMETIC,
        **_TIMES,
        ("duration", "timestamp"): "timestamp",
        ("string", "string"): "string",
        ("bytes", "bytes"): "bytes",
        ("list", "list"): "list",
    },
    "_-_": {**_ARITHMETIC, **_TIMES, ("timestamp", "timestamp"): "duration"},
    "_*_": _ARITHMETIC,
    "_/_": _ARITHMETIC,
    "_%_": {("int", "int"): "int", ("uint", "uint"): "uint"},
    "-_": {("int",): "int", ("double",): "double"},
    "@in": {(kind, where): "bool" for kind in _ANY_PART for where in ("list", "map")},
    "size": _unary("int", "string", "bytes", "list", "map"),
    "contains": _texts("bool"),
    "startsWith": _texts("bool"),
    "endsWith": _texts("bool"),
    "matches": _texts("bool"),
    "int": _unary("int", "bool", "int", "uint", "double", "string", "timestamp"),
    "uint": _unary("uint", "int", "uint", "double", "string"),
    "double": _unary("double", "int", "uint", "double", "string"),
    "string": _unary("string", "bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"),
    "bool": _unary("bool", "bool", "string"),
    "bytes": _unary("bytes", "string", "bytes"),
    "timestamp": _unary("timestamp", "int", "string", "timestamp"),
    "duration": _unary("duration", "string", "duration"),
}


def result(name: str, operands: Sequence[frozenset[str]]) -> frozenset[str] | None:
    """The kinds that an operator or function may give; empty when it takes none of the operands, None when it is not known."""
    table = _TABLE.get(name)
    if table is None or all(len(kinds) != len(operands) for kinds in table):
        return None
    return frozenset(
        gives
        for kinds, gives in table.items()
        if len(kinds) == len(operands) and all(kind in given for kind, given in zip(kinds, operands, strict=True))
    )


def names() -> tuple[str, ...]:
    """Every operator and function in the tables, as the library's trees name them."""
    return tuple(_TABLE)


def symbol(name: str) -> str:
    """`_<_` as `<`: the library names operators with an underscore for each operand."""
    return {"@in": "in"}.get(name, name.strip("_"))
