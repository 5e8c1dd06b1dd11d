"""The two networks of a Moonshine model on ONNX Runtime: audio to states, states to tokens.

Moonshine (Jeffries et al., "Moonshine: Speech Recognition for Live Transcription and Voice Commands", 2024,
arXiv:2410.15608) hears the wave itself, of any length: no spectrogram, no window of thirty seconds. Its decoder takes
one token at a time and keeps keys and values of its attention between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastrtc.errors import MissingExtraError
from fastrtc.speech.vocabulary import Vocabulary

Float = NDArray[np.float32]

RATE_HZ = 16_000
STATE_SAMPLES = 384  # of audio for one state of the encoder: strides of 64, 3 and 2
SHORTEST_SAMPLES = 1_024
TOKENS_PER_S = 6.5  # no English is spoken faster; a decoder that goes on longer repeats itself

FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the decoder wrote.

    Attributes:
        tokens: Without the start and the end.
        logs: The logarithm of the probability of each, and of the end if the decoder came to it.
    """

    tokens: tuple[int, ...]
    logs: tuple[float, ...]


class MoonshineNet:
    """Encoder, decoder and vocabulary of one model. Any thread may call it; each call computes on its own thread.

    Args:
        folder: Where ``FILES`` are.

    Raises:
        MissingExtraError: ``onnxruntime`` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self.vocabulary = Vocabulary(folder / FILES[2])
        self._encoder = _open(folder / FILES[0])
        self._decoder = _open(folder / FILES[1])
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

    def decode(self, states: Float, longest: int) -> Decoded:
        """Write the most probable token again and again, up to ``longest`` tokens.

        Args:
            states: Of :meth:`encode`.
            longest: How many tokens at most.
        """
        tokens: list[int] = []
        logs: list[float] = []
        past, token, first = self._nothing(1, len(states)), Vocabulary.START, True
        while len(tokens) < longest:
            logits, present = self._step(states[None], np.array([[token]]), past, first)
            past = {name: old if not first and "encoder" in name else present[name] for name, old in past.items()}
            first = False
            row = logits[0, -1]
            token = int(row.argmax())
            logs.append(float(row[token] - _log_sum(row)))
            if token == Vocabulary.END:
                break
            tokens.append(token)
        return Decoded(tuple(tokens), tuple(logs))

    def _step(
        self, states: Float, tokens: NDArray[np.int64], past: dict[str, Float], first: bool
    ) -> tuple[Float, dict[str, Float]]:
        feed = {
            "input_ids": tokens,
            "encoder_hidden_states": states,
            # The network takes every 384th value of a mask that is meant for samples; a single one holds for all.
            "encoder_attention_mask": np.ones((len(states), 1), np.int64),
            "use_cache_branch": np.array([not first]),
            **past,
        }
        logits, *present = self._decoder.run(None, feed)
        return logits, dict(zip(self._present, present, strict=True))

    def _nothing(self, rows: int, states: int) -> dict[str, Float]:
        return {
            name: np.zeros((rows, heads, states if "encoder" in name else 0, width), np.float32)
            for name, (heads, width) in self._past.items()
        }


def _log_sum(row: Float) -> float:
    top = float(row.max())
    return top + float(np.log(np.exp(row - top).sum()))


def _open(file: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("speech recognition", "stt") from error
    options = onnxruntime.SessionOptions()
    # One thread a call: many sessions share the machine, and the pool that calls decides how many run at once.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
