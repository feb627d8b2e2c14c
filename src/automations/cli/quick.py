"""The quick parser: the runner protocol's few commands, read from their declarations without importing typer.

A test holds it equal to typer's reading of the same declarations.
"""

from collections.abc import Sequence
from typing import Any, Final

from automations.cli.command import Command, Option
from automations.errors import UsageError

MOST_DIGITS: Final = 18


def parse(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """Values by name, defaults filled in. Raises UsageError naming the word that was not understood."""
    options = {option.name: option for option in command.options}
    values: dict[str, Any] = {option.key: () if option.many else option.default for option in command.options}
    plain: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, attached = word.partition("=")
        if word == "--":
            plain.extend(rest)
        elif not word.startswith("-") or word == "-":
            plain.append(word)
        elif name not in options:
            raise UsageError(f"No such option: {name}", hint=f"see: automations {command.name} --help")
        else:
            option = options[name]
            given = _given(option, attached if equals else None, rest=rest)
            values[option.key] = (*values[option.key], given) if option.many else given
    for option in command.options:  # of an option given twice the last one counts, and only that must be a number
        if option.kind == "number" and isinstance(values[option.key], str):
            values[option.key] = whole_number(option, values[option.key])
    return values | _arguments(command, plain)


def _given(option: Option, attached: str | None, *, rest: Any) -> Any:
    if option.kind == "flag":
        if attached is not None:
            raise UsageError(f"Option '{option.name}' does not take a value.")
        return True
    text = next(rest, None) if attached is None else attached
    if text is None:
        raise UsageError(f"{option.name} requires a value", hint=f"such as: {option.name} VALUE")
    return text


def whole_number(option: Option, text: str) -> int:
    """The number that an option was given: plain digits, as many as always fit 64 bits. Raises UsageError."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        raise UsageError(f"{option.name} takes a whole number of at most {MOST_DIGITS} digits, not {text[:40]!r}")
    return int(text)


def _arguments(command: Command, plain: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for argument in command.arguments:
        if plain:
            values[argument.name] = plain.pop(0)
        elif argument.required and argument.default is None:
            raise UsageError(
                f"{command.name} requires {argument.help[0].lower()}{argument.help[1:].rstrip('.')}",
                hint=f"see: automations {command.name} --help",
            )
        else:
            values[argument.name] = argument.default
    if plain:
        raise UsageError(f"Got unexpected extra argument ({plain[0]})", hint=f"see: automations {command.name} --help")
    return values
