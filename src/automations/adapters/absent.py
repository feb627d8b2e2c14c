"""What is said of a path that leads to nothing: the same words in every command, with the whole path that was looked at."""

from pathlib import Path

from automations.errors import InvalidInput


def absence(path: Path | str) -> str:
    """The sentence."""
    return f"{Path(path).absolute()} is not there"


def unreadable(path: Path | str, problem: OSError) -> InvalidInput:
    """The error of a file that cannot be read."""
    said = absence(path) if isinstance(problem, FileNotFoundError) else f"{path}: {problem.strerror}"
    return InvalidInput(said, hint="check the path", code="file_unreadable")
