"""Which kinds of bindings can be carried out here, found out without importing what carries them out."""

from importlib.util import find_spec

from automations.core.run.program import EXECUTABLE, OPTIONAL


def executor_kinds() -> tuple[str, ...]:
    """All kinds of ours, without the optional one where its library is not installed."""
    return tuple(kind for kind in EXECUTABLE if kind != OPTIONAL or find_spec(kind) is not None)
