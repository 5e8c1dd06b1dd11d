"""How alike two English words sound, by their spelling: for words that a recogniser spells in its own way.

A word becomes a row of sounds by a few dozen rules of English spelling (in the manner of Philips' Metaphone, 1990, but
with its vowels), and two rows are compared by an edit distance in which like sounds cost less than unlike ones.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Longest first; what is not listed is its own sound. Capital letters are sounds that no single letter stands for:
# S "sh", C "ch", J "j", T "th", N "ng", Z "zh"; A E I O U are long vowels, diphthongs count as their first half.
_SPELLINGS: list[tuple[str, str]] = [
    (r"^(kn|gn|pn)", "n"),
    (r"^wr", "r"),
    (r"^ps", "s"),
    (r"^x", "z"),
    (r"^wh", "w"),
    (r"mb$", "m"),
    (r"tch", "C"),
    (r"sch|sh", "S"),
    (r"(?<=[st])ion", "Sun"),
    (r"[cst](?=i(a|o|ou)[nls])", "S"),
    (r"(?<!^)tu(?=r|al)", "CU"),
    (r"ch", "C"),
    (r"ph", "f"),
    (r"th", "T"),
    (r"dg(?=[eiy])", "J"),
    (r"ng(?=$|s$)", "N"),
    (r"ough", "o"),
    (r"igh", "I"),
    (r"gh(?=$|t)", ""),
    (r"gh", "g"),
    (r"ck", "k"),
    (r"cc(?=[eiy])", "ks"),
    (r"c(?=[eiy])", "s"),
    (r"c", "k"),
    (r"qu", "kw"),
    (r"q", "k"),
    (r"x", "ks"),
    (r"g(?=e|i)", "J"),
    (r"j", "J"),
    (r"mm?$", "m"),
    (r"(?<=[a-z])ies$", "Iz"),
    (r"(?<=[aeiou])r?r(?=[^aeiouy]|$)", "r"),
    (r"ee|ea|ie|ei", "E"),
    (r"oo|ou|ew|ui", "U"),
    (r"ai|ay|ey", "A"),
    (r"oa|ow", "O"),
    (r"au|aw", "o"),
    (r"(?<=[^aeiouy])y$", "E"),
    (r"y(?=[^aeiou])", "i"),
    (r"a(?=[^aeiouwy]e$)", "A"),
    (r"i(?=[^aeiouwy]e$)", "I"),
    (r"o(?=[^aeiouwy]e$)", "O"),
    (r"u(?=[^aeiouwy]e$|[^aeiouwy][eiou])", "U"),
    (r"(?<=[^aeiou])e$", ""),
    (r"h(?=[^aeiouyAEIOU]|$)", ""),
]
_RULES = [(re.compile(pattern), sound) for pattern, sound in _SPELLINGS]

_VOWELS = frozenset("aeiouAEIOU")
_ALIKE = [  # Sounds that differ in one respect only: voice, place, or length.
    {"p", "b"},
    {"t", "d"},
    {"k", "g"},
    {"f", "v"},
    {"s", "z"},
    {"S", "C"},
    {"J", "C"},
    {"J", "S"},
    {"T", "t"},
    {"T", "f"},
    {"T", "s"},
    {"m", "n"},
    {"n", "N"},
    {"l", "r"},
    {"r", "w"},
    {"v", "w"},
    {"v", "b"},
    {"s", "S"},
    {"y", "E"},
    {"y", "i"},
    {"w", "U"},
]
_LIKE = frozenset((one, two) for pair in _ALIKE for one in pair for two in pair if one != two)

LIKE_COST, VOWEL_COST, WEAK_COST = 0.4, 0.35, 0.4
_WEAK = frozenset("hyw")  # Sounds that are easily lost, like vowels.


@lru_cache(maxsize=4096)
def sounds_of(text: str) -> str:
    """The sounds of a word or a phrase; spaces and what is no letter of English are left out."""
    return "".join(_word(word) for word in re.findall(r"[a-z]+", text.casefold()))


def _word(word: str) -> str:
    for pattern, sound in _RULES:
        word = pattern.sub(sound, word)
    return re.sub(r"(.)\1+", r"\1", word)


def distance(one: str, two: str) -> float:
    """How unlike two texts sound, from 0 (the same) to 1 (nothing in common).

    The cheapest way to turn the sounds of the one into those of the other, by leaving out, putting in and exchanging
    sounds, divided by the number of sounds of the longer one. A consonant costs 1, a consonant for one that is like it
    (p and b, s and z, m and n) 0.4, a vowel for another 0.35, a vowel too many or too few 0.4.
    """
    return between(sounds_of(one), sounds_of(two))


def between(first: str, second: str) -> float:
    """:func:`distance` of what :func:`sounds_of` gave."""
    longest = max(len(first), len(second))
    if not longest:
        return 0.0
    row = [0.0]
    for sound in second:
        row.append(row[-1] + _alone(sound))
    for mine in first:
        above, row = row, [row[0] + _alone(mine)]
        for at, yours in enumerate(second):
            row.append(min(above[at + 1] + _alone(mine), row[at] + _alone(yours), above[at] + _exchanged(mine, yours)))
    return min(1.0, row[-1] / longest)


def _alone(sound: str) -> float:
    return WEAK_COST if sound in _VOWELS or sound in _WEAK else 1.0


def _exchanged(one: str, two: str) -> float:
    if one == two:
        return 0.0
    if one in _VOWELS and two in _VOWELS:
        return VOWEL_COST if one.lower() != two.lower() else VOWEL_COST / 2
    return LIKE_COST if (one, two) in _LIKE else 1.0
