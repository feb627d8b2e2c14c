"""Whatever is wrong with a spec, it is told: no file, however broken, ends the program."""

import json
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from automations.core.spec.catalogue import assemble, interpret
from automations.core.spec.reader import read

VALID = sorted((Path(__file__).parents[1] / "data" / "specs" / "valid").iterdir())
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", "x", "${{ event.data.x }}", "${{", "secret://a/b", "0 0 * * *", "5m", "a" * 300,
    [], [1], [{}], [[]], ["a", "a"], {}, {"a": 1}, {"kind": "event"}, {"id": "a"}, {"type": [{}]}, {"${{ x }}": 1},
)  # fmt: skip
KEYS = (
    "bogus",
    "id",
    "when",
    "dependsOn",
    "approval",
    "retry",
    "input",
    "filter",
    "expr",
    "kind",
    "eventSchema",
    "inputSchema",
)


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.name)
def test_a_spec_with_anything_in_any_place_is_told_to_be_wrong_or_is_right(file: Path) -> None:
    document = read(file.read_bytes(), file.name).document
    assert document is not None
    acts = Random(file.name)  # noqa: S311  # a test's choice
    for _ in range(120):
        changed = deepcopy(document.value)
        for _ in range(acts.choice((1, 1, 2, 3))):
            _spoil(changed, acts)
        found = assemble([interpret(json.dumps(changed).encode(), "a.json")])
        assert all(each.message for each in found.diagnostics)


def _spoil(document: Any, acts: Random) -> None:
    """Take something away, put something in, or say it twice."""
    places = list(_places(document))
    if not places:
        return
    holder, key = acts.choice(places)
    what = acts.choice(("drop", "put", "double", "odd", "odd"))
    if what == "drop":
        del holder[key]
    elif what == "put" and isinstance(holder, dict):
        holder[acts.choice(KEYS)] = deepcopy(acts.choice(ODD))
    elif what == "double" and isinstance(holder, list):
        holder.append(deepcopy(holder[key]))
    else:
        holder[key] = deepcopy(acts.choice(ODD))


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(items):
        yield value, key
        yield from _places(each)
