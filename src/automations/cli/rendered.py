"""A plan as a command prints it: in the wanted format, and without the value of any secret that is known here."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automations.adapters.executors.redaction import Redactor
    from automations.cli.context import Context
    from automations.core.plan.plan import Plan

FORMATS = ("human", "json", "markdown", "github", "sarif")


def text_of(context: "Context", plan: "Plan", form: str = "human") -> str:
    """The plan in one of FORMATS, without a final newline."""
    if form in ("json", "sarif"):
        return json.dumps(document_of(context, plan, form), indent=2, ensure_ascii=False)
    if form == "markdown":
        from automations.core.plan.render.markdown import markdown as render
    elif form == "github":
        from automations.core.plan.render.github import github as render
    else:
        from automations.core.plan.render.human import human

        return _redactor(context).text(human(plan, color=context.color)).rstrip("\n")
    return _redactor(context).text(render(plan)).rstrip("\n")


def document_of(context: "Context", plan: "Plan", form: str = "json") -> dict[str, Any]:
    """The plan as plain data, in our own form or as SARIF."""
    if form == "sarif":
        from automations.core.plan.render.sarif import sarif

        body = sarif(plan)
    else:
        from automations.core.plan.render.document import document

        body = document(plan, now=context.runtime.clock.now())
    cleared: dict[str, Any] = _redactor(context).plain(body)
    return cleared


def _redactor(context: "Context") -> "Redactor":
    from automations.adapters.executors.redaction import Redactor as Made

    return Made(context.runtime.secrets.known())
