"""The two networks of a Moonshine model on ONNX Runtime: audio to states, states to tokens.

Moonshine (Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands", 2024,
arXiv:2410.15608) hears the wave itself, of any length: no spectrogram, no window of thirty seconds. Its decoder takes
one token at a time and keeps keys and values of its attention between them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastrtc.errors import MissingExtraError
from fastrtc.speech.ort_format import with_outputs
from fastrtc.speech.vocabulary import Vocabulary

Float = NDArray[np.float32]
Past: TypeAlias = dict[str, Float]
_OF_STATES = "encoder"  # In the names of what the decoder keeps about the audio.
# The decoder gives the first of these out when it goes on writing, empty; in its place it is made to give the second.
_EMPTY = "present.{}.encoder.key"
_ATTENTION = "/model/decoder/layers.{}/encoder_attn/Softmax_output_0"

RATE_HZ = 16_000
TOKENS_PER_S = 6.5  # no English is spoken faster; a decoder that goes on longer repeats itself

FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


class MoonshineNet:
    """Encoder, decoder and vocabulary of one model. Any thread may call it; each call computes on its own thread.

    Args:
        folder: Where ``FILES`` are.

    Raises:
        MissingExtraError: ``onnxruntime`` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.vocabulary = Vocabulary(folder / FILES[2])
        self._encoder = _open((folder / FILES[0]).read_bytes())
        self._decoder = _open(_with_attention((folder / FILES[1]).read_bytes()))
        inputs = {one.name: one.shape for one in self._decoder.get_inputs()}
        self._past = {name: (shape[1], shape[3]) for name, shape in inputs.items() if name.startswith("past_")}
        outputs = [one.name for one in self._decoder.get_outputs()]
        self._present = [name.replace("present", "past_key_values") for name in outputs[1:]]

    def encode(self, samples: Float) -> Float:
        """The states of a piece of audio.

        Args:
            samples: 16 kHz, in [-1, 1], shape ``(n,)``; at least 1024.

        Returns:
            Shape ``(states, width)``; a state for each 24 ms or so.
        """
        wave = samples.reshape(1, -1)
        feed = {"input_values": wave, "attention_mask": np.ones(wave.shape, np.int64)}
        states: Float = self._encoder.run(None, feed)[0][0]
        return states

    def write(self, states: Float, longest: int) -> Writing:
        """Write the most probable token again and again, up to ``longest`` tokens.

        Args:
            states: Of :meth:`encode`.
            longest: How many tokens at most.
        """
        writing = Writing(self, states)
        while len(writing.tokens) < longest and writing.go_on():
            pass
        return writing

    def step(self, states: Float, token: int, past: Past | None) -> tuple[Float, Past]:
        """The logarithms of the probabilities of all tokens after one more, shape ``(tokens,)``, and the new past."""
        logits, new = self._run(states, [token], past)
        if past is not None:
            # What the decoder took from the states does not change, and it gives nothing back for it.
            new = {name: past[name] if _OF_STATES in name else array for name, array in new.items()}
        row: Float = logits[-1]
        row -= row.max()
        row -= np.log(np.exp(row).sum())
        return row, new

    def attention(self, states: Float, tokens: Sequence[int], past: Past) -> Float:
        """How much the decoder attends to each state while it writes each token.

        Args:
            states: Of :meth:`encode`.
            tokens: What it is made to write.
            past: What it has kept about the audio.

        Returns:
            Shape ``(layers, heads, len(tokens) + 1, states)``; the last one is for what follows the tokens.
        """
        start = {name: array if _OF_STATES in name else array[:, :, :0] for name, array in past.items()}
        _, found = self._run(states, [Vocabulary.START, *tokens], start)
        layers = len(self._past) // 4  # A key and a value of what is written, and of the audio.
        keys = (_EMPTY.format(layer).replace("present", "past_key_values") for layer in range(layers))
        return np.concatenate([found[key] for key in keys])

    def _run(self, states: Float, tokens: Sequence[int], past: Past | None) -> tuple[Float, Past]:
        """What it gives for tokens, shape ``(tokens, vocabulary)``, and the rest by the names of its inputs."""
        feed = {
            "input_ids": np.array([tokens]),
            "encoder_hidden_states": states[None],
            # The network takes every 384th value of a mask that is meant for samples; a single one holds for all.
            "encoder_attention_mask": np.ones((1, 1), np.int64),
            "use_cache_branch": np.array([past is not None]),
            **(past or self._nothing(len(states))),
        }
        logits, *present = self._decoder.run(None, feed)
        return logits[0], dict(zip(self._present, present, strict=True))

    def _nothing(self, states: int) -> Past:
        return {
            name: np.zeros((1, heads, states if _OF_STATES in name else 0, width), np.float32)
            for name, (heads, width) in self._past.items()
        }


