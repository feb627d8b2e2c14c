"""`schema`: print a JSON Schema, or what a catalogue of schemas says of it, for editors and other tools."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from automations.cli.command import Argument, Command, Option
from automations.errors import UsageError

if TYPE_CHECKING:
    from automations.cli.context import Context

NAMES = ("automation", "action", "test", "plan")
_TESTS = ("**/automations.d/**/*.test.yaml", "**/automations.d/**/*.test.yml", "**/automations.d/**/*.test.json")
_ACTIONS = tuple(f"**/automations.d/actions/**/*.{ending}" for ending in ("yaml", "yml", "json"))
FILES = {
    "automation": (
        *(f"**/automations.d/**/*.{ending}" for ending in ("yaml", "yml", "json")),
        "!**/automations.d/actions/**",
        *(f"!{each}" for each in _TESTS),
    ),
    "action": _ACTIONS,
    "test": _TESTS,
}
"""Which files a schema is for, as patterns of https://www.schemastore.org; the last that matches decides."""


def run(context: "Context", given: Mapping[str, Any]) -> int:
    """Print the schema as it is shipped, or catalogue entries."""
    from automations.core.spec.schemas import text

    name = given["name"]
    if name is not None and name not in NAMES:
        raise UsageError(f"unknown schema: {name}", hint=f"one of: {', '.join(NAMES)}")
    if given["catalog"]:
        context.document(_catalogue((name,) if name else tuple(FILES), base=given["base"]))
        return 0
    if given["base"]:
        raise UsageError("--base says where a catalogue finds the schemas", hint="give --catalog as well")
    context.say(text(name or "automation").rstrip("\n"))
    return 0


def _catalogue(names: tuple[str, ...], *, base: str | None) -> dict[str, Any]:
    """A catalogue as https://json.schemastore.org/schema-catalog.json has it, with an entry for each name."""
    from automations.core.spec.schemas import place, schema

    return {
        "$schema": "https://json.schemastore.org/schema-catalog.json",
        "version": 1,
        "schemas": [
            {
                "name": f"automations: {name}",
                "description": schema(name)["description"],
                **({"fileMatch": list(FILES[name])} if name in FILES else {}),
                "url": f"{base.rstrip('/')}/{name}.schema.json" if base else _file_url(place(name)),
            }
            for name in names
        ],
    }


def _file_url(path: str) -> str:
    from pathlib import Path

    return Path(path).resolve().as_uri()


COMMANDS = (
    Command(
        ("schema",),
        "Print a JSON Schema, or a catalogue of them for editors.",
        run,
        arguments=(Argument("name", f"One of {', '.join(NAMES)} (default: automation).", required=False),),
        options=(
            Option(
                "--catalog",
                "Print a SchemaStore catalogue instead: of all, or of the one named.",
                "flag",
                default=False,
            ),
            Option(
                "--base", "Where the catalogue says that the schemas are (default: the files of this installation)."
            ),
        ),
    ),
)
