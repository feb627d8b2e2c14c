"""Writes docs/reference from the source: commands, settings, errors, telemetry events. `--check` only compares.

Nothing here is typed twice: commands come from their declarations, settings and errors from their modules, events from every
`emit("…")` in the source.
"""

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "automations"
REFERENCE = ROOT / "docs" / "reference"
ABOUT_SETTINGS = """\
What is said nearer wins: the command line, then the environment, then `automations.toml`, then the default. An empty variable
says nothing. The file is the one that `--config` or `AUTOMATIONS_CONFIG` names, else `automations.toml` in the working
directory, else in the data root; only one is read. An unknown key or an unfit value is an error that names its line, and
nothing is done. A key with a dot stands in a table: `daemon.port` is `port` under `[daemon]`. Relative paths start from its
folder. The store's password is best left out of it: libpq reads `PGPASSFILE`.

```toml
data_dir = "/var/lib/automations"
store = "postgresql://automations@db/automations"
secrets_dir = "/run/secrets/automations"
log_format = "json"

[daemon]
host = "0.0.0.0"
port = 7391

[[source]]
name = "platform"
path = "platform/automations.d"
prune = "confirm"

[[source]]
name = "payments"
path = "payments/automations.d"
```
"""
NOTE = "<!-- Written by `make docs`; edit the source instead. -->\n\n"


def main() -> int:
    """Write or compare every page; 1 when a page differs under --check."""
    pages = {
        "commands.md": commands(),
        "settings.md": settings(),
        "errors.md": errors(),
        "telemetry.md": telemetry(),
        "spec.md": spec(),
        "hazards.md": hazards(),
    }
    stale = [
        name
        for name, text in pages.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text() != NOTE + text
    ]
    if "--check" in sys.argv:
        for name in stale:
            sys.stderr.write(f"docs/reference/{name} does not match the source; run: make docs\n")
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (REFERENCE / name).write_text(NOTE + text)
    return 0


ABOUT_IDS = """\
## Ids

Where people type the id of a run, an action or an event, its beginning or its end is enough, from four characters on, as
long as it fits one alone: `automations runs show 72b9c0d7`. Time-ordered ids begin alike, so the end tells more. What fits
several is refused with all of them. The protocol of runners (`queue claim`, `heartbeat`, `complete`, `fail`, `release`), the
library and the server take whole ids.
"""