class Writing:
    """What the decoder writes about a piece of audio, and how probable other words would have been at each place.

    Args:
        net: The networks.
        states: Of its encoder.

    Attributes:
        tokens: What is written so far, without the start and the end.
        logs: The logarithm of the probability of each, and of the end if the decoder came to it.
    """

    def __init__(self, net: MoonshineNet, states: Float) -> None:
        self.tokens: list[int] = []
        self.logs: list[float] = []
        self._net = net
        self._states = states
        self._rows: list[Float] = []
        self._past: Past | None = None

    def go_on(self) -> bool:
        """Write one more token; False if it is the end."""
        last = self.tokens[-1] if self.tokens else Vocabulary.START
        row, self._past = self._net.step(self._states, last, self._past)
        self._rows.append(row)
        token = int(row.argmax())
        self.logs.append(float(row[token]))
        if token == Vocabulary.END:
            return False
        self.tokens.append(token)
        return True

    @property
    def ended(self) -> bool:
        """Whether the decoder came to the end by itself."""
        return len(self.logs) > len(self.tokens)

    @property
    def starts(self) -> list[int]:
        """The places at which a word begins, or might have."""
        known = self._net.vocabulary
        places = [at for at, token in enumerate(self.tokens) if at == 0 or known.starts_word(token)]
        return [*places, len(self.tokens)] if self.ended else places

    def attention(self, tokens: Sequence[int]) -> Float:
        """What the decoder attends to while it writes these tokens: :meth:`MoonshineNet.attention`.

        Raises:
            IndexError: Nothing is written yet.
        """
        if self._past is None:
            raise IndexError("the decoder knows nothing of the audio before it has written a token")
        return self._net.attention(self._states, tokens, self._past)

    def log_of(self, tokens: Sequence[int], place: int, worst: float) -> float:
        """The logarithm of the probability of ``tokens`` after what is written before ``place``.

        Args:
            tokens: At least one.
            place: As of :attr:`starts`.
            worst: What is less probable need not be looked at any further; any value below it may be given then.
        """
        total = float(self._rows[place][tokens[0]])
        if len(tokens) == 1 or total < worst or self._past is None:
            return total
        past = {name: array if _OF_STATES in name else array[:, :, : place + 1] for name, array in self._past.items()}
        for before, token in pairwise(tokens):
            row, past = self._net.step(self._states, before, past)
            total += float(row[token])
            if total < worst:
                break
        return total


def _with_attention(model: bytes) -> bytes:
    """A decoder that gives what it attends to: in the branch that is taken when it goes on writing."""
    layers = itertools.takewhile(lambda layer: _ATTENTION.format(layer).encode() in model, itertools.count())
    return with_outputs(model, "then_branch", {_EMPTY.format(layer): _ATTENTION.format(layer) for layer in layers})


def _open(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("speech recognition", "stt") from error
    options = onnxruntime.SessionOptions()
    # One thread a call: many sessions share the machine, and the pool that calls decides how many run at once.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
