from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from qmoe.data.audio import Recipe, picture, read_mono
from qmoe.errors import UserError

RATE_HZ = 16000


def recipe(**changes: object) -> Recipe:
    values: dict[str, object] = {
        "sample_rate_hz": RATE_HZ,
        "duration_s": 1.0,
        "n_fft": 1024,
        "hop_length": 256,
        "n_mels": 64,
        "f_min_hz": 50.0,
        "f_max_hz": 8000.0,
        "top_db": 80.0,
        "colormap": "gray",
    }
    return Recipe(**values | changes)  # type: ignore[arg-type]


def tone(frequency_hz: float, duration_s: float = 1.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)


def slaney_mel(frequency_hz: float) -> float:
    """Slaney's Auditory Toolbox: linear to 1 kHz, then 27 steps for each factor of 6.4."""
    if frequency_hz < 1000:
        return frequency_hz * 3 / 200
    return 15 + 27 * np.log(frequency_hz / 1000) / np.log(6.4)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_reads_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(440), RATE_HZ)
    wave = read_mono(path, RATE_HZ)
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, tone(440), atol=0.02 if suffix == "ogg" else 1e-4)


def test_stereo_at_another_rate_is_averaged_and_resampled(tmp_path: Path) -> None:
    stereo = np.stack([tone(440, rate_hz=44100), tone(1000, rate_hz=44100)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 44100, subtype="FLOAT")
    wave = read_mono(tmp_path / "a.wav", RATE_HZ)
    assert wave.shape == (RATE_HZ,)
    expected = (tone(440) + tone(1000)) / 2
    np.testing.assert_allclose(wave[500:-500], expected[500:-500], atol=2e-3)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
@given(kept=st.floats(0.0, 0.95))
@settings(max_examples=20, deadline=None)
def test_a_truncated_file_is_refused(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, kept: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / f"a.{suffix}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE_HZ)
    soundfile.write(path, noise, RATE_HZ)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(UserError, match=str(path)) as caught:
        read_mono(path, RATE_HZ)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wave", "message"),
    [([], "no samples"), ([0.1, np.nan], "NaN"), ([0.1, np.inf], "infinite")],
)
def test_unusable_samples_are_refused(tmp_path: Path, wave: list[float], message: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.array(wave), RATE_HZ, subtype="FLOAT")
    with pytest.raises(UserError, match=message):
        read_mono(tmp_path / "a.wav", RATE_HZ)


def test_no_file_and_no_audio_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    for name in ("text.wav", "missing.wav"):
        with pytest.raises(UserError, match=f"{name}: cannot decode"):
            read_mono(tmp_path / name, RATE_HZ)


@pytest.mark.parametrize("frequency_hz", [300.0, 700.0, 2000.0, 5000.0])
def test_a_tone_lights_up_its_mel_row(frequency_hz: float) -> None:
    image = picture(tone(frequency_hz), recipe(), 64)
    low, high = slaney_mel(50), slaney_mel(8000)
    # n_mels triangles have n_mels + 2 evenly spaced corners; row 0 of the picture is the top.
    band = (slaney_mel(frequency_hz) - low) / (high - low) * 65 - 1
    brightest = int(image.mean(axis=(0, 2)).argmax())
    assert abs((63 - brightest) - band) <= 1


def test_time_runs_to_the_right_and_short_clips_are_padded_with_silence() -> None:
    image = picture(tone(1000, 0.5), recipe(), 64)[0]
    assert image[:, :28].max() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_array_equal(image[:, 36:], 0.0)


def test_long_clips_keep_their_beginning() -> None:
    long = np.concatenate([tone(500), tone(4000)])
    np.testing.assert_array_equal(picture(long, recipe(), 32), picture(tone(500), recipe(), 32))


def test_the_decibel_scale() -> None:
    """A second half 40 dB fainter lies 40 of top_db = 80 dB, so half the scale, lower."""
    wave = np.concatenate([tone(1000, 0.5), 0.01 * tone(1000, 0.5)])
    row = picture(wave, recipe(), 64)[0].max(axis=0)
    assert row[10] == pytest.approx(1.0, abs=0.01)
    assert row[50] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("colormap", ["viridis", "magma", "gray"])
def test_silence_is_one_constant_colour(colormap: str) -> None:
    image = picture(np.zeros(4000, np.float32), recipe(colormap=colormap), 40)
    floor = {"viridis": (68, 1, 84), "magma": (0, 0, 4), "gray": (0, 0, 0)}[colormap]
    expected = np.broadcast_to(np.array(floor)[:, None, None] / 255, image.shape)
    np.testing.assert_allclose(image, expected, atol=0.5 / 255)


@given(
    st.integers(0, 20000),
    st.floats(-300, 37),
    st.sampled_from(["viridis", "gray"]),
    st.integers(8, 70),
)
@settings(max_examples=40, deadline=None)
def test_any_wave_gives_a_picture_in_0_to_1(
    n_samples: int, log10_level: float, colormap: str, size: int
) -> None:
    noise = np.random.default_rng(n_samples).standard_normal(n_samples)
    wave = (noise * 10.0**log10_level).astype(np.float32)
    image = picture(wave, recipe(colormap=colormap), size)
    assert image.shape == (3, size, size)
    assert image.dtype == np.float32
    assert image.min() >= 0
    assert image.max() <= 1


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30])
def test_level_does_not_matter(factor: float) -> None:
    scaled = (tone(800) * factor).astype(np.float32)
    np.testing.assert_allclose(
        picture(scaled, recipe(), 32), picture(tone(800), recipe(), 32), atol=0.01
    )


@pytest.mark.parametrize(
    "changes", [{"colormap": "jet"}, {"f_max_hz": 9000.0}, {"f_min_hz": 8000.0}, {"top_db": 0.0}]
)
def test_contradictory_recipes_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UserError):
        recipe(**changes)
