"""Trains the end-of-turn model that the package ships, from ``../shared/speech``: one command, about half an hour.

    python bench/_train_end_of_turn.py [--data DIR] [--out src/fastrtc/speech/weights] [--folds 5] [--teacher ONNX]

Needs ``torch`` besides the development environment. Only recordings under Apache-2.0, CC BY, BSD or in the public
domain are used; the phone corpus, the digits and the prompts are not, so that what is measured on them is measured on
voices, words and channels that the model has never met. With ``--folds K`` it also trains K ensembles, each without
every K-th clip, for ``bench/endpointing.py --folds``.

The examples: the end of each recording (done); speech cut anywhere, at dips of its energy, in the middle of phrases
(not done); real pauses. So that no example gives itself away by anything but speech, ends and cuts alike get a random
channel (telephone band, mu-law, gain, noise, speed), silence that is the recording's own or noise at its floor, and
often only their last phrase. With ``--teacher`` each example, as it is heard, is judged by Smart Turn too: ends and
cuts aim in part at what they are and in part at that judgement, pauses at the judgement alone (halved in recordings of
a single command or word). The shipped weights are made so; without a teacher pauses count as not done.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
import torch
from _endpointing_corpora import (
    BOOKS,
    COMMANDS,
    DATA,
    MEETINGS,
    RATE_HZ,
    READ,
    WINDOW_S,
    Clip,
    corpus_clips,
    dip_near,
    floor_noise,
    speech_spans,
)
from numpy.typing import NDArray

from fastrtc.speech.end_of_turn import FEATURES, FRAMES, MEL_BANDS, features
from fastrtc.speech.smart_turn import SmartTurn
from fastrtc.turns.detector import TurnDetector

Float = NDArray[np.float32]
WEIGHTS = Path(__file__).resolve().parent.parent / "src" / "fastrtc" / "speech" / "weights"
WORDS = ("wake words", "near misses", "spoken commands")
GROUPS = {COMMANDS: "commands", READ: "read", "pocketsphinx": "read", BOOKS: "read", MEETINGS: "meetings"}
SILENCES_S = (0.096, 0.128, 0.16, 0.224, 0.32, 0.48)
SPEEDS = (0.8, 0.86, 0.92, 0.96, 1.04, 1.1, 1.16, 1.24)
TAUGHT, SOFTNESS, TEACHER_HEARS_MS = 0.5, 2.0, 200.0
COPIES = {"end": 8, "pause": 10, "cut": 4}
SHARE = {"end": 1.0, "pause": 0.5, "cut": 0.8}
CHANNELS, DROPOUT, EPOCHS, BATCH, SEEDS = (48, 48, 32), 0.3, 12, 128, (0, 1, 2)
WIDTHS = (5, 5, 3)


@dataclass(frozen=True, slots=True)
class Event:
    """A place where the user is, or seems to be, silent.

    Attributes:
        clip: Where.
        group: Corpora that count as one.
        kind: ``end``, ``pause`` or ``cut``.
        at: The last sample of speech.
        start: Where the turn begins.
        gap_s: Length of a pause.
    """

    clip: Clip
    group: str
    kind: str
    at: int
    start: int
    gap_s: float


@dataclass(frozen=True, slots=True)
class Examples:
    """Inputs ``(n, FRAMES, FEATURES)``, targets and weights ``(n,)``, the number of each one's clip."""

    inputs: Float
    targets: Float
    weights: Float
    clips: NDArray[np.int64]


