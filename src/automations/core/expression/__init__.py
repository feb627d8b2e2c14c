"""Expressions: bare CEL (`cel`), `${{ cel }}` inside plain data (`template`), and `when` in both forms (`matcher`)."""
