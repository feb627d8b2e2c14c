"""`:name` is a parameter only where PostgreSQL would stand between two tokens."""

import pytest

from automations.store.placeholders import to_pyformat


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT :a", "SELECT %(a)s"),
        ("a=:a,b=:b_2)", "a=%(a)s,b=%(b_2)s)"),
        ("(:a)::text", "(%(a)s)::text"),
        (":a::bigint", "%(a)s::bigint"),
        ("x::text", "x::text"),
        ("':a' || :a", "':a' || %(a)s"),
        ("'it''s :a' || :a", "'it''s :a' || %(a)s"),
        (r"E'\':a' || :a", r"E'\':a' || %(a)s"),
        ('":a" = :a', '":a" = %(a)s'),
        ("-- it's :a\n:a", "-- it's :a\n%(a)s"),
        ("/* it's :a */ :a", "/* it's :a */ %(a)s"),
        ("$$ :a ' $$ :a", "$$ :a ' $$ %(a)s"),
        ("$x$ :a $$ $x$ :a", "$x$ :a $$ $x$ %(a)s"),
        ("a LIKE 'x%' AND 5 % :a", "a LIKE 'x%%' AND 5 %% %(a)s"),
        ("items[1:2]", "items[1:2]"),
        ("'24:00:00'", "'24:00:00'"),
        ("", ""),
    ],
)
def test_only_parameters_become_placeholders(ours: str, theirs: str) -> None:
    assert to_pyformat(ours) == theirs
