"""What a NeMo CTC recognizer is fed: 16 kHz samples, then normalised log-mel frames.

The engine computes the same inside `OfflineRecognizer`, but does not hand out the model's
log-probabilities, which forced alignment needs.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from listen2lab.errors import InputError
from listen2lab.models.phonemes import sherpa_version

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FRAME_SHIFT_S", "MEL_BINS", "RECOGNIZER_RATE", "log_mel", "resample"]

RECOGNIZER_RATE = 16000
MEL_BINS = 80
FRAME_SHIFT_S = 0.01

_DEVIATION_GUARD = 1e-5  # added to each bin's deviation, as the engine does
# What keeps the logarithm of a silent bin finite, measured: 1.13.8 takes at least the first,
# 2.0.1 adds the second, as NeMo does. It matters: bins of a clean voice are often below both.
_ENERGY_FLOOR = float(np.finfo(np.float32).eps)
_ENERGY_ADDED = 2.0**-24
_ZERO_CROSSINGS = 32
# Of the filter, each way: flat to 0.88 of the lower Nyquist, 50 dB down at 1.02.
_CUTOFF = 0.95  # of the lower Nyquist frequency
_KAISER_BETA = 8.0  # 80 dB
_SIDE_BY_SIDE = 40  # results of one product: more of them would multiply more zeros


def log_mel(
    samples: NDArray[np.float32], guard: Literal["floor", "add"] | None = None
) -> NDArray[np.float32]:
    """Compute the frames that sherpa-onnx feeds a NeMo CTC model: float32, (frames, 80).

    Hann windows of 25 ms every 10 ms, 80 mel bins after librosa from 0 to 8 kHz, no dither; then
    each bin less its mean and divided by its deviation over the recording. `guard` is how silent
    bins are treated: ``floor`` as sherpa-onnx 1.13.8 does, ``add`` as 2.0.1, or else as the
    installed version.
    """
    import kaldi_native_fbank as knf  # only where features are needed

    options = knf.FbankOptions()
    options.frame_opts.samp_freq = RECOGNIZER_RATE
    options.frame_opts.dither = 0.0
    options.frame_opts.snip_edges = False
    options.frame_opts.remove_dc_offset = False
    options.frame_opts.window_type = "hann"
    options.mel_opts.num_bins = MEL_BINS
    options.mel_opts.low_freq = 0.0
    options.mel_opts.high_freq = 0.0  # the Nyquist frequency
    options.mel_opts.is_librosa = True
    options.use_log_fbank = False
    bank = knf.OnlineFbank(options)
    if len(samples):
        bank.accept_waveform(RECOGNIZER_RATE, np.asarray(samples, np.float32))
    bank.input_finished()
    frames = np.empty((bank.num_frames_ready, MEL_BINS), np.float32)
    for place in range(len(frames)):
        frames[place] = bank.get_frame(place)
    if not len(frames):
        return frames
    if guard is None:
        guard = "add" if int(sherpa_version().split(".")[0]) >= 2 else "floor"
    if guard == "add":
        frames += np.float32(_ENERGY_ADDED)
    else:
        np.maximum(frames, np.float32(_ENERGY_FLOOR), out=frames)
    np.log(frames, out=frames)
    mean = frames.mean(axis=0, dtype=np.float64)
    deviation = frames.std(axis=0, dtype=np.float64)
    frames -= mean.astype(np.float32)
    frames /= (deviation + _DEVIATION_GUARD).astype(np.float32)
    return frames


def resample(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    """Change the sampling rate with a Kaiser-windowed sinc filter.

    Returns ``ceil(len(samples) * to_hz / from_hz)`` float32 samples, the first at the same time as
    before.
    """
    if from_hz <= 0 or to_hz <= 0:
        raise InputError(f"a sampling rate must be positive, not {from_hz} or {to_hz} Hz")
    samples = np.asarray(samples, np.float32)
    if from_hz == to_hz or not len(samples):
        return samples
    common = math.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    bands, taps = _bands(up, down)
    n_results = -(-len(samples) * up // down)
    blocks = -(-n_results // up)  # of `down` samples, which give `up` results
    before = taps // 2 - 1
    padded = np.zeros(blocks * down + taps, np.float32)
    padded[before : before + len(samples)] = samples
    results = np.empty((blocks, up), np.float32)
    for place, first, weights in bands:
        width, count = weights.shape
        # A view: the product reads its rows where they overlap, without a copy of each.
        windows = np.lib.stride_tricks.sliding_window_view(padded, width)[place::down][:blocks]
        np.matmul(windows, weights, out=results[:, first : first + count])
    return results.reshape(-1)[:n_results]


@functools.lru_cache(maxsize=2)
def _bands(up: int, down: int) -> tuple[list[tuple[int, int, NDArray[np.float32]]], int]:
    """Return the filter as matrices, each for some results of a block that lie side by side.

    Each has the first sample that it reads, the first result that it gives, and weights (samples,
    results): a column is the filter at that result's place between two samples. The second value is
    how many samples one result depends on.
    """
    cutoff = _CUTOFF * min(1.0, up / down)  # of the input's Nyquist frequency
    half = math.ceil(_ZERO_CROSSINGS / cutoff)
    offsets = np.arange(1 - half, half + 1) - (np.arange(up) / up)[:, None]
    window: Any = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, None)))
    filters = np.sinc(cutoff * offsets) * window
    filters /= filters.sum(axis=1, keepdims=True)  # a constant stays the same
    taps = 2 * half
    bands = []
    for first in range(0, up, _SIDE_BY_SIDE):
        results = range(first, min(first + _SIDE_BY_SIDE, up))
        places = [result * down // up for result in results]
        weights = np.zeros((places[-1] - places[0] + taps, len(results)), np.float32)
        for column, (result, place) in enumerate(zip(results, places, strict=True)):
            begin = place - places[0]
            weights[begin : begin + taps, column] = filters[result * down % up]
        bands.append((places[0], first, weights))
    return bands, taps