def events(clips: list[Clip], random: np.random.Generator) -> Iterator[Event]:
    """All places in the clips of one corpus."""
    for clip in clips:
        group = GROUPS.get(clip.corpus, clip.corpus)
        limit = (clip.lead_s + clip.length_s + 0.3) / WINDOW_S
        spans = [span for span in speech_spans(clip.probabilities) if span[1] - span[0] >= 3]
        spans = [span for span in spans if clip.lead_s / WINDOW_S < span[1] <= limit]
        if not spans:
            continue
        first, last = spans[0][0], spans[-1][1]
        start = max(0, round((first * WINDOW_S - 0.2) * RATE_HZ))
        if clip.corpus != MEETINGS:
            yield Event(clip, group, "end", round(last * WINDOW_S * RATE_HZ), start, 1.0)
        for (_, end), (begin, _) in pairwise(spans):
            if begin - end >= 3:
                yield Event(clip, group, "pause", round(end * WINDOW_S * RATE_HZ), start, (begin - end) * WINDOW_S)
        inside = np.flatnonzero(clip.probabilities[: int(limit)] > 0.6)
        inside = inside[(inside > first + 4) & (inside < last - 6)]
        count = 3 if clip.corpus in WORDS else min(40, max(6, inside.size // 6))
        for window in random.choice(inside, min(count, inside.size), replace=False):
            at = round((float(window) + float(random.random())) * WINDOW_S * RATE_HZ)
            yield Event(clip, group, "cut", at, start, 0.0)


def example(event: Event, random: np.random.Generator) -> tuple[Float, float]:
    """One way in which the event could have been heard: the sound, and the milliseconds of silence at its end."""
    sound, at, start = event.clip.samples, event.at, event.start
    if event.kind == "cut" and random.random() < 0.5:
        at = dip_near(sound, at, 2400, start)
    if event.kind != "pause" and random.random() < 0.3 and at - start > 2 * RATE_HZ:
        start = at - round(random.uniform(0.8, 2.4) * RATE_HZ)
    silence_s = float(random.choice(SILENCES_S))
    if event.kind == "pause":
        silence_s = min(silence_s, max(0.096, event.gap_s - 0.03))
    count = round((silence_s + 0.05) * RATE_HZ)
    if event.kind == "cut":
        heard = _broken_off(sound, at, count, random)
    elif event.kind == "end" and random.random() < 0.6:
        heard = _faded(event.clip, at + round(random.uniform(0, 0.06) * RATE_HZ), count, random)
    else:
        heard = sound[: at + count]
    heard, speed = _channel(heard[max(0, start) :], random)
    slip_s = random.uniform(-0.04, 0.03)
    end_s = (at - max(0, start)) / RATE_HZ / speed + silence_s / speed + slip_s
    return heard[: round(end_s * RATE_HZ)], 1000 * (silence_s / speed + slip_s)


def _broken_off(sound: Float, at: int, count: int, random: np.random.Generator) -> Float:
    """Speech that stops, at once or dying away as in a room."""
    heard = np.concatenate([sound[:at], floor_noise(sound, count, random)])
    if random.random() < 0.6:
        length = min(round(random.uniform(0.02, 0.14) * RATE_HZ), sound.size - at, count)
        steps = np.arange(length, dtype=np.float32)
        heard[at : at + length] += sound[at : at + length] * np.exp(-steps * random.uniform(2, 5) / length)
    else:
        length = round(random.uniform(0.003, 0.02) * RATE_HZ)
        heard[at - length : at] *= np.linspace(1, 0, length, dtype=np.float32)
    return heard.astype(np.float32)


def _faded(clip: Clip, at: int, count: int, random: np.random.Generator) -> Float:
    """A real end with made silence."""
    own = clip.samples[round(clip.lead_s * RATE_HZ) :]
    heard = np.concatenate([clip.samples[:at], floor_noise(own, count, random)])
    heard[at - 160 : at] *= np.linspace(1, 0.3, 160, dtype=np.float32)
    return heard


def _channel(sound: Float, random: np.random.Generator) -> tuple[Float, float]:
    """The same through some telephone or microphone, at some speed; and the speed."""
    speed = 1.0
    if random.random() < 0.7:
        speed = float(random.choice(SPEEDS))
        sound = soxr.resample(sound, RATE_HZ * speed, RATE_HZ, "LQ")
    if random.random() < 0.6:
        sound = _telephone(sound, random)
    sound = sound / (np.abs(sound).max() + 1e-6) * 10 ** random.uniform(-1.6, -0.05)
    if random.random() < 0.5:
        noise = random.standard_normal(sound.size)
        if random.random() < 0.6:
            noise = np.convolve(noise, np.ones(random.integers(2, 20)), "same")
        sound = sound + noise / noise.std() * np.sqrt((sound**2).mean()) * 10 ** (-random.uniform(15, 45) / 20)
    return sound.astype(np.float32), speed


def _telephone(sound: Float, random: np.random.Generator) -> Float:
    narrow = soxr.resample(sound, RATE_HZ, 8000, "LQ")
    hertz = np.fft.rfftfreq(narrow.size, 1 / 8000)
    gain = 1 / np.sqrt(1 + (random.uniform(100, 320) / np.maximum(hertz, 1)) ** 6)
    gain *= 10 ** (np.interp(hertz, [0, 1000, 2000, 3000, 4000], random.normal(0, 3, 5)) / 20)
    narrow = np.fft.irfft(np.fft.rfft(narrow) * gain, narrow.size)
    narrow = narrow / (np.abs(narrow).max() + 1e-6) * 10 ** random.uniform(-1.5, -0.1)
    if random.random() < 0.6:
        code = np.round(np.log1p(255 * np.abs(np.clip(narrow, -1, 1))) / np.log(256) * 127) / 127
        narrow = np.sign(narrow) * (256**code - 1) / 255
    return np.asarray(soxr.resample(narrow.astype(np.float32), 8000, RATE_HZ, "LQ"), np.float32)


def make_examples(places: list[Event], teacher: TurnDetector | None) -> Examples:
    """Every event heard in several ways, with its target and its weight.

    Which networks come out depends on the order of the examples and their last bits: these are those of the shipped
    weights, made in two halves and kept in half precision.
    """
    inputs, targets, kinds, groups, clips = [], [], [], [], []
    numbered = list(enumerate(places))
    for number, event in numbered[::2] + numbered[1::2]:
        for copy in range(COPIES[event.kind]):
            heard, silence_ms = example(event, np.random.default_rng((number, copy, 7)))
            inputs.append(features(heard, silence_ms).astype(np.float16))
            targets.append(0.02 + 0.96 * _target(event, heard, silence_ms, teacher))
            kinds.append(event.kind)
            groups.append(event.group)
            clips.append(event.clip.number)
    keys = np.array([f"{group}/{kind}" for group, kind in zip(groups, kinds, strict=True)])
    weights = np.zeros(len(keys))
    for key in set(keys.tolist()):
        chosen = keys == key
        weights[chosen] = SHARE[key.rsplit("/")[-1]] * min(1, chosen.sum() / 500) / chosen.sum()
    weights /= weights.mean()
    heard_so, aims = np.array(inputs, np.float32), np.array(targets, np.float32)
    return Examples(heard_so, aims, weights.astype(np.float32), np.array(clips))


def _target(event: Event, heard: Float, silence_ms: float, teacher: TurnDetector | None) -> float:
    truth = float(event.kind == "end")
    if teacher is None:
        return truth
    kept_ms = min(silence_ms, TEACHER_HEARS_MS)
    end = heard.size - round((silence_ms - kept_ms) * RATE_HZ / 1000)
    p = min(max(teacher.probability(heard[max(0, end - 8 * RATE_HZ) : end], kept_ms), 1e-4), 1 - 1e-4)
    taught = 1 / (1 + (1 / p - 1) ** (1 / SOFTNESS))
    if event.kind == "pause":
        return taught * (1.0 if event.group in ("read", "meetings") else 0.5)
    return TAUGHT * taught + (1 - TAUGHT) * truth


def network() -> torch.nn.Sequential:
    """Three convolutions of stride 2, two dense layers; dropout between them."""
    layers: list[torch.nn.Module] = []
    inputs, frames = FEATURES, FRAMES
    for outputs, width in zip(CHANNELS, WIDTHS, strict=True):
        layers += [torch.nn.Conv1d(inputs, outputs, width, 2), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT / 2)]
        inputs, frames = outputs, (frames - width) // 2 + 1
    layers += [torch.nn.Flatten(), torch.nn.Linear(inputs * frames, 32), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT)]
    return torch.nn.Sequential(*layers, torch.nn.Linear(32, 1), torch.nn.Flatten(0))


