"""What an unquoted word means: the YAML 1.2 core schema, and nothing else.

PyYAML follows YAML 1.1, where `on`, `no`, `12:30` and `2024-01-02` are not text; editors and newer parsers follow 1.2,
where they are. Rules: https://yaml.org/spec/1.2.2/#103-core-schema. Narrower than the schema in two points, because
plans are canonical JSON: integers fit 64 signed bits, and infinities and NaN are refused.
"""

import re
from math import isinf
from typing import Final

Scalar = str | int | float | bool | None

WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
"""The words of the core schema that mean no text."""
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_MAX_DIGITS: Final = 22
"""More significant digits than any 64-bit integer has in base 8, 10 or 16; int() is never asked for more."""

NUMERIC: Final = frozenset("+-.0123456789")
"""What a number may start with: text that starts otherwise, and is none of WORDS, means itself."""

_CORE: Final = "tag:yaml.org,2002:"
_KINDS: Final[dict[str, type]] = {"int": int, "float": float, "bool": bool, "null": type(None)}


class BadScalarError(ValueError):
    """The text is no value that a document may hold; `code` is a diagnostic's, `hint` the next step."""

    def __init__(self, code: str, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def plain(text: str) -> Scalar:
    """Give the value of unquoted, untagged text.

    Raises BadScalarError for numbers out of range and for infinities and NaN.
    """
    if text in WORDS:
        return WORDS[text]
    if text[0] not in NUMERIC:
        return text
    number = _integer(text)
    if number is not None:
        return number
    if _FLOAT.fullmatch(text):
        return _finite(text)
    if _NOT_FINITE.fullmatch(text):
        raise _not_finite(text)
    return text


def tagged(tag: str, text: str) -> Scalar:
    """Give the value of text under an explicit core tag, quoted or not (`!!str 12`, `!!int "12"`, `! 12`).

    Raises BadScalarError for a tag that is not a core scalar's and for text that is not of its kind.
    """
    kind = tag.removeprefix(_CORE)
    if kind == "str" or tag == "!":
        return text
    if not tag.startswith(_CORE) or kind not in _KINDS:
        raise foreign_tag(tag, "a single value")
    value = plain(text)
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value) is not _KINDS[kind]:
        raise BadScalarError(
            "yaml/tag", f"{shown(text)} is not a value of !!{kind}", hint="Correct the value or remove the tag."
        )
    return value


def foreign_tag(tag: str, what: str) -> BadScalarError:
    """Make the finding about a tag that `what` (such as "a mapping") cannot have."""
    name = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
    return BadScalarError(
        "yaml/tag",
        f"the tag {shown(name)} is not allowed on {what}",
        hint="Only !!str, !!int, !!float, !!bool, !!null, !!map and !!seq exist here; remove the tag, or quote the text.",
    )


def is_core(tag: str, kind: str) -> bool:
    """Tell whether an explicit tag is `!!kind`, or the bare `!` that leaves the kind to the writing."""
    return tag in ("!", _CORE + kind)


def shown(text: str) -> str:
    """Quote a piece of somebody's file for a message: short, on one line, harmless to a terminal."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _integer(text: str) -> int | None:
    if _DECIMAL.fullmatch(text):
        sign, digits, base = ("-" if text[0] == "-" else ""), text.lstrip("+-"), 10
    elif _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        sign, digits, base = "", text[2:], 8 if text[1] == "o" else 16
    else:
        return None
    digits = digits.lstrip("0") or "0"
    number = int(sign + digits, base) if len(digits) <= _MAX_DIGITS else None
    if number is None or not -(2**63) <= number < 2**63:
        raise BadScalarError(
            "yaml/number",
            f"the integer {shown(text)} does not fit 64 bits",
            hint="Quote it if it is an identifier; numbers reach from -9223372036854775808 to 9223372036854775807.",
        )
    return number


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise _not_finite(text)
    return number


def _not_finite(text: str) -> BadScalarError:
    message = f"{shown(text)} is not a finite number"
    return BadScalarError("yaml/number", message, hint="Write a number that JSON can hold, or quote it if it is text.")
