"""What is said of a path that leads to nothing: the same words in every command, with where it was looked for."""

from pathlib import Path

from automations.errors import InvalidInput


def absence(path: Path | str) -> str:
    """The sentence, which begins with the path as it was given."""
    return f"{path} is not there" + ("" if Path(path).is_absolute() else f" (looked in {Path.cwd()})")


def unreadable(path: Path | str, problem: OSError) -> InvalidInput:
    """The error of a file that cannot be read."""
    said = absence(path) if isinstance(problem, FileNotFoundError) else f"{path}: {problem.strerror}"
    return InvalidInput(said, hint="check the path", code="file_unreadable")
