"""The only reader of the environment and of `automations.toml`: where things lie and how they are tuned, as one frozen value.

What is said nearer wins: the command line, then the environment, then the file, then the default. Data root:
`HASNA_AUTOMATIONS_DIR`, else `AUTOMATIONS_DATA_DIR`, else `data_dir` in the file, else `~/.hasna/automations`. The store is
`automations.db` in it unless `AUTOMATIONS_STORE` (or `--store`, or `store` in the file) names another.

The file is the one that `--config` or `AUTOMATIONS_CONFIG` names, else `automations.toml` in the working directory, else in
the data root. The declarations below are all there is to a setting: both readings, the checks and the reference page come from
them.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from automations.core import actor, source_name
from automations.errors import InvalidInput

if TYPE_CHECKING:
    from automations.configuration import Configuration

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 7391
HIGHEST_PORT = 65_535
SHORTEST_INTERVAL_MS = 100
LARGEST_NUMBER = 2**53 - 1

FILE_NAME = "automations.toml"
_DATA_DIR = "~/.hasna/automations"
_DAY = 86_400_000_000
_RETENTION = "retention."
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

Kind = Literal["text", "path", "number", "flag", "duration", "actor", "source"]
"""What a setting takes. A relative path in the file starts from the file's folder; a duration is written `90s` or `1h30m`."""


class Setting(NamedTuple):
    """One setting: its environment variable, its key in `automations.toml` (`daemon.port` is `port` in `[daemon]`), or both."""

    name: str
    default: str
    description: str
    key: str = ""
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = LARGEST_NUMBER


