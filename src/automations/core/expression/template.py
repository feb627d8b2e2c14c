"""Templates: `${{ cel }}` inside any text of plain data.

A scalar that is exactly one `${{ … }}` takes the type of its expression; anything else around it makes text of it.
`$${{` writes a literal `${{`. A template is compiled once into a tree in which everything without an expression is the
given value itself, so constants cost nothing to render; what is rendered must therefore not be changed by the caller.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from automations.core import canonical
from automations.core.diagnostic import Path
from automations.core.expression.cel import (
    MAX_TEXT,
    ROOTS,
    Activation,
    EvaluationFailed,
    Expression,
    ExpressionInvalid,
    compile_expression,
)
from automations.core.expression.failure import place
from automations.core.expression.secret import ROOT as SECRETS
from automations.core.expression.secret import SecretReference, SecretText, mentions_secrets, secret_name

INPUT_ROOTS = ROOTS | {SECRETS}
"""What an action's input may speak of: all of it, and secrets where its manifest allows them."""

_OPEN = "${{"
_MAX_DEPTH = 100
# CEL's lexical grammar (the specification, "Syntax"): raw text has no escapes, only tripled quotes span lines. A
# comment runs to the end of its line, or of the template on that line.
_TOKEN = re.compile(
    r"""
    (?<![A-Za-z0-9_]) [bB]?[rR] (?: \"{3}(?s:.*?)\"{3} | '{3}(?s:.*?)'{3} | "[^"\r\n]*" | '[^'\r\n]*' )
    | \"{3} (?s:\\.|[^\\])*? \"{3} | '{3} (?s:\\.|[^\\])*? '{3}
    | " (?:\\.|[^"\\\r\n])* " | ' (?:\\.|[^'\\\r\n])* '
    | // (?:(?!\}\}).)*
    | [{}]
    """,
    re.VERBOSE,
)


class References(NamedTuple):
    """The templates of the scalar at `path` read these steps."""

    path: Path
    steps: frozenset[str]


class Located(NamedTuple):
    """An expression of the scalar at `path`, at this line and column of it; `whole` when the scalar is nothing else."""

    path: Path
    expression: Expression
    line: int
    column: int
    whole: bool


@dataclass(frozen=True, slots=True)
class _Constant:
    """A part without templates: the given value itself."""

    value: Any


@dataclass(frozen=True, slots=True)
class _Whole:
    """A scalar that is one expression and keeps its type."""

    expression: Expression
    path: Path


