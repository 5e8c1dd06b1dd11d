"""Another output for a network in ONNX Runtime's own format: what is given, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastrtc.errors import ConfigurationError
from fastrtc.speech.moonshine_net import FILES
from fastrtc.speech.moonshine_weights import carried_weights
from fastrtc.speech.ort_format import with_outputs

onnxruntime = pytest.importorskip("onnxruntime")
KEY, ATTENTION = "present.0.encoder.key", "/model/decoder/layers.0/encoder_attn/Softmax_output_0"


@pytest.fixture(scope="module")
def folder() -> Path:
    found = carried_weights()
    if found is None:
        pytest.skip("moonshine-voice is not installed")
    return found


@pytest.fixture(scope="module")
def decoder(folder: Path) -> bytes:
    return (folder / FILES[1]).read_bytes()


def given(model: bytes, cached: bool) -> np.ndarray:
    """What comes out under the name that is exchanged, for two tokens and three states."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    feed = {
        "input_ids": np.array([[1, 300]]),
        "encoder_hidden_states": random.normal(0, 1, (1, 3, 288)).astype(np.float32),
        "encoder_attention_mask": np.ones((1, 1), np.int64),
        "use_cache_branch": np.array([cached]),
    }
    for one in session.get_inputs():
        if one.name not in feed:
            shape = (1, one.shape[1], 3 if "encoder" in one.name else 0, one.shape[3])
            feed[one.name] = random.normal(0, 1, shape).astype(np.float32)
    names = [one.name for one in session.get_outputs()]
    found: np.ndarray = session.run(names, feed)[names.index(KEY)]
    return found


def test_an_output_gives_another_tensor_in_that_branch_only(decoder: bytes) -> None:
    changed = with_outputs(decoder, "then_branch", {KEY: ATTENTION})
    assert given(decoder, cached=True).size == 0
    attention = given(changed, cached=True)
    assert attention.shape == (1, 8, 2, 3)
    assert attention.sum(axis=-1) == pytest.approx(1.0, abs=1e-4)
    assert np.array_equal(given(changed, cached=False), given(decoder, cached=False))


def test_what_is_not_there_is_refused(decoder: bytes) -> None:
    with pytest.raises(ConfigurationError, match="no branch 'other_branch'"):
        with_outputs(decoder, "other_branch", {KEY: ATTENTION})
    with pytest.raises(ConfigurationError, match="no output 'nothing'"):
        with_outputs(decoder, "then_branch", {"nothing": ATTENTION})
    with pytest.raises(ConfigurationError, match="no tensor '/model/nothing'"):
        with_outputs(decoder, "then_branch", {KEY: "/model/nothing"})


def test_a_network_without_a_branch_has_none(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="no branch 'then_branch'"):
        with_outputs((folder / FILES[0]).read_bytes(), "then_branch", {})


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\x18\0\0\0ORTM", b"\xff\xff\xff\x7fORTM" + bytes(40)])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"no network in the format of ONNX Runtime|no branch"):
        with_outputs(data, "then_branch", {})