SETTINGS = (
    Setting(
        "AUTOMATIONS_CONFIG",
        "",
        "The settings file (also `--config`); without it, `automations.toml` in the working directory, else in the data root.",
    ),
    Setting(
        "HASNA_AUTOMATIONS_DIR",
        _DATA_DIR,
        "Data root (also `--dir`): the embedded database, `daemon.pid`, crash reports.",
        key="data_dir",
        kind="path",
    ),
    Setting("AUTOMATIONS_DATA_DIR", "", "Data root where `HASNA_AUTOMATIONS_DIR` is not set."),
    Setting(
        "AUTOMATIONS_STORE",
        "sqlite:///<data root>/automations.db",
        "Store URL (also `--store`): `sqlite:///path` or `postgresql://…`.",
        key="store",
    ),
    Setting(
        "AUTOMATIONS_SPECS",
        "",
        "The directory of specs of source `default`, where no PATH is given: what the daemon reconciles and `plan` reads.",
        key="specs",
        kind="path",
    ),
    Setting(
        "AUTOMATIONS_SECRETS_DIR", "", "Directory of secret files, one a reference.", key="secrets_dir", kind="path"
    ),
    Setting(
        "AUTOMATIONS_PYTHON",
        "the one that runs the worker",
        "The interpreter (3.10 or newer) that calls the functions of `python` bindings.",
        key="python",
    ),
    Setting(
        "AUTOMATIONS_MCP_SERVERS",
        "<data root>/mcp.json",
        "The file that says where the servers of `mcp` bindings are.",
        key="mcp_servers",
        kind="path",
    ),
    Setting(
        "AUTOMATIONS_ACTOR",
        "the OS user",
        "Who is recorded for a change when `--actor` is not given: a printable name that is not one of the system's own.",
        key="actor",
        kind="actor",
    ),
    Setting(
        "AUTOMATIONS_LOG_FORMAT",
        "",
        "`json` for JSON lines, `text` for key=value; by default JSON unless on a terminal.",
        key="log_format",
        choices=("json", "text"),
    ),
    Setting(
        "AUTOMATIONS_CAUSE",
        "",
        "Set for the processes of a run; `automations events send` passes its hop count on with every event.",
    ),
    Setting("NO_COLOR", "", "Any value turns colour off; an empty one is none."),
    Setting(
        "AUTOMATIONS_LISTEN_HOST",
        DEFAULT_HOST,
        "The address that `automations-daemon serve` listens on (also `--host`).",
        key="daemon.host",
    ),
    Setting(
        "AUTOMATIONS_LISTEN_PORT",
        str(DEFAULT_PORT),
        "The port that it listens on (also `--port`); 0 takes a free one.",
        key="daemon.port",
        kind="number",
        high=HIGHEST_PORT,
    ),
    Setting(
        "AUTOMATIONS_MAX_BODY_BYTES",
        str(1 << 20),
        "The largest webhook body that it takes (also `--max-body-bytes`).",
        key="daemon.max_body_bytes",
        kind="number",
        low=1,
    ),
    Setting(
        "AUTOMATIONS_WORKER",
        "true",
        "Whether the daemon executes actions itself (`--no-worker` says no).",
        key="daemon.worker",
        kind="flag",
    ),
    Setting(
        "AUTOMATIONS_INTERVAL_MS",
        "5000",
        "Milliseconds between the daemon's heartbeats (also `--interval-ms`).",
        key="daemon.interval_ms",
        kind="number",
        low=SHORTEST_INTERVAL_MS,
    ),
    Setting(
        "AUTOMATIONS_TTL_MS",
        "15000",
        "Milliseconds after which a silent daemon's lease is free (also `--ttl-ms`).",
        key="daemon.ttl_ms",
        kind="number",
        low=SHORTEST_INTERVAL_MS,
    ),
    Setting(
        "AUTOMATIONS_RETENTION_SUCCEEDED",
        "7d",
        "How long runs that succeeded, were superseded or dropped are kept after their end.",
        key="retention.succeeded",
        kind="duration",
    ),
    Setting(
        "AUTOMATIONS_RETENTION_DEAD",
        "30d",
        "How long runs that failed, timed out or were cancelled are kept, with their dead letters.",
        key="retention.dead",
        kind="duration",
    ),
    Setting(
        "AUTOMATIONS_RETENTION_ATTEMPTS",
        "14d",
        "How long ended attempts are kept, but for those of dead letters.",
        key="retention.attempts",
        kind="duration",
    ),
    Setting(
        "AUTOMATIONS_RETENTION_EVENTS",
        "7d",
        "How long the content of events that no run needs is kept; their identities are kept 7 days at least.",
        key="retention.events",
        kind="duration",
    ),
    Setting(
        "AUTOMATIONS_RETENTION_AUDIT",
        "400d",
        "How long old generations, replay requests and audit entries are kept.",
        key="retention.audit",
        kind="duration",
    ),
)
"""In the order of the reference page."""

SOURCE_SETTINGS = (
    Setting(
        "", "", "The name that the source's automations are owned under; each only once.", key="name", kind="source"
    ),
    Setting(
        "", "", "The directory of specs; without a PATH, `plan --source NAME` reads it too.", key="path", kind="path"
    ),
    Setting(
        "",
        "confirm",
        "What becomes of an automation whose file is gone: `off` keeps it, `confirm` asks, `auto` deletes it.",
        key="prune",
        choices=("off", "confirm", "auto"),
    ),
    Setting("", "60s", "How long a file must have been gone before it counts.", key="prune_after", kind="duration"),
    Setting("", "false", "Whether drift from the files is repaired, not only told.", key="self_heal", kind="flag"),
)
"""The keys of a `[[source]]` table; `name` and `path` are required."""

REQUIRED = ("name", "path")
"""Of SOURCE_SETTINGS."""


class Words(NamedTuple):
    """What the command line says about settings, in its global options."""

    config: str | None = None
    directory: str | None = None
    store: str | None = None
    actor: str | None = None


NOTHING_SAID = Words()


class SourceSettings(NamedTuple):
    """One directory that a daemon reconciles. `prune_after` in microseconds."""

    name: str
    path: str
    prune: Literal["off", "confirm", "auto"] = "confirm"
    prune_after: int = 60_000_000
    self_heal: bool = False


