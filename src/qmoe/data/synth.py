"""Synthetic clips that stand in for the Quinn (ABGQI) recordings: five classes of soundscape.

Takes of one recording share background, microphone, tone, level and the voice of their event. A
model that has seen one take recognises the others: random folds leak, grouped folds do not."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import chirp, sawtooth

from qmoe.errors import UserError

Wave = NDArray[np.float64]

# Level of the event relative to the background, at which noise begins to mask the classes.
_EVENT_DB = (-4.0, 6.0)
_TONE_DB = (-30.0, -12.0)
_TAKE_DB = 6.0  # standard deviation between takes of one recording
_DISTRACTOR_CHANCE = 0.3
_DISTRACTOR_DB = -8.0


@dataclass(frozen=True)
class _Recording:
    """The properties that all takes of one recording share."""

    noise_slope: float  # power falls with frequency ** -noise_slope
    mic_hz: tuple[float, float]  # pass band of the microphone
    tone_hz: float
    tone_db: float
    event_db: float
    peak: float
    pitch: float  # 0..1, position of the event in the range of pitches of its class
    pace_hz: float  # events or swells in a second


def _draw_recording(rng: Generator) -> _Recording:
    return _Recording(
        noise_slope=rng.uniform(0.2, 2.0),
        mic_hz=(rng.uniform(30, 300), rng.uniform(3500, 10000)),
        tone_hz=np.exp(rng.uniform(np.log(100), np.log(6000))),
        tone_db=rng.uniform(*_TONE_DB),
        event_db=rng.uniform(*_EVENT_DB),
        peak=rng.uniform(0.1, 0.9),
        pitch=rng.uniform(),
        pace_hz=rng.uniform(1.5, 5.0),
    )


def _coloured(rng: Generator, t: Wave, slope: float, band_hz: tuple[float, float]) -> Wave:
    """Noise of unit RMS with a falling spectrum that drops by 12 dB an octave outside band_hz."""
    frequency_hz = np.fft.rfftfreq(t.size, t[1])
    frequency_hz[0] = frequency_hz[1]
    low, high = band_hz
    gain = frequency_hz ** (-slope / 2)
    gain /= (1 + (low / frequency_hz) ** 2) * (1 + (frequency_hz / high) ** 2)
    return _unit(np.fft.irfft(np.fft.rfft(rng.standard_normal(t.size)) * gain, t.size))


def _unit(wave: Wave) -> Wave:
    return wave / (np.sqrt(np.mean(wave**2)) + 1e-12)


def _bursts(rng: Generator, t: Wave, pace_hz: float, length_s: float) -> Wave:
    """An envelope of bumps at random moments, `pace_hz` of them in a second."""
    moments = rng.uniform(0, t[-1], max(1, round(pace_hz * t[-1])))
    return np.exp(-(((t[:, None] - moments) / length_s) ** 2)).sum(axis=1)


def _anthropophony(rng: Generator, t: Wave, recording: _Recording) -> Wave:
    """Voiced syllables: a wavering harmonic series."""
    pitch_hz = 110 * 2 ** (1.5 * recording.pitch + rng.normal(0, 0.08))
    phase = 2 * np.pi * pitch_hz * t + 2 * np.sin(2 * np.pi * recording.pace_hz * t)
    voice = sum(np.sin(k * phase) / k for k in range(1, 13))
    return voice * _bursts(rng, t, recording.pace_hz, 0.09)


def _biophony(rng: Generator, t: Wave, recording: _Recording) -> Wave:
    """Bird-like calls: short sweeps up or down."""
    call_hz = 1800 * 2 ** (1.5 * recording.pitch + rng.normal(0, 0.08))
    period_s = 1 / recording.pace_hz
    end_hz = call_hz * (1.6 if recording.pitch < 0.5 else 0.6)
    call = chirp((t + rng.uniform(0, period_s)) % period_s, call_hz, period_s, end_hz)
    return call * _bursts(rng, t, recording.pace_hz, 0.06)


def _geophony(rng: Generator, t: Wave, recording: _Recording) -> Wave:
    """Gusts of wind or rain: swelling noise."""
    centre_hz = 300 * 2 ** (3 * recording.pitch)
    gusts = _coloured(rng, t, 0.0, (centre_hz / 1.5, centre_hz * 1.5))
    return gusts * _bursts(rng, t, recording.pace_hz / 2, 0.25)


def _interference(rng: Generator, t: Wave, recording: _Recording) -> Wave:
    """Electric buzz, switched on and off, and clicks."""
    buzz_hz = 50 * 2 ** (2 * recording.pitch)
    gate = (t * recording.pace_hz / 2 + rng.uniform()) % 1 < 0.7
    clicks = rng.standard_normal(t.size) * _bursts(rng, t, recording.pace_hz, 0.003)
    return sawtooth(2 * np.pi * buzz_hz * t) * gate + clicks


_EVENTS: dict[str, Callable[[Generator, Wave, _Recording], Wave]] = {
    "anthropophony": _anthropophony,
    "biophony": _biophony,
    "geophony": _geophony,
    "interference": _interference,
}
CLASSES = (*_EVENTS, "quiet")


def _take(rng: Generator, t: Wave, recording: _Recording, class_name: str) -> Wave:
    """A take: background, tone, the event of its class, sometimes a fainter event of another."""
    background = _coloured(rng, t, recording.noise_slope, recording.mic_hz)
    tone = np.sin(2 * np.pi * (recording.tone_hz * t + rng.uniform()))
    wave = background + 10 ** (recording.tone_db / 20) * tone
    gain = 10 ** (rng.normal(recording.event_db, _TAKE_DB) / 20)
    if class_name in _EVENTS:
        wave += gain * _unit(_EVENTS[class_name](rng, t, recording))
    if rng.uniform() < _DISTRACTOR_CHANCE:
        other = list(_EVENTS)[rng.integers(len(_EVENTS))]
        wave += gain * 10 ** (_DISTRACTOR_DB / 20) * _unit(_EVENTS[other](rng, t, recording))
    return wave * recording.peak / np.abs(wave).max()


def render(
    folder: Path,
    *,
    seed: int,
    recordings_per_class: int,
    takes_per_recording: int,
    duration_s: float = 2.0,
    sample_rate_hz: int = 22050,
) -> None:
    """Write CLASS/CLASS-RR-T.wav (mono, 16 bit) and metadata.csv (file, class, recording) to a
    folder that appears whole or not at all, and replaces an earlier one of this function. The bytes
    of a file depend on seed, class, recording, take, duration and rate alone. Raises UserError
    where the folder holds other files; hidden ones do not count."""
    ours = {*CLASSES, "metadata.csv"}
    # Workflow engines and file managers leave hidden files in the folders that they handle.
    if folder.exists() and any(p.name not in ours and p.name[0] != "." for p in folder.iterdir()):
        raise UserError(f"{folder}: holds other files; give a new or an empty folder")
    t = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    rows = []
    try:
        for class_code, class_name in enumerate(CLASSES):
            (partial / class_name).mkdir(parents=True)
            for number in range(recordings_per_class):
                recording = _draw_recording(np.random.default_rng([seed, class_code, number]))
                for take in range(takes_per_recording):
                    rng = np.random.default_rng([seed, class_code, number, take + 1])
                    file = f"{class_name}/{class_name}-{number:02d}-{take}.wav"
                    wave = _take(rng, t, recording, class_name)
                    soundfile.write(partial / file, wave, sample_rate_hz, subtype="PCM_16")
                    rows.append((file, class_name, f"{class_name}-{number:02d}"))
        table = pd.DataFrame(rows, columns=["file", "class", "recording"])
        table.to_csv(partial / "metadata.csv", index=False, lineterminator="\n")
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
