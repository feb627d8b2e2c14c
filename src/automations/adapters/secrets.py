"""Secrets behind the Secrets port: references become values here, from the environment or from files.

Everything else holds references (`secret://github/releases`). The environment is handed in by `automations.settings`;
the directory is `AUTOMATIONS_SECRETS_DIR`. All values are known for one purpose more: captured output is searched for
them before anybody sees it (`redaction.py`), whether or not somebody has asked for one of them before.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from automations.errors import SecretUnavailable

SIZE_LIMIT = 64 * 1024
"""Bytes of one secret file; a larger one is a mistake, not a secret."""

PREFIXES = (
    "HASNA_AUTOMATIONS_WEBHOOK_SECRET_",
    "AUTOMATIONS_WEBHOOK_SECRET_",
    "HASNA_AUTOMATIONS_SECRET_",
    "AUTOMATIONS_TOKEN",
)
"""How the names of variables begin that hold secrets of ours."""

MOST_FILES = 1000
"""Secret files that are looked at for redaction."""

_SCHEME = "secret://"
_PREVIOUS = "_PREVIOUS"
_OTHER_CHARACTERS = re.compile(r"[^A-Z0-9]+")
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


def variable_part(text: str) -> str:
    """Spell a route id or reference as part of a variable's name: `github/releases` gives `GITHUB_RELEASES`.

    Upper-cased, every run of characters other than A-Z and 0-9 one `_`, none at the ends (contract, "Secrets of a
    signed route"). May be empty.
    """
    return _OTHER_CHARACTERS.sub("_", text.upper()).strip("_")


def route_secret_names(route_id: str, ref: str | None) -> tuple[str, ...]:
    """Name the variables that may hold a signed route's secret, in the order in which they are looked up."""
    part = variable_part(route_id)
    own = (f"HASNA_AUTOMATIONS_WEBHOOK_SECRET_{part}", f"AUTOMATIONS_WEBHOOK_SECRET_{part}") if part else ()
    return own + (reference_names(ref) if ref is not None else ())


def reference_names(ref: str) -> tuple[str, ...]:
    """Name the variables that may hold the secret behind `ref`, with or without `secret://`."""
    part = variable_part(ref.removeprefix(_SCHEME))
    return (f"HASNA_AUTOMATIONS_SECRET_{part}",) if part else ()


class EnvironmentSecrets:
    """Looks references up in an environment mapping, then in a directory of files; the first one found wins.

    For rotation, `<NAME>_PREVIOUS` beside a variable and `<ref>_PREVIOUS` beside a file hold the value before. Files
    are read at every call, so a rotated file counts at once. An empty value is no value.
    """

    __slots__ = ("_directory", "_environment", "_revealed")

    def __init__(self, environment: Mapping[str, str], directory: str | None) -> None:
        self._environment = environment
        self._directory = directory
        self._revealed: dict[bytes, None] = {}

    def __repr__(self) -> str:
        return f"EnvironmentSecrets(directory={self._directory!r})"

    def resolve(self, names: tuple[str, ...], ref: str | None) -> tuple[bytes, ...]:
        """Find every value that is valid now, current first, then previous; empty when there is none.

        Raises SecretUnavailable when a file is there but must not be used: it leads out of the directory, is too big,
        is no plain file or cannot be read.
        """
        values = self._from_environment(names)
        if not values and ref is not None and self._directory:
            values = self._from_files(ref.removeprefix(_SCHEME), Path(self._directory))
        for value in values:
            self._revealed[value] = None
        return values

    def value(self, name: str) -> str:
        """Find the current value of a secret by its name, as text, for an action. Raises SecretUnavailable."""
        names = reference_names(name)
        values = self.resolve(names, name)
        variable = names[0] if names else "no variable (the name has no letter or digit)"
        if not values:
            folder = (
                f"the file {name} in {self._directory}"
                if self._directory
                else "no file: AUTOMATIONS_SECRETS_DIR is not set"
            )
            raise SecretUnavailable(f"There is no secret {name}.", hint=f"Looked for: {variable}; {folder}.")
        try:
            return values[0].decode()
        except UnicodeDecodeError as error:
            raise SecretUnavailable(f"The secret {name} is not UTF-8 text.", hint=f"Looked at {variable}.") from error

    def known(self) -> tuple[bytes, ...]:
        """List every secret that there is, and those that were given out before, for redaction only.

        An action may have one from the environment or a file although no request ever needed it.
        """
        ours = (os.fsencode(text) for name, text in self._environment.items() if text and name.startswith(PREFIXES))
        return tuple(dict.fromkeys((*self._revealed, *ours, *self._in_files())))

    def _in_files(self) -> Iterator[bytes]:
        if not self._directory:
            return
        directory = Path(self._directory)
        files = (Path(folder, name) for folder, _, names in os.walk(directory, followlinks=True) for name in names)
        for file in islice(files, MOST_FILES):
            with suppress(SecretUnavailable):
                value = _read(directory, file.relative_to(directory).as_posix())
                if value:
                    yield value

    def _from_environment(self, names: tuple[str, ...]) -> tuple[bytes, ...]:
        for name in names:
            current = self._environment.get(name)
            if current:
                previous = self._environment.get(name + _PREVIOUS)
                return tuple(os.fsencode(value) for value in (current, previous) if value)
        return ()

    def _from_files(self, ref: str, directory: Path) -> tuple[bytes, ...]:
        current = _read(directory, ref)
        if not current:
            return ()
        previous = _read(directory, ref + _PREVIOUS)
        return (current, previous) if previous else (current,)


def _read(directory: Path, ref: str) -> bytes:
    """Read the content of one secret file without its final newline; empty when there is no such file."""
    if "\0" in ref or any(part in {"", ".", ".."} for part in ref.split("/")):
        raise _refused(ref, "is not a plain relative path", "Use letters, digits, dots, dashes and single slashes.")
    try:
        root = directory.resolve(strict=True)
        # Links that stay inside are followed: that is how mounted secrets are switched over in one step.
        path = (root / ref).resolve(strict=True)
        if not path.is_relative_to(root):
            raise _refused(ref, "leads out of the secrets directory", "Put the file itself there, not a link to it.")
        return _bounded(path, ref)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except (OSError, RuntimeError) as error:  # RuntimeError is a loop of links before Python 3.13
        reason = getattr(error, "strerror", None) or "loop of links"
        raise _refused(ref, f"cannot be read: {reason}", "Check the file's owner and mode.") from error


def _bounded(path: Path, ref: str) -> bytes:
    # Non-blocking, so that a named pipe put there cannot hang a request.
    descriptor = os.open(path, _READ_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(ref, "is not a plain file", "Name a file inside the secrets directory.")
        content = os.read(descriptor, SIZE_LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(content) > SIZE_LIMIT:
        raise _refused(ref, f"is larger than {SIZE_LIMIT // 1024} KiB", "Store the secret alone in its file.")
    if content.endswith(b"\n"):
        content = content[:-1].removesuffix(b"\r")
    return content


def _refused(ref: str, why: str, hint: str) -> SecretUnavailable:
    return SecretUnavailable(f"The file of {_SCHEME}{ref!s} in AUTOMATIONS_SECRETS_DIR {why}.", hint=hint)
