"""The last moment before an attempt: secrets take the places that the templates name, and the binding's own templates are filled.

Pure but for the secret that is asked for. What comes out is handed to an executor and to nobody else.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from automations.core.diagnostic import Path
from automations.core.expression.cel import ExpressionInvalid
from automations.core.expression.secret import ROOT, Reveal, filled
from automations.core.expression.template import compile_template, scan
from automations.core.run.execution import Invocation

BINDING_ROOTS = frozenset({"input", ROOT})
TEMPLATED: Mapping[str, str] = {"local-shell": "env", "python": "env", "http": "headers"}
"""The one key of each kind of binding whose values may be templates.

Data in a command, an argument or a URL could change what is done: it goes into variables, headers, stdin and the body alone.
"""


def ready(invocation: Invocation, secret: Reveal) -> Invocation:
    """The attempt with everything in its place. Raises SecretUnavailable, EvaluationFailed, ExpressionInvalid."""
    given = filled(invocation.input, invocation.secrets, secret)
    key = TEMPLATED.get(invocation.binding.kind, "")
    config = invocation.binding.config
    if key in config:
        template = compile_template(config[key], roots=BINDING_ROOTS)
        if not template.constant:
            rendered = template.render({"input": given})
            config = {**config, key: filled(rendered, template.secrets(), secret)}
    return replace(invocation, input=given, binding=replace(invocation.binding, config=config), secrets=())


def binding_problems(kind: str, config: Mapping[str, Any]) -> list[tuple[Path, ExpressionInvalid]]:
    """What is wrong with the templates of a binding, and where one stands that must not."""
    allowed = TEMPLATED.get(kind, "")
    found: list[tuple[Path, ExpressionInvalid]] = []
    if allowed in config:
        found += [((allowed, *path), problem) for path, problem in scan(config[allowed], roots=BINDING_ROOTS).problems]
    for path in scan({key: value for key, value in config.items() if key != allowed}).templated():
        hint = f"values of {allowed} may be templates of input and secrets" if allowed else ""
        hint = "; ".join(filter(None, (hint, "the input itself comes on stdin, or as the body or arguments")))
        found.append(
            (path, ExpressionInvalid(f"{path[0]} holds no templates: data must not change what is done", hint=hint))
        )
    return found
