"""A plan as a command prints it: in the wanted format, and without the value of any secret that is known here."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automations.adapters.redaction import Redactor
    from automations.cli.context import Context
    from automations.core.plan.plan import Plan

FORMATS = ("human", "json", "markdown", "github", "sarif")


def text_of(context: "Context", plan: "Plan", *, form: str = "human", replayed: "dict[str, Any] | None" = None) -> str:
    """The plan in one of FORMATS, without a final newline; with what a replay found, if there was one."""
    hide = _redactor(context)
    if form in ("json", "sarif"):
        body = document_of(context, plan, form)
        if replayed is not None:
            kept = body if form == "json" else body["runs"][0]["properties"]
            kept["replay"] = hide.plain(replayed)
        return json.dumps(body, indent=2, ensure_ascii=False)
    text = _rendered(plan, form, color=context.color)
    if replayed is not None:
        text += _replay(replayed, form)
    return hide.text(text).rstrip("\n")


def _rendered(plan: "Plan", form: str, *, color: bool) -> str:
    if form == "markdown":
        from automations.core.plan.render.markdown import markdown

        return markdown(plan)
    if form == "github":
        from automations.core.plan.render.github import github

        return github(plan)
    from automations.core.plan.render.human import human

    return human(plan, color=color)


def _replay(replayed: "dict[str, Any]", form: str) -> str:
    """A replay below the plan: lines for people, a bounded fold in a comment, one notice as an annotation."""
    from automations.core.plan.render.replay import replay_lines

    lines = list(replay_lines(replayed))
    if form == "markdown":
        from automations.core.plan.render.markdown import fold

        return fold("Replay", lines)
    if form == "github":
        from automations.core.plan.render.github import notice

        return notice("replay", lines[0]) + "\n"
    return "\n" + "\n".join(lines) + "\n"


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
    from automations.adapters.redaction import Redactor as Made

    return Made(context.runtime.secrets.known())