class DaemonSettings(NamedTuple):
    """How a daemon listens and works, where its command line does not say."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    max_body_bytes: int = 1 << 20
    worker: bool = True
    interval_ms: int = 5_000
    ttl_ms: int = 15_000


class RetentionSettings(NamedTuple):
    """How long what ended is kept (microseconds)."""

    succeeded: int = 7 * _DAY
    dead: int = 30 * _DAY
    attempts: int = 14 * _DAY
    events: int = 7 * _DAY
    audit: int = 400 * _DAY


class Settings(NamedTuple):
    """Everything the program takes from its surroundings. `environment` is kept for secrets and child processes only."""

    data_dir: Path
    store_url: str
    sources: tuple[SourceSettings, ...]
    daemon: DaemonSettings
    retention: RetentionSettings
    secrets_dir: str | None
    named_actor: str | None
    log_format: str
    color: bool
    environment: Mapping[str, str]
    python: str | None
    mcp_servers: Path
    file: Path | None = None

    @property
    def cause(self) -> str | None:
        """The run whose process this is, as its executor wrote it down; None outside of a run."""
        return self.environment.get("AUTOMATIONS_CAUSE") or None

    @property
    def actor(self) -> str:
        """Who is recorded for a change."""
        return self.named_actor or _os_user()

    @property
    def database_path(self) -> Path:
        """Where the embedded database lies (or would lie)."""
        return self.data_dir / "automations.db"

    @property
    def embedded_database(self) -> Path | None:
        """The file that the store URL names; None when it names a server."""
        path = self.store_url.removeprefix("sqlite:")
        return Path("/" + path.lstrip("/") if path.startswith("//") else path) if path != self.store_url else None

    @property
    def pid_file(self) -> Path:
        """Where a running daemon leaves its process id."""
        return self.data_dir / "daemon.pid"


def load(environment: Mapping[str, str] | None = None, words: Words = NOTHING_SAID) -> Settings:
    """Settings of this process (or of the mapping given), under the command line's words.

    Raises InvalidInput for a data root that cannot be one or a variable that does not say what it must, ConfigInvalid for a
    file that is not as it should be.
    """
    given: Mapping[str, str] = os.environ if environment is None else environment
    named = words.directory or given.get("HASNA_AUTOMATIONS_DIR") or given.get("AUTOMATIONS_DATA_DIR")
    file = _file(words.config or given.get("AUTOMATIONS_CONFIG"), _root(named or _DATA_DIR))
    said = (dict(file.values) if file else {}) | _from_environment(given)
    data_dir = _root(named or said.get("data_dir") or _DATA_DIR)
    daemon = {key.removeprefix("daemon."): value for key, value in said.items() if key.startswith("daemon.")}
    return Settings(
        data_dir=data_dir,
        store_url=words.store or said.get("store") or f"sqlite:///{data_dir / 'automations.db'}",
        sources=_sources(said, file),
        daemon=DaemonSettings(**daemon),
        retention=_retention(said),
        secrets_dir=said.get("secrets_dir"),
        named_actor=said.get("actor") if words.actor is None else chosen_actor(words.actor),
        log_format=said.get("log_format", ""),
        color=not given.get("NO_COLOR"),
        environment=dict(given),
        python=said.get("python"),
        mcp_servers=Path(said.get("mcp_servers") or data_dir / "mcp.json").absolute(),
        file=file.path if file else None,
    )


def _retention(said: Mapping[str, Any]) -> RetentionSettings:
    given = {key.removeprefix(_RETENTION): value for key, value in said.items() if key.startswith(_RETENTION)}
    return RetentionSettings(**given)


def _file(named: str | None, data_dir: Path) -> "Configuration | None":
    """The settings file, if there is one; the parser is imported only then, because short commands are run in loops."""
    places = (Path(named),) if named else (Path(FILE_NAME), data_dir / FILE_NAME)
    for place in places:
        if named or place.exists():
            from automations.configuration import read  # noqa: PLC0415  # see above

            return read(place, holds_data=not named and place is places[-1])
    return None


def _from_environment(given: Mapping[str, str]) -> dict[str, Any]:
    """What variables say, by the keys of the file. An empty variable says nothing. Raises InvalidInput."""
    said: dict[str, Any] = {}
    for setting in SETTINGS:
        text = given.get(setting.name)
        if text and setting.key and setting.key != "data_dir":
            value = typed(setting, text)
            problem = unfit(setting, value)
            if problem:
                raise InvalidInput(f"{setting.name} {problem}", hint="see docs/reference/settings.md", code="usage")
            said[setting.key] = _duration(value) if setting.kind == "duration" else value
    return said


def typed(setting: Setting, text: str) -> Any:
    """A variable's text as the value that the file would hold; a text that is none stays one, and is then unfit."""
    if setting.kind == "number" and text.isascii() and text.isdigit():
        return int(text[:18])
    if setting.kind == "flag":
        return _FLAGS.get(text.lower(), text)
    return text