def commands() -> str:
    """Every command with its arguments and options."""
    from automations.cli.globals import GLOBAL_OPTIONS
    from automations.cli.registry import daemon_commands, every_command

    lines = ["# Commands", "", "## Global options", "", "Accepted before and after the command.", ""]
    lines += [f"- `{option.name}`: {option.help}" for option in GLOBAL_OPTIONS]
    lines += ["", *ABOUT_IDS.splitlines()]
    for program, declared in (("automations", every_command()), ("automations-daemon", daemon_commands())):
        for command in declared:
            words = [f"`{program} {command.name}`"]
            lines += ["", f"## {' '.join(words)}", "", command.help]
            if command.aliases:
                lines += ["", f"Also: {', '.join(f'`{alias}`' for alias in command.aliases)}."]
            rows = []
            for argument in command.arguments:
                default = f" Default `{argument.default}`." if argument.default else ""
                rows.append(f"- `{argument.name.upper()}`: {argument.help}{default}")
            for option in command.options:
                value = "" if option.kind == "flag" else " VALUE" if option.kind == "text" else " N"
                default = f" Default `{option.default}`." if option.default not in (None, False) else ""
                needed = " Required." if option.required else ""
                rows.append(f"- `{option.name}{value}`: {option.help}{default}{needed}")
            lines += ["", *rows] if rows else []
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Every setting: its variable, its key in the file, its default."""
    from automations.settings import SETTINGS, SOURCE_SETTINGS

    lines = ["# Settings", "", *(ABOUT_SETTINGS.splitlines()), "", "| variable | key | default | what it is for |"]
    lines += ["|---|---|---|---|"]
    for each in SETTINGS:
        words = " | ".join(f"`{word}`" if word else "" for word in (each.name, each.key, each.default))
        lines.append(f"| {words} | {each.description} |")
    lines += [
        "",
        "## Sources",
        "",
        "The keys of each `[[source]]` table. Without a path of their own, `plan`, `apply`, `diff`, `drift`",
    ]
    lines += ["and `adopt` read the `path` of the source that `--source` names, as the daemon does.", ""]
    lines += ["| key | default | what it is for |", "|---|---|---|"]
    for each in SOURCE_SETTINGS:
        default = f"`{each.default}`" if each.default else "required"
        lines.append(f"| `{each.key}` | {default} | {each.description} |")
    lines += ["", "## Secrets"]
    lines += [
        "",
        "Secrets of a signed webhook route, first found wins: `HASNA_AUTOMATIONS_WEBHOOK_SECRET_<ROUTE_ID>`,",
        "`AUTOMATIONS_WEBHOOK_SECRET_<ROUTE_ID>`, `HASNA_AUTOMATIONS_SECRET_<REF>`, then the file `<ref>` in",
        "`AUTOMATIONS_SECRETS_DIR`. Names are upper-cased and every run of other characters is one `_`. Beside any of them",
        "`<NAME>_PREVIOUS` keeps the old value valid while you rotate.",
    ]
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Every error class: stable code, exit status, meaning."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        if "postgres" not in name:
            importlib.import_module(name)
    from automations.errors import AutomationsError

    lines = ["# Errors", "", "| code | exit | what it means |", "|---|---|---|"]
    rows = {}
    for kind in _subclasses(AutomationsError):
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        rows[kind.code] = f"| `{kind.code}` | {kind.exit_status} | {meaning} |"
    return "\n".join(lines + [rows[code] for code in sorted(rows)]) + "\n"


def hazards() -> str:
    """Every risk that a plan warns of."""
    from automations.core.plan.hazards import DELETE_SHARE, MOST_DELETES
    from automations.core.plan.risks import RISKS

    lines = [
        "# Hazards",
        "",
        "What a plan warns of although every spec is sound. Each has a stable code, a severity, the automation that it is",
        "about, and a message. `plan --json` lists them under `hazards`, SARIF has their codes as rules. A *notice* is worth",
        "a look, a *danger* stops a reviewer; one that is *refused* stops `apply` with exit status 4 until the exact number",
        "that it names is said.",
        "",
        "The daemon never says such a number: what it would have to, it withholds, and goes on with the rest",
        "(`PruneBlocked` in `automations status`). A person can look, and apply.",
        "",
        f"The limits of AU001 are {MOST_DELETES} automations and {DELETE_SHARE:.0%} of what the source owns, over ten minutes.",
        "",
        "| code | severity | what it says |",
        "|---|---|---|",
    ]
    for risk in RISKS.values():
        refused = ", refused" if risk.refused else ""
        lines.append(f"| [{risk.code}](#{risk.code.lower()}) | {risk.severity}{refused} | {risk.title} |")
    for risk in RISKS.values():
        refused = ", refused" if risk.refused else ""
        lines += ["", f"## {risk.code}", "", f"**{risk.severity.capitalize()}{refused}: {risk.title}.** {risk.text}"]
    return "\n".join(lines) + "\n"


def spec() -> str:
    """Every key of a spec and of an action manifest, from the schemas that editors and the program use."""
    import json

    lines = ["# Specs, key by key", ""]
    lines += ["From the JSON Schemas, which also serve editors (`automations schema`, `automations schema action`)."]
    for name, title in (("automation", "Automations"), ("action", "Actions")):
        schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())
        lines += ["", f"## {title}", "", schema["description"], "", *_keys(schema)]
        for inner, part in schema["$defs"].items():
            if "properties" in part:
                about = part.get("description", "")
                lines += [
                    "",
                    f"### {title}: {part.get('title', inner)}",
                    "",
                    *([about, ""] if about else []),
                    *_keys(part),
                ]
    return "\n".join(lines) + "\n"


def _keys(schema: dict[str, Any]) -> list[str]:
    rows = ["| key | takes | default | what it is |", "|---|---|---|---|"]
    required = schema.get("required", [])
    for key, part in schema["properties"].items():
        default = f"`{json_text(part['default'])}`" if "default" in part else "required" if key in required else ""
        rows.append(f"| `{key}` | {_takes(part)} | {default} | {_cell(part.get('description', ''))} |")
    return rows


def _takes(part: dict[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{each}`" for each in part["enum"])
    if "const" in part:
        return f"`{part['const']}`"
    if "$ref" in part:
        return str(part["$ref"].rpartition("/")[2])
    kinds = part.get("type", "anything")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def json_text(value: object) -> str:
    """A default as it would be written."""
    import json

    return json.dumps(value, ensure_ascii=False).replace("|", "\\|")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for below in kind.__subclasses__():
        yield from _subclasses(below)


def telemetry() -> str:
    """Every event that the program tells of, with its fields."""
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "emit"
                and node.args
            ):
                found.setdefault(_name(node.args[0]), set()).update(each.arg or "…" for each in node.keywords)
    said = "One line each in the log. Never payloads, never secrets. Attempts are counted from 1, as by `runs show`."
    lines = ["# Telemetry events", "", said, ""]
    lines += ["| event | fields |", "|---|---|"]
    lines += [f"| `{name}` | {', '.join(sorted(fields))} |" for name, fields in sorted(found.items()) if name]
    return "\n".join(lines) + "\n"


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "<…>" for part in node.values)
    return ""


if __name__ == "__main__":
    sys.exit(main())
