"""Which known word somebody meant by one that is not known: what every "did you mean" is made from."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.7) -> str:
    """Pick the one of `known` that `word` was probably meant to be, or an empty string."""
    from difflib import get_close_matches  # noqa: PLC0415  # only where something is wrong

    plain = {_plain(each): each for each in known}
    close = get_close_matches(_plain(word), plain, n=1, cutoff=cutoff)
    close = close or [each for each in plain if one_slip(_plain(word), each, shortest=3)]
    return plain[close[0]] if close else ""


def one_slip(written: str, meant: str, *, shortest: int = 4) -> bool:
    """Whether a name is another but for one letter too many, too few or wrong, two that changed places, or its case.

    A name with fewer letters than `shortest` is not guessed at: `uid` is no slip for `id`.
    """
    if written.lower() == meant.lower():
        return written != meant
    if len(meant) < shortest or len(written) < shortest - 1 or abs(len(written) - len(meant)) > 1:
        return False
    at = next((place for place, (one, other) in enumerate(zip(written, meant, strict=False)) if one != other), -1)
    if at < 0:
        return True
    rest, other = written[at:], meant[at:]
    return rest[1:] in (other, other[1:]) or rest == other[1:] or rest[1::-1] + rest[2:] == other


def suggestion(word: str, known: Iterable[str], *, there: str = "", most: int = 12) -> str:
    """A hint: the word that was probably meant, and after the words of `there` what there is, where there is anything."""
    listed = list(known)
    close = nearest(word, listed)
    meant = f"did you mean {close}?" if close else ""
    more = ", …" if len(listed) > most else ""
    others = f"{there}: {', '.join(listed[:most])}{more}" if there and listed else ""
    return " ".join(filter(None, (meant, others)))


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