@dataclass(frozen=True, slots=True)
class _Text:
    """A scalar with expressions inside text."""

    parts: tuple[str | Expression, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class _Object:
    members: tuple[tuple[str, "_Part"], ...]


@dataclass(frozen=True, slots=True)
class _List:
    items: tuple["_Part", ...]


_Part = _Constant | _Whole | _Text | SecretText | _Object | _List
_Piece = str | Expression | SecretReference
_Problems = list[tuple[Path, ExpressionInvalid]]


@dataclass(frozen=True, slots=True)
class Template:
    """Compiled plain data; made by `compile_template`."""

    _root: _Part

    @property
    def constant(self) -> bool:
        """Whether the value holds no expression at all."""
        return isinstance(self._root, _Constant)

    def secrets(self) -> tuple[SecretText, ...]:
        """Every scalar that holds references to secrets, see `secret`; rendered, it shows them as they were written."""
        return tuple(each for each in _leaves(self._root) if isinstance(each, SecretText))

    def render(self, activation: Activation | Mapping[str, Any]) -> Any:
        """Return the value with every expression evaluated; parts without expressions are the given ones.

        Raises EvaluationFailed, with the path of the scalar, when an expression fails, or when an object, a list or
        null would have to become part of a text.
        """
        if isinstance(self._root, _Constant):
            return self._root.value
        return _rendered(self._root, activation if isinstance(activation, Activation) else Activation(activation))


def compile_template(value: Any, *, roots: Iterable[str] = ROOTS) -> Template:
    """Compile plain data (dict with text keys, list, text, scalars).

    Raises ExpressionInvalid for the first of its `problems`, with the path of the scalar and the place inside it.
    """
    known = frozenset(roots)
    found = scan(value, roots=known).problems
    if found:
        path, problem = found[0]
        raise problem.at(path)
    return Template(_part(value, known, ()))


class Scalar(NamedTuple):
    """A text with `${{` in it, at `path` of its value."""

    path: Path
    text: str
    cut: "_Cut"

    @property
    def expressions(self) -> Iterator[Located]:
        """Its expressions, each with its place; none if anything in it does not compile."""
        pieces, offsets, _, _ = self.cut
        for piece, offset in zip(pieces, offsets, strict=True):
            if offset is not None and isinstance(piece, Expression):
                yield Located(self.path, piece, *place(self.text, offset), whole=len(pieces) == 1)


class Scan(NamedTuple):
    """All templates of one value, looked for once: several checks ask about each."""

    scalars: tuple[Scalar, ...]
    problems: list[tuple[Path, ExpressionInvalid]]
    """Everything that is wrong: path of the scalar or key, and what is wrong."""

    def expressions(self) -> Iterator[Located]:
        """Every expression; those of a scalar that does not compile are left to `problems`."""
        for scalar in self.scalars:
            yield from scalar.expressions

    def references(self) -> Iterator[References]:
        """By scalar, which steps it reads; scalars that do not compile are left to `problems`."""
        for path, _, cut in self.scalars:
            used = [each.step_references() for each in cut.pieces if isinstance(each, Expression)]
            if used:
                yield References(path, frozenset[str]().union(*used))

    def templated(self) -> Iterator[Path]:
        """Where templates stand; text that only writes a literal `${{` is none."""
        return (path for path, _, cut in self.scalars if cut.templated)


def scan(value: Any, *, roots: Iterable[str] = ROOTS) -> Scan:
    """Look for templates in plain data. Never raises: what is wrong is listed."""
    scalars: list[Scalar] = []
    found: _Problems = []
    _look(value, (), roots=frozenset(roots), into=(scalars, found))
    return Scan(tuple(scalars), found)


def _look(value: Any, path: Path, *, roots: frozenset[str], into: tuple[list[Scalar], _Problems]) -> None:
    scalars, found = into
    if isinstance(value, str):
        if _OPEN in value:
            cut = _cut(value, roots)
            scalars.append(Scalar(path, value, cut))
            found.extend((path, problem) for problem in cut.wrong)
    elif isinstance(value, dict):
        if len(path) >= _MAX_DEPTH:
            found.append((path, _too_deep()))
            return
        for key, item in value.items():
            if not isinstance(item, str) or _OPEN in item:
                _look(item, (*path, key), roots=roots, into=into)
            if _OPEN in key:
                line, column = place(key, key.index(_OPEN))
                problem = ExpressionInvalid("the key of an object cannot be a template", line=line, column=column)
                found.append(((*path, key), problem))
    elif isinstance(value, list):
        if len(path) >= _MAX_DEPTH:
            found.append((path, _too_deep()))
            return
        for index, item in enumerate(value):
            _look(item, (*path, index), roots=roots, into=into)


def _too_deep() -> ExpressionInvalid:
    return ExpressionInvalid(f"nested more than {_MAX_DEPTH} levels deep")


def _part(value: Any, roots: frozenset[str], path: Path) -> _Part:
    """The part that a value without problems becomes."""
    if isinstance(value, str):
        return _scalar(_cut(value, roots).pieces, path) if _OPEN in value else _Constant(value)
    if isinstance(value, list):
        items = tuple(_part(item, roots, (*path, index)) for index, item in enumerate(value))
        return _Constant(value) if all(map(_unchanged, items, value)) else _List(items)
    if isinstance(value, dict):
        members = tuple((key, _part(item, roots, (*path, key))) for key, item in value.items())
        return _Constant(value) if all(_unchanged(part, value[key]) for key, part in members) else _Object(members)
    return _Constant(value)


def _scalar(pieces: tuple[_Piece, ...], path: Path) -> _Part:
    if any(isinstance(each, SecretReference) for each in pieces):
        # A text whose secrets are put in at the very end is known but for them: it holds no other expression.
        return SecretText(path, tuple(each for each in pieces if not isinstance(each, Expression)))
    plain = tuple(each for each in pieces if not isinstance(each, SecretReference))  # all of them; for the type
    if len(plain) == 1:
        only = plain[0]
        return _Constant(only) if isinstance(only, str) else _Whole(only, path)
    return _Text(plain, path)


class _Cut(NamedTuple):
    """A text's plain pieces, expressions and secrets, where each expression begins, and what is wrong with them.

    Nothing but that, and whether any template was meant, if anything is.
    """

    pieces: tuple[_Piece, ...]
    offsets: tuple[int | None, ...]
    wrong: tuple[ExpressionInvalid, ...]
    templated: bool


@lru_cache(maxsize=4096)
def _cut(text: str, roots: frozenset[str]) -> _Cut:
    """Cut a text into its pieces. Remembered: the same texts are looked at when a spec is checked, compiled and run."""
    pieces: list[_Piece] = []
    offsets: list[int | None] = []
    wrong: list[ExpressionInvalid] = []
    templated = False
    try:
        for source, offset in _split(text):
            if offset is None:
                pieces.append(source)
                offsets.append(None)
                continue
            templated = True
            try:
                pieces.append(_piece(source, roots))
                offsets.append(offset)
            except ExpressionInvalid as problem:
                wrong.append(problem.moved(*place(text, offset)))
    except ExpressionInvalid as problem:
        wrong.append(problem)
        templated = True
    if not wrong and _mixes(pieces):
        hint = "give the other value in a field of its own"
        wrong.append(ExpressionInvalid("a text that holds a secret can hold no other expression", hint=hint))
    return _Cut((), (), tuple(wrong), templated) if wrong else _Cut(tuple(pieces), tuple(offsets), (), templated)


def _mixes(pieces: Iterable[_Piece]) -> bool:
    """Whether there are both expressions and secrets."""
    kinds = {type(each) for each in pieces}
    return SecretReference in kinds and Expression in kinds


def _piece(source: str, roots: frozenset[str]) -> Expression | SecretReference:
    """An expression, or a secret where they may stand. Raises ExpressionInvalid."""
    name = secret_name(source) if SECRETS in roots else None
    if name is not None:
        return SecretReference(name, f"{_OPEN} {source} }}}}")
    try:
        return compile_expression(source, roots=roots - {SECRETS})
    except ExpressionInvalid as problem:
        if not mentions_secrets(source):
            raise
        if SECRETS in roots:
            message = "a secret can only be named: its value takes part in no expression"
            raise ExpressionInvalid(
                message, hint="write ${{ secrets.NAME }}, with text around it if need be"
            ) from problem
        message = "a secret has no place here"
        raise ExpressionInvalid(
            message, hint="secrets go into input fields that a manifest marks x-secret"
        ) from problem


def _unchanged(part: _Part, value: Any) -> bool:
    """Whether a part is the given value itself: no expression, and no `$${{` that stands for something shorter."""
    return isinstance(part, _Constant) and part.value is value


def _split(text: str) -> Iterator[tuple[str, int | None]]:
    """Cut text into literal pieces (offset None) and expressions (offset of their first character), in order."""
    literal = ""
    at = 0
    while (start := text.find(_OPEN, at)) >= 0:
        if start > at and text[start - 1] == "$":
            literal += text[at : start - 1] + _OPEN
            at = start + len(_OPEN)
            continue
        literal += text[at:start]
        if literal:
            yield literal, None
            literal = ""
        inner = start + len(_OPEN)
        end = _end(text, inner)
        raw = text[inner:end]
        yield raw.strip(), inner + len(raw) - len(raw.lstrip())
        at = end + 2
    literal += text[at:]
    if literal:
        yield literal, None


def _end(text: str, start: int) -> int:
    """Find the `}}` that closes the template whose expression begins at `start`: not in text, not of a map."""
    depth = 0
    at = start
    limit = start + MAX_TEXT + 2
    while found := _TOKEN.search(text, at, limit):
        piece, at = found[0], found.end()
        if piece == "{":
            depth += 1
        elif piece == "}" and depth:
            depth -= 1
        elif piece == "}" and text.startswith("}", at):
            return at - 1
    line, column = place(text, start - len(_OPEN))
    far = f" within {MAX_TEXT} characters" if len(text) > limit else ""
    raise ExpressionInvalid(
        f"this `{_OPEN}` is never closed by `}}}}`{far}",
        line=line,
        column=column,
        hint=f"write `${_OPEN}` for the text",
    )


def _rendered(part: _Part, activation: Activation) -> Any:
    if isinstance(part, _Constant):
        return part.value
    if isinstance(part, SecretText):
        return part.shown
    if isinstance(part, _Object):
        return {key: _rendered(member, activation) for key, member in part.members}
    if isinstance(part, _List):
        return [_rendered(item, activation) for item in part.items]
    try:
        if isinstance(part, _Whole):
            return part.expression.evaluate(activation)
        return "".join(each if isinstance(each, str) else _inline(each, activation) for each in part.parts)
    except EvaluationFailed as failure:
        raise failure.at(part.path) from None


def _inline(expression: Expression, activation: Activation) -> str:
    """Write a result inside text: text as it is, numbers and booleans as JSON writes them."""
    result = expression.evaluate(activation)
    if isinstance(result, str):
        return result
    if result is None or isinstance(result, dict | list):
        kind = "null" if result is None else "an object" if isinstance(result, dict) else "a list"
        raise EvaluationFailed(f"{_OPEN} {expression.text} }}}} is {kind}, which cannot be part of a text")
    return canonical.encode(result)


def _leaves(part: _Part) -> Iterator[_Part]:
    """The scalars of a tree that are not constant throughout."""
    if isinstance(part, _Object | _List):
        for inner in (member for _, member in part.members) if isinstance(part, _Object) else part.items:
            yield from _leaves(inner)
    else:
        yield part
