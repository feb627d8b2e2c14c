"""Turns our `:name` parameters into psycopg's `%(name)s`, leaving alone everything that only looks like one."""

import re
from functools import lru_cache

# What may hide a colon comes first, so that a parameter is only found where PostgreSQL's lexer stands between tokens
# (PostgreSQL manual, §4.1 Lexical Structure): strings, quoted identifiers, both comments, dollar quotes, casts.
_TOKEN = re.compile(
    r"""
      [eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | /\*.*?\*/
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
    | ::
    | (?<![\w:]):(?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=1024)
def to_pyformat(sql: str) -> str:
    """Rewrite a statement for psycopg: `:name` becomes `%(name)s` and every `%` is doubled, wherever it stands."""
    return _TOKEN.sub(_rewrite, sql.replace("%", "%%"))


def _rewrite(token: re.Match[str]) -> str:
    name = token["name"]
    return f"%({name})s" if name else token[0]
