"""Reads the parts that executors share out of a binding and an invocation, and refuses what does not fit, by name."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from automations.core.run.execution import Failed, Invocation
from automations.errors import InvalidInput

KnownSecrets = Callable[[], Iterable[bytes]]
"""Gives every secret value that may turn up in captured output."""


def no_secrets() -> tuple[bytes, ...]:
    """Give no value: for executors in places that resolve no secret."""
    return ()


def text(config: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
    """Read `key` as text that is not empty. Raises InvalidInput."""
    value = config.get(key, default)
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"The binding's {key} must be text that is not empty.", hint=_HINT)
    return value


def choice(config: Mapping[str, Any], key: str, *, choices: tuple[str, ...]) -> str:
    """Read `key` as one of `choices`, the first by default. Raises InvalidInput."""
    value = config.get(key, choices[0])
    if value not in choices:
        raise InvalidInput(f"The binding's {key} must be one of {', '.join(choices)}.", hint=_HINT)
    return str(value)


def texts(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Read `key` as a list of scalars, each as text; empty when missing. Raises InvalidInput."""
    value = config.get(key, [])
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"The binding's {key} must be a list.", hint=_HINT)
    return tuple(scalar_text(item, f"{key}[{index}]") for index, item in enumerate(value))


def named_texts(config: Mapping[str, Any], key: str) -> dict[str, str]:
    """Read `key` as an object of scalars, each as text; empty when missing. Raises InvalidInput."""
    value = config.get(key, {})
    if not isinstance(value, Mapping):
        raise InvalidInput(f"The binding's {key} must be an object.", hint=_HINT)
    return {str(name): scalar_text(item, f"{key}.{name}") for name, item in value.items()}


def scalar_text(value: Any, place: str) -> str:
    """Spell a scalar as JSON does, text without quotes: a whole-scalar template keeps its type. Raises InvalidInput."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise InvalidInput(f"The binding's {place} must be text or a number.", hint=_HINT)


_Default = TypeVar("_Default", float, None)


def timeout_seconds(invocation: Invocation, *, default: _Default) -> float | _Default:
    """Give the attempt's time in seconds: the shorter of the step's and the binding's `timeoutMs`, else `default`.

    Raises InvalidInput.
    """
    limits = []
    if invocation.timeout is not None:
        limits.append(invocation.timeout / 1_000_000)
    milliseconds = invocation.binding.config.get("timeoutMs")
    if milliseconds is not None:
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float) or not milliseconds > 0:
            raise InvalidInput("The binding's timeoutMs must be a number above 0.", hint=_HINT)
        limits.append(milliseconds / 1000)
    return min(limits) if limits else default


def invalid(error: InvalidInput) -> Failed:
    """Tell a binding that cannot be carried out as an outcome; trying again cannot help."""
    return Failed("BINDING_INVALID", f"{error.message} {error.hint}".strip(), retryable=False)


_HINT = "Correct the action's manifest."
