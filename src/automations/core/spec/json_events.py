r"""JSON as the events that YAML files give, so that one composer reads both.

Almost every JSON text is YAML, but libyaml refuses surrogate pairs (`"\ud83d\ude00"`), tabs before the first token,
long keys and raw DEL, and folds U+2028 inside strings. JSON, and every file named `*.json`, is therefore read by RFC 8259's
own grammar. No recursion: the open brackets are a list.
"""

import json
import re
from bisect import bisect_right
from enum import Enum, auto
from typing import Final

import yaml
from yaml import events

from automations.core.spec.syntax import UnreadableError

_TOKEN: Final = re.compile(
    r'(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    r"|(?P<plain>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null)"
    r"|(?P<mark>[][{},:])",
    re.DOTALL,
)
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_BREAK: Final = re.compile(r"\r\n?|\n")
_NOT_FINITE: Final = re.compile(r"-?Infinity|NaN")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class _Want(Enum):
    VALUE = auto()
    VALUE_OR_END = auto()
    KEY = auto()
    KEY_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()
    NOTHING = auto()


_EXPECTED: Final = {
    _Want.VALUE: "a value",
    _Want.VALUE_OR_END: "a value or ]",
    _Want.KEY: "a key in double quotes",
    _Want.KEY_OR_END: "a key in double quotes or }",
    _Want.COLON: "a colon",
    _Want.COMMA_OR_END: "a comma or the closing bracket",
    _Want.NOTHING: "nothing more",
}


class JsonEvents:
    """The events of one JSON text, pulled one by one like those of PyYAML's parser."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self._open: list[str] = []
        self._want = _Want.VALUE
        self._at = self._skip(0)
        self._blank = self._at == len(text)

    def get_event(self) -> events.Event | None:
        """Give the next event, None at the end. Raises UnreadableError where the text is not JSON."""
        if self._blank or (self._want is _Want.NOTHING and self._at == len(self._text)):
            return None
        while True:
            token = _TOKEN.match(self._text, self._at)
            if token is None:
                raise self._unexpected()
            if token.lastgroup == "mark" and token.group() in ",:":
                self._separate(token.group())
                self._at = self._skip(token.end())
                continue
            event = self._bracket(token) if token.lastgroup == "mark" else self._scalar(token)
            self._at = self._skip(token.end())
            return event

    def _skip(self, index: int) -> int:
        space = _SPACE.match(self._text, index)
        return space.end() if space else index

    def _mark(self, index: int) -> yaml.Mark:
        line = bisect_right(self._starts, index) - 1
        return yaml.Mark(self._file, index, line, index - self._starts[line], None, 0)

    def _separate(self, sign: str) -> None:
        if sign == ":" and self._want is _Want.COLON:
            self._want = _Want.VALUE
        elif sign == "," and self._want is _Want.COMMA_OR_END:
            self._want = _Want.KEY if self._open[-1] == "{" else _Want.VALUE
        else:
            raise self._unexpected()

    def _bracket(self, token: re.Match[str]) -> events.Event:
        sign, start, end = token.group(), self._mark(token.start()), self._mark(token.end())
        if sign in "{[":
            if self._want not in (_Want.VALUE, _Want.VALUE_OR_END):
                raise self._unexpected()
            self._open.append(sign)
            self._want = _Want.KEY_OR_END if sign == "{" else _Want.VALUE_OR_END
            kind = events.MappingStartEvent if sign == "{" else events.SequenceStartEvent
            return kind(None, None, implicit=True, start_mark=start, end_mark=end, flow_style=True)
        empty = _Want.KEY_OR_END if sign == "}" else _Want.VALUE_OR_END
        matching = bool(self._open) and self._open[-1] + sign in ("{}", "[]")
        if not matching or self._want not in (_Want.COMMA_OR_END, empty):
            raise self._unexpected()
        self._open.pop()
        self._after_value()
        return (events.MappingEndEvent if sign == "}" else events.SequenceEndEvent)(start, end)

    def _scalar(self, token: re.Match[str]) -> events.Event:
        quoted = token.lastgroup == "string"
        if quoted and self._want in (_Want.KEY, _Want.KEY_OR_END):
            self._want = _Want.COLON
        elif self._want in (_Want.VALUE, _Want.VALUE_OR_END):
            self._after_value()
        else:
            raise self._unexpected()
        value = self._string(token) if quoted else token.group()
        marks = self._mark(token.start()), self._mark(token.end())
        return events.ScalarEvent(None, None, (not quoted, quoted), value, *marks, '"' if quoted else "")

    def _after_value(self) -> None:
        self._want = _Want.COMMA_OR_END if self._open else _Want.NOTHING

    def _string(self, token: re.Match[str]) -> str:
        try:
            value: str = json.loads(token.group())
        except json.JSONDecodeError as error:
            index = token.start() + error.pos
            code = "yaml/character" if "control" in error.msg else "yaml/syntax"
            hint = 'Write control characters as \\uNNNN; a backslash itself is "\\\\".'
            problem = error.msg.removesuffix(" at").lower()
            message = f"not readable as JSON: {problem} in a string"
            raise UnreadableError(code, message, index=index, hint=hint) from error
        if "\\u" in token.group() and _SURROGATE.search(value):
            hint = "Write both halves of the surrogate pair, or the character itself."
            raise UnreadableError(
                "yaml/character", "a lone surrogate escape is not a character", index=token.start(), hint=hint
            )
        return value

    def _unexpected(self) -> UnreadableError:
        text, at = self._text, self._at
        if self._want in (_Want.VALUE, _Want.VALUE_OR_END) and _NOT_FINITE.match(text, at):
            hint = "Write a number that JSON can hold, or put it in quotes if it is text."
            return UnreadableError("yaml/number", "NaN and Infinity are not JSON numbers", index=at, hint=hint)
        expected = _EXPECTED[self._want]
        if text[at : at + 1] == '"' and not _TOKEN.match(text, at):
            message = "not readable as JSON: this string never ends"
            return UnreadableError("yaml/syntax", message, index=at, hint="Close the quotes.")
        if at == len(text):
            hint = "Close the open brackets; the file may have been cut off."
            message = f"not readable as JSON: the file ends where {expected} belongs"
            return UnreadableError("yaml/syntax", message, index=at, hint=hint)
        message = f"not readable as JSON: expected {expected}, found {text[at]!r}"
        return UnreadableError(
            "yaml/syntax", message, index=at, hint="Check commas, quotes and brackets; JSON has no comments."
        )
