"""The vocabulary of the Moonshine models, as their ``tokenizer.bin`` has it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastrtc.errors import ConfigurationError

_SPACE = "\u2581"  # SentencePiece's mark for a space

_BYTES_END = 259  # Before it: the special pieces, and one for each byte.


class Vocabulary:
    """Pieces of words and their numbers.

    The file holds one piece after the other: its length in one byte (from 128 on in two: the lower seven bits and the
    higher ones), then its UTF-8 bytes. Pieces that stand for single bytes come first, after ``<unk>``, ``<s>`` and
    ``</s>``; a length of 0 marks a number that is not used.

    Args:
        path: Of the file.

    Raises:
        ConfigurationError: That is no such file.
    """

    START, END = 1, 2
    FIRST_PIECE = 3

    def __init__(self, path: Path) -> None:
        self._pieces = _pieces(path.read_bytes())
        if self._pieces[self.START : self.FIRST_PIECE] != [b"<s>", b"</s>"]:
            raise ConfigurationError(f"{path} is no vocabulary of a Moonshine model")
        self._numbers: dict[bytes, int] = {}
        for number, piece in enumerate(self._pieces[_BYTES_END:], _BYTES_END):
            self._numbers.setdefault(piece, number)

    def __len__(self) -> int:
        return len(self._pieces)

    def text(self, tokens: Iterable[int]) -> str:
        """The text of tokens, without a space in front; special ones (``<...>``) give nothing."""
        pieces = (self._pieces[token] for token in tokens if token >= self.FIRST_PIECE)
        known = b"".join(piece for piece in pieces if not (piece.startswith(b"<<") and piece.endswith(b">>")))
        return known.decode("utf-8", "replace").replace(_SPACE, " ").strip()

    def starts_word(self, token: int) -> bool:
        """Whether a token begins with a space."""
        return self._pieces[token].startswith(_SPACE.encode())

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens that training text with these words had, a space in front: byte-pair encoding (Sennrich et al.,
        2016), the pair that makes the piece with the smallest number first.
        """
        parts = [letter.encode() for letter in _SPACE + text.replace(" ", _SPACE)]
        while merges := [
            (number, at)
            for at in range(len(parts) - 1)
            if (number := self._numbers.get(parts[at] + parts[at + 1])) is not None
        ]:
            _, at = min(merges)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        known = (
            [self._numbers[part]] if part in self._numbers else [self.FIRST_PIECE + b for b in part] for part in parts
        )
        return tuple(number for numbers in known for number in numbers)


def _pieces(data: bytes) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        size = data[at]
        at += 1
        if size >= 128:
            if at == len(data):
                break
            size += (data[at] - 1) * 128
            at += 1
        pieces.append(data[at : at + size])
        at += size
    return pieces
