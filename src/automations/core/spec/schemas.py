"""The schemas that are shipped: the single source of structure for editors, `validate`, `plan` and the server alike.

In an installed package they stand beside the code; in a checkout they stand in `schemas/` at the top of the repository,
where a modeline in a spec can reach them. Reading package data is the only reading that the core does; the package's own
loader does it, because importlib.resources takes as long to import as the interpreter to start.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import orjson

import automations
from automations.errors import NotFound

NAMES = ("automation", "action", "test")
"""The documents that people write."""

PRINTED = (*NAMES, "plan")
"""All that have a schema, with those that only the program writes."""

_PLACES = ("schemas", "../../schemas")


@cache
def text(name: str) -> str:
    """Read the JSON text of the schema called `name` (one of PRINTED).

    Raises NotFound for another name, or when this installation lacks its schemas.
    """
    if name not in PRINTED:
        raise NotFound(f"no schema is called {name}", hint=f"the schemas are: {', '.join(PRINTED)}")
    for place in _PLACES:
        with suppress(OSError):
            return _packaged(f"{place}/{name}.schema.json").decode()
    raise NotFound(f"the {name} schema is not part of this installation", hint="install the package again")


def place(name: str) -> str:
    """Tell in which file the schema called `name` is. Raises NotFound as `text` does."""
    text(name)
    for folder in _PLACES:
        with suppress(OSError):
            _packaged(f"{folder}/{name}.schema.json")
            return f"{automations.__path__[0]}/{folder}/{name}.schema.json"
    raise NotFound(f"the {name} schema is not part of this installation", hint="install the package again")


def _packaged(path: str) -> bytes:
    """A file that belongs to the package (PEP 302's `get_data`). Raises OSError."""
    loader: Any = automations.__spec__.loader
    data: bytes = loader.get_data(f"{automations.__path__[0]}/{path}")
    return data


@cache
def schema(name: str) -> Mapping[str, Any]:
    """Parse the schema called `name`; the data is shared by all who ask: read only. Raises NotFound as `text` does."""
    parsed: Mapping[str, Any] = orjson.loads(text(name))
    return parsed
