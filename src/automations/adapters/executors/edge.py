"""Around every executor: an attempt gets its secrets at the last moment, or fails naming the one that is missing."""

from threading import Event
from typing import Protocol

from automations.adapters.executors.binding import KnownSecrets
from automations.adapters.redaction import redactor
from automations.core.expression.cel import EvaluationFailed, ExpressionInvalid
from automations.core.expression.secret import Reveal
from automations.core.run.edge import ready
from automations.core.run.execution import Failed, Invocation, Outcome
from automations.errors import SecretUnavailable


class Executor(Protocol):
    """Carries out one kind of binding; see `services.ports`."""

    @property
    def kind(self) -> str:
        """The kind of binding that it carries out."""
        ...

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Run an attempt to its outcome."""
        ...


class AtTheEdge:
    """An executor with the secrets of this machine: `secret` gives one by name, `known_secrets` all that may be shown."""

    def __init__(self, executor: Executor, *, secret: Reveal, known_secrets: KnownSecrets) -> None:
        self.kind = executor.kind
        self._executor = executor
        self._secret = secret
        self._known_secrets = known_secrets

    def execute(self, invocation: Invocation, cancelled: Event) -> Outcome:
        """Fill in what the attempt needs, and run it."""
        try:
            return self._executor.execute(ready(invocation, self._secret), cancelled)
        except SecretUnavailable as missing:
            return Failed("SECRET_UNAVAILABLE", f"{missing.message} {missing.hint}", retryable=False)
        except (EvaluationFailed, ExpressionInvalid) as problem:
            return Failed("EXPRESSION_ERROR", f"binding: {self._hidden(problem)}", retryable=False)
        except Exception as bug:  # noqa: BLE001  # a bug fails its attempt, and what it says may hold what was filled in
            told = f"{self.kind} executor failed: {type(bug).__name__}: {self._hidden(bug)}"
            return Failed("EXECUTOR_ERROR", told[:500], retryable=True)

    def _hidden(self, problem: Exception) -> str:
        return redactor(tuple(self._known_secrets())).text(str(problem))
