"""Broken YAML, told to a person: libyaml's terse problems become a sentence, a place and a next step."""

import re
from typing import Any, Final

import yaml
from yaml.reader import ReaderError


class UnreadableError(Exception):
    """Why the rest of a file cannot be read, as parts of a diagnostic. `index` counts characters from 0."""

    def __init__(self, code: str, message: str, *, index: int, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.index = index
        self.hint = hint


_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Everything that YAML files may not hold as it stands (https://yaml.org/spec/1.2.2/#51-character-set)."""

_QUOTE: Final = "Quote the whole value if the colon belongs to the text; otherwise start a new, deeper indented line."
_ALIGN: Final = "Give the keys of one mapping the same indentation, each followed by a colon and a space."
_ESCAPE: Final = (
    r"Use one of YAML's escapes, such as \n, \\, \xNN and \uNNNN, or single quotes for literal backslashes."
)
_CODE_POINT: Final = r"Write the character itself; characters beyond \uFFFF are one \UNNNNNNNN, never two surrogates."
_START: Final = "Quote a value that starts with %, @ or a backquote."
_TABS: Final = "Indent with spaces."

_HINTS: Final = {
    "mapping values are not allowed in this context": _QUOTE,
    "mapping keys are not allowed in this context": _ALIGN,
    "block sequence entries are not allowed in this context": "Start the list on its own line, below its key.",
    "could not find expected ':'": "Put a colon and a space after the key.",
    "did not find expected key": _ALIGN,
    "did not find expected '-' indicator": "Start every item of this list with a dash at the same column.",
    "did not find expected ',' or ']'": "Close the list with ] or separate its items with commas.",
    "did not find expected ',' or '}'": "Close the mapping with } or separate its entries with commas.",
    "did not find expected node content": "Write a value here, or remove the comma or indicator before it.",
    "did not find expected <document start>": "Remove what follows the end of the document.",
    "found unexpected end of stream": "Close the quotes.",
    "found unexpected document indicator": "Close the quotes before the line of dashes or dots.",
    "found unknown escape character": _ESCAPE,
    "did not find expected hexdecimal number": _ESCAPE,
    "found invalid Unicode character escape code": _CODE_POINT,
    "did not find expected comment or line break": "Start the text of a block on the line below | or >.",
    "found character that cannot start any token": _START,
    "found a tab character where an indentation space is expected": _TABS,
    "found a tab character that violates indentation": _TABS,
    "found incompatible YAML document": "Remove the %YAML line; files are read as YAML 1.2.",
    "found undefined tag handle": "Remove the tag; only core tags such as !!str and !!int exist here.",
    # libyaml looks ahead for keys, so its own bound may be met before ours; older versions have none.
    "exceeded maximum nesting depth": "Flatten the structure.",
}
_DEFAULT_HINT: Final = "Check the indentation, quotes and brackets at this place."
_CODES: Final = {
    "found invalid Unicode character escape code": "yaml/character",
    "found undefined tag handle": "yaml/tag",
    "exceeded maximum nesting depth": "yaml/depth",
}
_INSIDE_ESCAPE: Final = frozenset(
    ("did not find expected hexdecimal number", "found invalid Unicode character escape code")
)


def explain(error: yaml.YAMLError, text: str) -> UnreadableError:
    """Turn one of PyYAML's errors about `text` into ours."""
    if isinstance(error, ReaderError):
        return unprintable(text) or UnreadableError("yaml/syntax", str(error.reason), index=0, hint=_DEFAULT_HINT)
    if not isinstance(error, yaml.MarkedYAMLError):
        raise error
    problem = error.problem or "unknown problem"
    index = error.problem_mark.index if error.problem_mark else 0
    hint = _HINTS.get(problem, _DEFAULT_HINT)
    if problem in _INSIDE_ESCAPE:
        index -= 2  # libyaml points behind the `\u`; people look for the backslash
    if problem.startswith("found character") and text[index : index + 1] == "\t":
        problem, hint = "a tab cannot indent", _TABS
    code = _CODES.get(problem, "yaml/syntax")
    return UnreadableError(
        code, f"not readable as YAML: {_sentence(problem)}{_context(error, index)}", index=index, hint=hint
    )


def unprintable(text: str) -> UnreadableError | None:
    """Find the first character that a file may not hold as it stands."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    name = f"U+{ord(found.group()):04X}"
    hint = "Remove it, or write it as an escape in double quotes."
    if found.group() == "\0":
        hint = "Remove it; if the file is UTF-16 or binary, save it as UTF-8 text."
    return UnreadableError(
        "yaml/character", f"the character {name} is not allowed in a file", index=found.start(), hint=hint
    )


def _sentence(problem: str) -> str:
    return problem.replace("hexdecimal", "hexadecimal").replace("did not find expected", "did not find the expected")


def _context(error: Any, index: int) -> str:
    """Say what was being read and where it began, when that tells more than the place itself."""
    if not error.context or error.context == "while scanning for the next token":
        return ""
    mark = error.context_mark
    where = f" that began on line {mark.line + 1}, column {mark.column + 1}" if mark and mark.index != index else ""
    return f", {error.context}{where}"
