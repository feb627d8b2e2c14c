"""A route's `typeTemplate`, such as `release.${{ body.action }}`: the event's type computed from the request's body."""

from functools import lru_cache
from typing import Any

from automations.core.expression.cel import BODY_ROOTS, EvaluationFailed, ExpressionInvalid
from automations.core.expression.template import Template, compile_template
from automations.errors import InvalidInput


def render_type(template: str, body: Any) -> str:
    """Evaluate a route's `typeTemplate` over a body. Raises InvalidInput when it fails or gives no text."""
    try:
        rendered = _template(template).render({"body": body})
    except (EvaluationFailed, ExpressionInvalid) as problem:
        raise InvalidInput(f"the route's typeTemplate failed: {problem}") from problem
    if not isinstance(rendered, str):
        raise InvalidInput("the route's typeTemplate does not give a text")
    return rendered


@lru_cache(maxsize=1024)
def _template(text: str) -> Template:
    return compile_template(text, roots=BODY_ROOTS)
