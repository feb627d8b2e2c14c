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
from automations.cli.quick import whole_number
from automations.cli.registry import GROUPS, among
from automations.errors import UsageError

_VALUES = {"text": "VALUE", "number": "N", "flag": None}
"""How help shows what an option takes."""
_ABOUT = {
    "automations": "Declarative, GitOps-style control plane for automations.",
    "automations-daemon": "Watches specs, takes webhooks, runs actions.",
}
_HELP = {"help_option_names": ["-h", "--help"]}


def run(program: str, commands: Sequence[Command], *, words: tuple[str, ...], context: Context) -> int:
    """Parse with typer and run; the exit status. Raises UsageError for what typer does not understand."""
    application = build(program, commands, context=context)
    if words[:1] == ("help",):
        words = (*words[1:], "--help")
    elif len(words) == 1 and words[0] in GROUPS and not context.json:  # help is no JSON document
        words = (*words, "--help")
    try:
        status = application(list(words) or ["--help"], prog_name=program, standalone_mode=False)
    except TyperException as problem:
        raise _not_understood(problem, program, commands=commands, words=words) from None
    except typer.Abort:
        return 130
    except SystemExit as ended:  # from within typer, which does so when nobody reads what it prints
        return ended.code if isinstance(ended.code, int) else 1
    return status if isinstance(status, int) else 0


def _not_understood(
    problem: TyperException, program: str, *, commands: Sequence[Command], words: tuple[str, ...]
) -> UsageError:
    """What typer says, or for a group without a command its commands; with the help page that is nearest."""
    group = words[0] if words and any(len(each.words) > 1 and each.words[0] == words[0] for each in commands) else ""
    found = among(tuple(commands), words)
    page = " ".join((program, found.name if found else group)).rstrip()
    message = problem.format_message().replace("\n", " ")
    if words == (group,):
        known = ", ".join(each.words[1] for each in commands if each.words[0] == group)
        message = f"{group} needs a command: {known}"
    return UsageError(message, hint=f"see: {page} --help")


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
    plain = dict(values)
    plain |= {each.name: tuple(values[each.name] or ()) for each in command.arguments if each.many}
    for option in command.options:
        value = values[option.key]
        if option.many:
            plain[option.key] = tuple(value or ())
        elif option.kind == "number" and value is not None:
            plain[option.key] = whole_number(option, value)
    return plain


def _argument(argument: Argument) -> inspect.Parameter:
    shown = typer.Argument(help=argument.help, metavar=argument.name.upper(), show_default=argument.default is not None)
    needed = argument.required and argument.default is None
    base: Any = list[str] if argument.many else str
    kind: Any = Annotated[base if needed else base | None, shown]
    default = inspect.Parameter.empty if needed else argument.default
    return inspect.Parameter(argument.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _option(option: Option) -> inspect.Parameter:
    shown = typer.Option(
        option.name,
        help=f"{option.help}  [required]" if option.required else option.help,
        metavar=_VALUES[option.kind],
        show_default=option.default not in (None, False),
    )
    base: Any = list[str] if option.many else str
    inner: Any = bool if option.kind == "flag" else base | None
    kind: Any = Annotated[inner, shown]
    # Numbers are read by our own rule, the quick parser's: typer would take 5.0 and other people's digits.
    default = str(option.default) if option.kind == "number" and option.default is not None else option.default
    return inspect.Parameter(option.key, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _sign(function: Any, parameters: list[inspect.Parameter]) -> None:
    """Give a function the signature that typer reads its options from."""
    function.__signature__ = inspect.Signature(parameters)
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


_sign(_globals, [_option(option) for option in GLOBAL_OPTIONS])
