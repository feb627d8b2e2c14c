"""What goes wrong with an expression, in words for the person who wrote it.

The library speaks of overloads, containers and ANTLR token sets; here its messages are read once and said again as a
thing, a place and a next step. Nothing outside this package sees the library's own wording, except where it says
something this module has never met.
"""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

from automations.core.diagnostic import Path, dotted
from automations.errors import InvalidInput

_LONGEST_REASON = 300


class ExpressionInvalid(InvalidInput):
    """An expression that can never be evaluated. `line` and `column` count characters from 1 inside the scalar."""

    code = "expression_invalid"

    def __init__(self, reason: str, *, line: int = 1, column: int = 1, path: Path = (), hint: str = "") -> None:
        where = f"{dotted(path)}: " if path else ""
        super().__init__(f"{where}{reason} (line {line}, column {column})", hint=hint)
        self.reason = reason
        self.line = line
        self.column = column
        self.path = path

    def moved(self, line: int, column: int) -> "ExpressionInvalid":
        """Return the same problem for an expression that begins at this line and column of a longer scalar."""
        shifted = self.column + column - 1 if self.line == 1 else self.column
        return ExpressionInvalid(self.reason, line=self.line + line - 1, column=shifted, path=self.path, hint=self.hint)

    def at(self, path: Path) -> "ExpressionInvalid":
        """Return the same problem at the path of the scalar that holds the expression."""
        return ExpressionInvalid(self.reason, line=self.line, column=self.column, path=path, hint=self.hint)


