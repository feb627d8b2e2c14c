"""The typer application, built from the same declarations: help, completion, and every command that people type.

Handlers get parsed values by name, exactly as from the quick parser.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from automations.cli.command import Argument, Command, Option
from automations.cli.context import Context
from automations.cli.globals import GLOBAL_OPTIONS
from automations.cli.registry import GROUPS
from automations.errors import UsageError

_TYPES = {"text": str, "number": int, "flag": bool}
_ABOUT = {
    "automations": "Declarative, GitOps-style control plane for automations.",
    "automations-daemon": "Watches specs, takes webhooks, runs actions.",
}
_HELP = {"help_option_names": ["-h", "--help"]}


def run(program: str, commands: Sequence[Command], words: Sequence[str], *, context: Context) -> int:
    """Parse with typer and run; the exit status. Raises UsageError for what typer does not understand."""
    application = build(program, commands, context=context)
    arguments = ["--help"] if not words or list(words) == ["help"] else list(words)
    try:
        status = application(arguments, prog_name=program, standalone_mode=False)
    except TyperException as problem:
        raise UsageError(problem.format_message().replace("\n", " "), hint=f"see: {program} --help") from None
    except typer.Abort:
        return 130
    return status if isinstance(status, int) else 0


def build(program: str, commands: Sequence[Command], *, context: Context) -> typer.Typer:
    """One typer application with every command under its words."""
    application = _group(_ABOUT[program])
    application.callback()(_globals)
    groups: dict[str, typer.Typer] = {}
    for command in commands:
        parent = application
        if len(command.words) > 1:
            name = command.words[0]
            if name not in groups:
                groups[name] = _group(GROUPS[name])
                application.add_typer(groups[name], name=name, help=GROUPS[name])
            parent = groups[name]
        for name in (command.words[-1], *command.aliases):
            parent.command(name, help=command.help, context_settings=_HELP, hidden=name in command.aliases)(
                _function(command, context)
            )
    return application


def _group(about: str) -> typer.Typer:
    return typer.Typer(
        help=about, no_args_is_help=True, rich_markup_mode=None, context_settings=_HELP, add_completion=True
    )


def _globals(**_: Any) -> None:
    """Declarative, GitOps-style control plane for automations."""


def _function(command: Command, context: Context) -> Any:
    def call(**values: Any) -> int:
        return command.run(context, _plain(command, values))

    _sign(call, [*(_argument(each) for each in command.arguments), *(_option(each) for each in command.options)])
    return call


def _plain(command: Command, values: Mapping[str, Any]) -> dict[str, Any]:
    many = {option.key for option in command.options if option.many}
    return {name: tuple(value or ()) if name in many else value for name, value in values.items()}


def _argument(argument: Argument) -> inspect.Parameter:
    shown = typer.Argument(help=argument.help, metavar=argument.name.upper(), show_default=argument.default is not None)
    needed = argument.required and argument.default is None
    kind: Any = Annotated[str if needed else str | None, shown]
    default = inspect.Parameter.empty if needed else argument.default
    return inspect.Parameter(argument.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _option(option: Option) -> inspect.Parameter:
    shown = typer.Option(option.name, help=option.help, show_default=option.default not in (None, False))
    base: Any = _TYPES[option.kind]
    if option.many:
        base = list[base]
    inner: Any = base if option.kind == "flag" else base | None
    kind: Any = Annotated[inner, shown]
    return inspect.Parameter(option.key, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=kind)


def _sign(function: Any, parameters: list[inspect.Parameter]) -> None:
    """Give a function the signature that typer reads its options from."""
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


_sign(_globals, [_option(option) for option in GLOBAL_OPTIONS])
