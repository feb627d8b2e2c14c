"""The only reader of the environment: where things lie and how they are tuned, as one frozen value.

Data root: `HASNA_AUTOMATIONS_DIR`, else `AUTOMATIONS_DATA_DIR`, else `~/.hasna/automations`. The store is `automations.db`
in it unless `AUTOMATIONS_STORE` (or `--store`) names another.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from automations.errors import InvalidInput

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7391


class Setting(NamedTuple):
    """One environment variable, for the reference docs."""

    name: str
    default: str
    description: str


SETTINGS = (
    Setting(
        "HASNA_AUTOMATIONS_DIR",
        "~/.hasna/automations",
        "Data root: the embedded database, `daemon.pid`, crash reports.",
    ),
    Setting("AUTOMATIONS_DATA_DIR", "", "Data root where `HASNA_AUTOMATIONS_DIR` is not set."),
    Setting(
        "AUTOMATIONS_STORE", "sqlite:///<data root>/automations.db", "Store URL: `sqlite:///path` or `postgresql://…`."
    ),
    Setting("AUTOMATIONS_SPECS", "", "The directory of specs that the daemon reconciles when no PATH is given."),
    Setting("AUTOMATIONS_SECRETS_DIR", "", "Directory of secret files, one a reference."),
    Setting("AUTOMATIONS_ACTOR", "the OS user", "Who is recorded for a change when `--actor` is not given."),
    Setting(
        "AUTOMATIONS_LOG_FORMAT",
        "",
        "`json` for JSON lines, `text` for key=value; by default JSON unless on a terminal.",
    ),
    Setting("NO_COLOR", "", "Any value turns colour off."),
)


class Settings(NamedTuple):
    """Everything the program takes from its surroundings. `environment` is kept for secrets and child processes only."""

    data_dir: Path
    store_url: str
    specs: str | None
    secrets_dir: str | None
    named_actor: str | None
    log_format: str
    color: bool
    environment: Mapping[str, str]

    @property
    def actor(self) -> str:
        """Who is recorded for a change."""
        return self.named_actor or _os_user()

    @property
    def database_path(self) -> Path:
        """Where the embedded database lies (or would lie)."""
        return self.data_dir / "automations.db"

    @property
    def pid_file(self) -> Path:
        """Where a running daemon leaves its process id."""
        return self.data_dir / "daemon.pid"

    def over(self, *, directory: str | None, store: str | None, actor: str | None) -> "Settings":
        """These settings with the command line's words over them. Raises InvalidInput for an unusable data root."""
        chosen = self
        if directory:
            data_dir = _root(directory)
            given = self.environment.get("AUTOMATIONS_STORE", "")
            chosen = chosen._replace(data_dir=data_dir, store_url=given or _embedded(data_dir))
        if store:
            chosen = chosen._replace(store_url=store)
        return chosen._replace(named_actor=actor) if actor else chosen


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process (or of the mapping given). Raises InvalidInput for a data root that cannot be one."""
    given: Mapping[str, str] = os.environ if environment is None else environment
    root = given.get("HASNA_AUTOMATIONS_DIR") or given.get("AUTOMATIONS_DATA_DIR") or "~/.hasna/automations"
    data_dir = _root(root)
    return Settings(
        data_dir=data_dir,
        store_url=given.get("AUTOMATIONS_STORE") or _embedded(data_dir),
        specs=given.get("AUTOMATIONS_SPECS") or None,
        secrets_dir=given.get("AUTOMATIONS_SECRETS_DIR") or None,
        named_actor=given.get("AUTOMATIONS_ACTOR") or None,
        log_format=given.get("AUTOMATIONS_LOG_FORMAT", ""),
        color="NO_COLOR" not in given,
        environment=dict(given),
    )


def _root(named: str) -> Path:
    try:
        named.encode()
        return Path(named).expanduser().absolute()
    except UnicodeEncodeError:
        problem = f"the data root {named!r} is not UTF-8"
    except RuntimeError:
        problem = f"the data root {named} begins with a home directory that is not known"
    raise InvalidInput(problem, hint="give an absolute path in HASNA_AUTOMATIONS_DIR or with --dir")


def _embedded(data_dir: Path) -> str:
    return f"sqlite:///{data_dir / 'automations.db'}"


def _os_user() -> str:
    import getpass  # noqa: PLC0415  # few commands record who it was

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process whose uid has no account, as in many containers
        return f"uid:{os.getuid()}"