class EvaluationFailed(InvalidInput):
    """An expression that is fine met data that is not. `reason` is one sentence of at most a few hundred characters."""

    code = "expression_error"

    def __init__(self, reason: str, *, path: Path = ()) -> None:
        reason = reason if len(reason) <= _LONGEST_REASON else reason[: _LONGEST_REASON - 1] + "…"
        super().__init__(f"{dotted(path)}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def at(self, path: Path) -> "EvaluationFailed":
        """Return the same failure at the path of the scalar that holds the expression."""
        return EvaluationFailed(self.reason, path=path)


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of the character at `offset` in `text`."""
    line_start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, offset) + 1, offset - line_start + 1


def unknown_root(name: str, roots: Iterable[str], *, at: tuple[int, int]) -> ExpressionInvalid:
    """Name a root that does not exist; the hint offers the nearest one."""
    known = sorted(roots)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else ""
    reason = f"unknown name `{name}`; the roots are {', '.join(known)}"
    return ExpressionInvalid(reason, line=at[0], column=at[1], hint=hint)


_FIRST_ERROR = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_STATUS = re.compile(r"^[A-Z_]+: ")
_STATUS_CODE = re.compile(r" \[[A-Z_]+\]\s*$")
_TOO_DEEP = ("recursion depth", "recursion limit")
TOO_DEEP = "the expression is nested or chained more than about 30 levels deep; split it"
_WORDS = {"and": "&&", "or": "||", "not": "!"}


def _unexpected(found: str) -> str:
    if found == "<EOF>":
        return "the expression ends too early"
    if found in _WORDS:
        return f"unexpected `{found}`; CEL writes it `{_WORDS[found]}`"
    return f"unexpected `{found}`"


def _unreadable(token: str) -> str:
    if token.startswith(("'", '"')):
        return f"unreadable text {token}: a quote that is never closed, or an unknown escape"
    if token.startswith("="):
        return "unexpected `=`; comparison is `==`"
    return f"unexpected character `{token.strip()}`"


def _symbol(function: str) -> str:
    """`_<_` as `<`: the library names operators with an underscore for each operand."""
    special = {"_[_]": "[ ]", "_?_:_": "? :", "@in": "in", "<jump_condition>": "? :"}
    return special.get(function, function.strip("_"))


def _types(listed: str) -> str:
    plain = {"int64": "int", "uint64": "uint", "null_type": "null", "dyn": "anything"}
    return re.sub(r"\w+", lambda word: plain.get(word[0], word[0]), listed)


def _mismatch(function: str, types: str) -> str:
    return f"`{_symbol(function)}` does not work on ({_types(types)})"


_Rewording = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]
_COMPILE: tuple[_Rewording, ...] = (
    (re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting"), lambda m: _unexpected(m[1])),
    (re.compile(r"Syntax error: no viable alternative at input '(.*)'"), lambda m: _unexpected(m[1])),
    (re.compile(r"Syntax error: missing (\S+) at '(.*)'"), lambda m: f"{m[1]} is missing before `{m[2]}`"),
    (re.compile(r"Syntax error: token recognition error at: '(.*?)'?$"), lambda m: _unreadable(m[1])),
    (re.compile(r"found no matching overload for '(.*)' applied to '\((.*)\)'"), lambda m: _mismatch(m[1], m[2])),
    (
        re.compile(r"undeclared reference to '(.*?)'"),
        lambda m: f"there is no function or type `{m[1]}` that fits here",
    ),
    (re.compile(r"reserved identifier: (\w+)"), lambda m: f"`{m[1]}` is a reserved word"),
    (re.compile(r"invalid (u?int) literal"), lambda m: f"this {m[1]} does not fit 64 bits"),
    (re.compile(r"unsupported syntax '(.*)'"), lambda m: f"the optional syntax `{m[1]}` is not available"),
    (re.compile(r"type '(.*)' cannot be the operand of a select"), lambda m: f"{_types(m[1])} has no fields"),
    (re.compile(r"Syntax error: (.*)"), lambda m: m[1]),
)
_EVALUATE: tuple[_Rewording, ...] = (
    (re.compile(r"Key not found in map : (.*)", re.DOTALL), lambda m: f"there is no key {m[1]}"),
    (re.compile(r'No value with name "(\w+)" found in Activation'), lambda m: f"`{m[1]}` has no value here"),
    (re.compile(r"No matching overloads found : (\S+?)\((.*)\)$"), lambda m: _mismatch(m[1], m[2])),
    (re.compile(r"No matching overloads found : (\S+)"), lambda m: f"`{_symbol(m[1])}` does not work on these values"),
    (re.compile(r"Applying SELECT to non-message type"), lambda _: "a field is read from something that is no object"),
    (re.compile(r"Invalid container type: '(.*)'"), lambda m: f"[ ] is used on {_types(m[1])}, not an object or list"),
    (re.compile(r"Index error: index=(-?\d+) size=(\d+)"), lambda m: f"there is no item {m[1]} in a list of {m[2]}"),
    (re.compile(r"Iteration budget exceeded"), lambda _: "it loops more than 10,000 times"),
)


def _reworded(message: str, table: tuple[_Rewording, ...]) -> str:
    for pattern, say in table:
        found = pattern.search(message)
        if found:
            return say(found)
    return message


def undeclared(message: str) -> str | None:
    """Find the dotted name that a compile message calls undeclared, if that is its first complaint."""
    first = _FIRST_ERROR.search(message)
    found = re.match(r"undeclared reference to '(.*?)'", first[3]) if first else None
    return found[1] if found else None


def explain_compile(message: str) -> ExpressionInvalid:
    """Reword the first complaint of the library's compiler, at the place that it names."""
    if any(words in message for words in _TOO_DEEP):
        return ExpressionInvalid(TOO_DEEP)
    first = _FIRST_ERROR.search(message)
    if first is None:
        return ExpressionInvalid(_STATUS.sub("", _STATUS_CODE.sub("", message))[:_LONGEST_REASON])
    complaint = _STATUS_CODE.sub("", first[3])
    line, column = max(1, int(first[1])), max(1, int(first[2]))
    return ExpressionInvalid(_reworded(complaint, _COMPILE)[:_LONGEST_REASON], line=line, column=column)


def explain_evaluate(message: str) -> EvaluationFailed:
    """Reword the library's error value or exception."""
    return EvaluationFailed(_reworded(_STATUS.sub("", _STATUS_CODE.sub("", message)), _EVALUATE))