def unfit(setting: Setting, value: Any) -> str:
    """Why a value is not what the setting takes, such as `must be a whole number, not "x"`; empty when it is."""
    if setting.kind == "number":
        if not isinstance(value, int) or isinstance(value, bool):
            return f"must be a whole number, not {_shown(value)}"
        within = setting.low <= value <= setting.high
        return "" if within else f"must be from {setting.low} to {setting.high}, not {value}"
    if setting.kind == "flag":
        return "" if isinstance(value, bool) else f"must be true or false, not {_shown(value)}"
    if not isinstance(value, str) or not value:
        return f"must be a text that is not empty, not {_shown(value)}"
    if setting.kind == "actor":
        return actor.unfit(value)
    if setting.kind == "source":
        return source_name.unfit(value)
    if setting.kind == "duration":
        try:
            _duration(value)
        except ValueError:
            return f"must be a duration such as 30s or 1h30m, not {_shown(value)}"
    if setting.choices and value not in setting.choices:
        return f"must be one of {', '.join(setting.choices)}, not {_shown(value)}"
    return ""


def _duration(text: str) -> int:
    from automations.core.instant import parse_duration  # noqa: PLC0415  # few say one

    return parse_duration(text)


def _shown(value: Any) -> str:
    return f'"{value[:40]}"' if isinstance(value, str) else str(value)[:40].lower()


def _sources(said: Mapping[str, Any], file: "Configuration | None") -> tuple[SourceSettings, ...]:
    """`AUTOMATIONS_SPECS` stands for one source; it wins over the file's, which are tables or the same in short."""
    if "specs" in said:
        return (SourceSettings("default", said["specs"]),)
    return tuple(SourceSettings(**each) for each in file.sources) if file else ()


def _root(named: str) -> Path:
    try:
        named.encode()
        return Path(named).expanduser().absolute()
    except UnicodeEncodeError:
        problem = f"the data root {named!r} is not UTF-8"
    except RuntimeError:
        problem = f"the data root {named} begins with a home directory that is not known"
    raise InvalidInput(problem, hint="give an absolute path in HASNA_AUTOMATIONS_DIR or with --dir")


def chosen_actor(name: str) -> str:
    """A name that somebody gave as who is recorded. Raises InvalidInput when it cannot be that."""
    problem = actor.unfit(name)
    if problem:
        raise InvalidInput(
            f"the actor {problem}", hint="give the name of a person or a job, such as: --actor ada", code="usage"
        )
    return name


def _os_user() -> str:
    import getpass  # noqa: PLC0415  # few commands record who it was

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a process whose uid has no account, as in many containers
        name = ""
    if not actor.is_name(name):  # variables such as LOGNAME may say anything
        return f"uid:{os.getuid()}"
    return f"user:{name}" if actor.is_reserved(name) else name