def _blurred(batch: torch.Tensor) -> torch.Tensor:
    """Hides some neighbouring bands of inputs of shape ``(n, FEATURES, FRAMES)``."""
    batch = batch.clone()
    if torch.rand(()) < 0.5:
        low = int(torch.randint(0, MEL_BANDS - 4, ()))
        batch[:, low : low + int(torch.randint(1, 6, ()))] = 0
    return batch


def train(data: Examples, chosen: NDArray[np.bool_], seed: int) -> torch.nn.Sequential:
    """One network, which never hears the same example twice."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    inputs = torch.tensor(data.inputs[chosen].transpose(0, 2, 1))
    targets, weights = torch.tensor(data.targets[chosen]), torch.tensor(data.weights[chosen])
    net = network()
    steps = len(inputs) // BATCH
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        order = random.permutation(len(inputs))
        for step in range(steps):
            rows = order[step * BATCH : (step + 1) * BATCH]
            batch = _blurred(inputs[rows])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(batch), targets[rows], reduction="none")
            optimizer.zero_grad()
            (loss * weights[rows]).mean().backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def save(nets: list[torch.nn.Sequential], path: Path) -> None:
    """Write an ensemble as :class:`fastrtc.speech.end_of_turn.EndOfTurnModel` reads it, in half precision."""
    stored: dict[str, NDArray[np.generic]] = {"layers": np.array(len(WIDTHS) + 2), "widths": np.array([*WIDTHS, 0, 0])}
    frames = FRAMES
    for width in WIDTHS:
        frames = (frames - width) // 2 + 1
    trained = [[layer for layer in net if isinstance(layer, torch.nn.Conv1d | torch.nn.Linear)] for net in nets]
    for number, layers in enumerate(zip(*trained, strict=True)):
        weights = [layer.weight.detach().numpy() for layer in layers]
        if number < len(WIDTHS):  # what the numpy side sees of a window: channel after channel
            weights = [weight.reshape(weight.shape[0], -1) for weight in weights]
        elif number == len(WIDTHS):  # torch flattens channel by channel, numpy frame by frame
            weights = [w.reshape(w.shape[0], CHANNELS[-1], frames).transpose(0, 2, 1).reshape(w.shape) for w in weights]
        stored[f"weight{number}"] = np.stack([weight.T for weight in weights]).astype(np.float16)
        stored[f"bias{number}"] = np.stack([layer.bias.detach().numpy() for layer in layers]).astype(np.float16)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **stored)


def main() -> None:
    """Make the examples, train, write the weights and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[], help="corpora to leave out")
    parser.add_argument("--teacher", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    corpora = [corpus for corpus in dict.fromkeys((*GROUPS, *WORDS)) if corpus not in options.without]
    places = [event for corpus in corpora for event in events(corpus_clips(corpus, options.data), random)]
    data = make_examples(places, SmartTurn(options.teacher) if options.teacher else None)
    everything = np.ones(len(data.targets), np.bool_)
    save([train(data, everything, seed) for seed in SEEDS], options.out / "end_of_turn.npz")
    for fold in range(options.folds):
        chosen = data.clips % options.folds != fold
        save([train(data, chosen, seed) for seed in SEEDS[:1]], options.out / f"fold{fold}.npz")
    print(json.dumps({"events": len(places), "examples": len(data.targets), "corpora": corpora, "seeds": SEEDS}))


if __name__ == "__main__":
    main()
