"""Declarative, GitOps-style control plane for automations.

    from automations import AutomationsStore, example_automation_spec

The library face is imported when it is first asked for, so that short commands do not pay for it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automations.core.spec.example import example_automation_spec as example_automation_spec
    from automations.errors import ActionFailed as ActionFailed
    from automations.library import AutomationsStore as AutomationsStore
else:

    def __getattr__(name):
        """Import a name of the library face. Raises AttributeError for any other."""
        from importlib import import_module  # noqa: PLC0415  # only who asks for the library pays for it

        if name not in _FACE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_FACE[name]), name)


__version__ = "0.1.0"
__all__ = ["ActionFailed", "AutomationsStore", "__version__", "example_automation_spec"]
_FACE = {
    "ActionFailed": "automations.errors",
    "AutomationsStore": "automations.library",
    "example_automation_spec": "automations.core.spec.example",
}
