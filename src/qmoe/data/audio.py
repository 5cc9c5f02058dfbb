"""From an audio file to a mono wave, and from that to a log-mel picture."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import librosa
import numpy as np
import soundfile
import soxr
import torch
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csr_array

from qmoe.errors import UserError

COLORMAPS = ("viridis", "magma", "gray")
# libsndfile decodes what is left of a truncated file without an error; only its log shows it.
# 4294967295 is the size that a streaming WAV writer states because it cannot know the real one.
_TRUNCATED = re.compile(
    r"^data : (?!4294967295 )\d+ \(should be|lacks an end-of-stream bit|Junk after the last page",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Recipe:
    """How a wave becomes a picture; raises UserError where the values contradict each other."""

    sample_rate_hz: int
    duration_s: float
    n_fft: int
    hop_length: int
    n_mels: int
    f_min_hz: float
    f_max_hz: float
    top_db: float
    colormap: str

    def __post_init__(self) -> None:
        if self.colormap not in COLORMAPS:
            raise UserError(f"colormap {self.colormap!r}: choose one of {', '.join(COLORMAPS)}")
        if not 0 <= self.f_min_hz < self.f_max_hz <= self.sample_rate_hz / 2:
            raise UserError(
                f"f_min_hz {self.f_min_hz:g}, f_max_hz {self.f_max_hz:g}: choose "
                f"0 <= f_min_hz < f_max_hz <= {self.sample_rate_hz / 2:g} (half the sample rate)"
            )
        sizes = (self.duration_s, self.n_fft, self.hop_length, self.n_mels, self.top_db)
        if min(sizes) <= 0:
            raise UserError("duration_s, n_fft, hop_length, n_mels and top_db must be above 0")


def read_mono(path: Path, sample_rate_hz: int) -> NDArray[np.float32]:
    """Return the wave (samples,) at `sample_rate_hz`, averaged over channels and resampled. Raises
    UserError where the file is missing, damaged, truncated or empty, or a sample not finite."""
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz, log = file.samplerate, file.extra_info
            samples = file.read(dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise UserError(f"{path}: cannot decode ({error}); replace or remove the file") from error
    if _TRUNCATED.search(log):
        raise UserError(f"{path}: the file is truncated or damaged; fetch it again or remove it")
    wave = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    if not wave.size:
        raise UserError(f"{path}: no samples; replace or remove the file")
    if not np.isfinite(wave).all():
        raise UserError(f"{path}: NaN or infinite samples; replace or remove the file")
    if rate_hz != sample_rate_hz:
        wave = soxr.resample(wave, rate_hz, sample_rate_hz)
    return np.asarray(wave, dtype=np.float32)


def _mel_power(wave: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """As librosa's melspectrogram, (n_mels, frames), in a quarter of its time: filters are kept."""
    window, filters = _window_and_filters(recipe)
    spectrum = torch.stft(
        torch.from_numpy(wave),
        recipe.n_fft,
        recipe.hop_length,
        window=window,
        pad_mode="constant",
        return_complex=True,
    ).numpy()
    # In C order, because scipy takes five times as long in Fortran order.
    power: NDArray[np.float32] = filters @ np.ascontiguousarray(spectrum.real**2 + spectrum.imag**2)
    return power


@cache
def _colours(colormap: str) -> NDArray[np.float32]:
    """The table (256, 3) of a colour map; calling the map itself takes four times as long."""
    return np.asarray(colormaps[colormap](np.arange(256))[:, :3], dtype=np.float32)


@cache
def _window_and_filters(recipe: Recipe) -> tuple[torch.Tensor, csr_array]:
    filters = librosa.filters.mel(
        sr=recipe.sample_rate_hz,
        n_fft=recipe.n_fft,
        n_mels=recipe.n_mels,
        fmin=recipe.f_min_hz,
        fmax=recipe.f_max_hz,
    )
    return torch.hann_window(recipe.n_fft), csr_array(filters)


def picture(wave: NDArray[np.float32], recipe: Recipe, size: int) -> NDArray[np.float32]:
    """Return an RGB picture (3, size, size) in 0..1: time runs right, frequency runs up. The wave
    (samples,) at `recipe.sample_rate_hz` is cut to `recipe.duration_s`, or padded with silence. The
    colour map shows mel power (Slaney scale, librosa's default) in dB relative to the maximum of
    the clip, from -top_db to 0. A silent clip has the colour of -top_db throughout."""
    n_samples = round(recipe.duration_s * recipe.sample_rate_hz)
    wave = wave[:n_samples]
    peak = float(np.abs(wave).max(initial=0.0))
    # Scaling by the peak first avoids overflow in very loud files and underflow in faint ones.
    wave = np.pad(wave / np.float32(peak or 1.0), (0, n_samples - len(wave)))
    power = _mel_power(wave, recipe)
    floor = 10 ** (-recipe.top_db / 10)
    relative = power / (power.max() or 1.0)
    level = 1 + 10 * np.log10(np.maximum(relative, floor)) / recipe.top_db
    entry = np.minimum(level[::-1] * 256, 255).astype(np.intp)
    colours = np.take(_colours(recipe.colormap), entry, axis=0)
    return _resized(colours, size)


def read_picture(path: Path, size: int) -> NDArray[np.float32]:
    """Return RGB (3, size, size) in 0..1 of a PNG file; raises UserError where it is unreadable."""
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / np.float32(255)
    except (OSError, SyntaxError) as error:
        raise UserError(f"{path}: cannot decode ({error}); replace or remove the file") from error
    return _resized(pixels, size, antialias=True)


def _resized(
    pixels: NDArray[np.float32], size: int, antialias: bool = False
) -> NDArray[np.float32]:
    """(height, width, 3) -> (3, size, size), bilinear."""
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(pixels).permute(2, 0, 1)[None],
        (size, size),
        mode="bilinear",
        antialias=antialias,
    )
    return np.asarray(resized[0].clamp(0, 1).numpy())
