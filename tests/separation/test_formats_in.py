"""Every kind of recording comes in whole, and its stems have its rate, channels and length."""

from typing import Any

import av
import numpy as np
import pytest
import soundfile

from separation import probe, separate
from tests.separation.conftest import GAINS
from tests.separation.media import add_itunes_length, tones, write_media, write_speex

N = 20_003

# name, sample rate, what FFmpeg's encoder needs, exact depth (None: lossy or float)
LOSSLESS = [
    ("a.wav", 44100, {"codec": "pcm_s16le"}, 16),
    ("u8.wav", 44100, {"codec": "pcm_u8"}, 16),
    ("a24.wav", 48000, {"codec": "pcm_s24le"}, 24),
    ("a32.wav", 44100, {"codec": "pcm_s32le"}, 32),
    ("a32f.wav", 44100, {"codec": "pcm_f32le"}, None),
    ("a64f.wav", 192000, {"codec": "pcm_f64le"}, None),
    ("rf64.wav", 44100, {"codec": "pcm_s24le", "muxer": {"rf64": "always"}}, 24),
    ("a.aiff", 44100, {"codec": "pcm_s16be"}, 16),
    ("a24.aiff", 88200, {"codec": "pcm_s24be"}, 24),
    ("a32f.aiff", 44100, {"codec": "pcm_f32be"}, None),
    ("a24.caf", 44100, {"codec": "pcm_s24be"}, 24),
    ("alac.caf", 44100, {"codec": "alac", "sample_format": "s16p"}, 16),
    ("a.au", 8000, {"codec": "pcm_s16be"}, 16),
    ("a.wv", 44100, {"codec": "wavpack", "sample_format": "s16p"}, 16),
    ("a24.wv", 44100, {"codec": "wavpack", "sample_format": "s32p"}, 24),
    ("a32f.wv", 44100, {"codec": "wavpack", "sample_format": "fltp"}, None),
    ("a.tta", 44100, {"codec": "tta", "sample_format": "s16"}, 16),
    ("a24.tta", 44100, {"codec": "tta", "sample_format": "s32"}, 24),
    ("a.flac", 44100, {"codec": "flac"}, 16),
    ("a24.flac", 96000, {"codec": "flac", "sample_format": "s32"}, 24),
    ("flac.ogg", 44100, {"codec": "flac"}, 16),
    ("alac.m4a", 44100, {"codec": "alac", "container": "ipod", "sample_format": "s16p"}, 16),
    ("alac24.m4a", 44100, {"codec": "alac", "container": "ipod", "sample_format": "s32p"}, 24),
    ("flac.mp4", 44100, {"codec": "flac"}, 16),
    ("flac.mkv", 44100, {"codec": "flac"}, 16),
    ("a.mov", 44100, {"codec": "pcm_s16le", "with_video": True}, 16),
    ("a.mkv", 44100, {"codec": "pcm_s16le", "with_video": True}, 16),
    ("a.avi", 44100, {"codec": "pcm_s16le", "with_video": True}, 16),
]
# These containers say how much of the encoder's padding is not the recording.
GAPLESS = [
    ("a.mp3", 44100, {"codec": "libmp3lame", "sample_format": "fltp"}),
    ("mpeg2.mp3", 22050, {"codec": "libmp3lame", "sample_format": "fltp"}),
    ("mpeg25.mp3", 8000, {"codec": "libmp3lame", "sample_format": "fltp"}),
    ("vbr.mp3", 44100, {"codec": "libmp3lame", "sample_format": "fltp", "quality": 2}),
    ("mp3.mkv", 44100, {"codec": "libmp3lame", "sample_format": "fltp"}),
    ("a.m4a", 44100, {"codec": "aac", "container": "ipod"}),
    ("8.m4a", 8000, {"codec": "aac", "container": "ipod"}),
    ("96.m4a", 96000, {"codec": "aac", "container": "ipod"}),
    ("fast.m4a", 44100, {"codec": "aac", "muxer": {"movflags": "faststart"}}),
    ("a.mp4", 44100, {"codec": "aac", "with_video": True}),
    ("aac.mov", 44100, {"codec": "aac", "with_video": True}),
    ("a.opus", 48000, {"codec": "libopus", "sample_format": "flt"}),
    ("a.webm", 48000, {"codec": "libopus", "sample_format": "flt"}),
    ("opus.mkv", 48000, {"codec": "libopus", "sample_format": "flt"}),
    ("opus.mp4", 48000, {"codec": "libopus", "sample_format": "flt"}),
]
# These do not: the recording is what the decoder returns, whole frames.
PADDED = [
    ("a.aac", 44100, {"codec": "aac", "container": "adts"}),
    ("a.wma", 44100, {"codec": "wmav2", "container": "asf"}),
    ("aac.mkv", 44100, {"codec": "aac", "with_video": True}),
    ("mp3.avi", 44100, {"codec": "libmp3lame", "sample_format": "fltp", "with_video": True}),
    (
        "bare.mp3",
        44100,
        {"codec": "libmp3lame", "sample_format": "fltp", "muxer": {"write_xing": "0"}},
    ),
    ("aac.ts", 44100, {"codec": "aac"}),
    ("ac3.mkv", 48000, {"codec": "ac3"}),
    ("mp2.mpg", 44100, {"codec": "mp2"}),
]
# name, sample rate, channels, what FFmpeg's encoder needs, how much alike each channel must be
CHANNELS = [
    ("mono.wav", 44100, 1, {"codec": "pcm_s16le"}, 1),
    ("mono.flac", 44100, 1, {"codec": "flac"}, 1),
    ("mono.mp3", 44100, 1, {"codec": "libmp3lame", "sample_format": "fltp"}, 0.99),
    ("mono.m4a", 44100, 1, {"codec": "aac", "container": "ipod"}, 0.99),
    ("mono.opus", 48000, 1, {"codec": "libopus", "sample_format": "flt"}, 0.9),
    ("51.wav", 48000, 6, {"codec": "pcm_s24le"}, 1),
    ("51.flac", 48000, 6, {"codec": "flac"}, 1),
    ("51.m4a", 48000, 6, {"codec": "aac", "container": "ipod"}, 0.99),
    ("51.opus", 48000, 6, {"codec": "libopus", "sample_format": "flt"}, 0.9),
    ("51.wv", 48000, 6, {"codec": "wavpack", "sample_format": "s16p"}, 1),
    ("71.wav", 48000, 8, {"codec": "pcm_f32le"}, 1),
    ("71.flac", 48000, 8, {"codec": "flac"}, 1),
    ("71.m4a", 48000, 8, {"codec": "aac", "container": "ipod"}, 0.99),
    ("71.opus", 48000, 8, {"codec": "libopus", "sample_format": "flt"}, 0.9),
    ("71.wv", 48000, 8, {"codec": "wavpack", "sample_format": "s16p"}, 1),
]


def is_aligned(estimate, samples, *, at_least=0.9):
    """Whether both are the same sound, not a sample apart."""
    n = min(estimate.shape[1], samples.shape[1])
    middle = samples[0, 4000 : n - 4000]
    scores = [
        np.corrcoef(middle, estimate[0, 4000 + shift : n - 4000 + shift])[0, 1]
        for shift in range(-200, 201)
    ]
    return np.argmax(scores) == 200 and scores[200] > at_least


@pytest.mark.parametrize(("name", "rate", "how", "bits"), LOSSLESS)
def test_it_reads_lossless(tmp_path, read, name, rate, how, bits):
    samples = tones(N, 2, rate)
    path = write_media(tmp_path / name, samples, rate, **how)
    info = probe(path)
    assert (info.n_samples, info.sample_rate, info.channels) == (N, rate, 2)
    assert info.bits_per_sample == bits
    assert info.is_float == (bits is None)
    assert not info.is_lossy
    step = 2.0**-7 if name == "u8.wav" else 2.0 ** -((bits or 24) - 1)
    assert np.abs(read(path) - samples).max() <= max(step, 2.0**-23)


@pytest.mark.parametrize(("name", "rate", "how"), GAPLESS)
def test_it_trims_the_encoders_padding_to_the_sample(tmp_path, read, name, rate, how):
    samples = tones(N, 2, rate)
    path = write_media(tmp_path / name, samples, rate, **how)
    info = probe(path)
    assert (info.n_samples, info.sample_rate, info.channels) == (N, rate, 2)
    assert info.is_lossy
    assert is_aligned(read(path), samples)


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("sf.opus", "OPUS")])
def test_it_trims_ogg_to_the_sample(tmp_path, read, name, subtype):
    samples = tones(N, 2, 48000)
    path = tmp_path / name
    soundfile.write(path, samples.T, 48000, format="OGG", subtype=subtype)
    assert probe(path).n_samples == N
    assert is_aligned(read(path), samples)


@pytest.mark.parametrize(("name", "rate", "n_channels", "how", "alike"), CHANNELS)
def test_it_keeps_every_channel_in_its_place(tmp_path, read, name, rate, n_channels, how, alike):
    samples = tones(N, n_channels, rate)
    path = write_media(tmp_path / name, samples, rate, **how)
    info = probe(path)
    assert (info.n_samples, info.sample_rate, info.channels) == (N, rate, n_channels)
    got = read(path)
    assert got.shape == samples.shape
    # The fourth of 5.1 and 7.1 is for deep sounds only: encoders cut it off above 120 Hz.
    heard = [i for i in range(n_channels) if alike == 1 or n_channels < 6 or i != 3]
    for index in heard:
        assert np.corrcoef(got[index, 4000:-4000], samples[index, 4000:-4000])[0, 1] >= alike - 1e-6


@pytest.mark.parametrize(
    ("name", "container", "subtype", "bits"),
    [
        ("a.w64", "W64", "PCM_16", 16),
        ("a24.w64", "W64", "PCM_24", 24),
        ("a.rf64", "RF64", "PCM_24", 24),
        ("a32.wav", "WAV", "PCM_32", 32),
        ("a8.wav", "WAV", "PCM_U8", 16),
        ("double.caf", "CAF", "DOUBLE", None),
        ("alac16.caf", "CAF", "ALAC_16", 16),
        ("alac24.caf", "CAF", "ALAC_24", 24),
        ("a24.flac", "FLAC", "PCM_24", 24),
        ("a24.au", "AU", "PCM_24", 24),
    ],
)
def test_it_reads_what_another_library_wrote(tmp_path, read, name, container, subtype, bits):
    samples = tones(N)
    path = tmp_path / name
    soundfile.write(path, samples.T, 44100, format=container, subtype=subtype)
    info = probe(path)
    assert (info.n_samples, info.sample_rate, info.channels) == (N, 44100, 2)
    assert info.bits_per_sample == bits
    step = 2.0**-7 if subtype == "PCM_U8" else 2.0 ** -((bits or 24) - 1)
    assert np.abs(read(path) - samples).max() <= max(step, 2.0**-23)


@pytest.mark.parametrize("subtype", ["MS_ADPCM", "GSM610", "ULAW", "ALAW"])
def test_it_trims_compressed_wav_to_the_length_in_its_header(tmp_path, read, subtype):
    samples = tones(N, 1)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples.T, 44100, format="WAV", subtype=subtype)
    assert probe(path).n_samples == N
    assert is_aligned(read(path), samples)


@pytest.mark.parametrize("n_samples", [1, 1023, 1024, 1025, N])
def test_it_trims_what_itunes_counted(tmp_path, read, n_samples):
    samples = tones(n_samples)
    how: Any = {"codec": "aac", "container": "mp4", "muxer": {"use_editlist": "0"}}
    path = write_media(tmp_path / "a.m4a", samples, **how)
    untold = probe(path).n_samples
    assert untold == n_samples + 1024
    add_itunes_length(path, priming=1024, padding=-n_samples % 1024, n_samples=n_samples)
    assert probe(path).n_samples == n_samples
    if n_samples == N:
        assert is_aligned(read(path), samples)


def test_a_length_that_itunes_cannot_mean_is_ignored(tmp_path):
    how: Any = {"codec": "aac", "container": "mp4", "muxer": {"use_editlist": "0"}}
    for wrong in (0, 5, N // 2, 10 * N, 2**60):
        path = write_media(tmp_path / "a.m4a", tones(N), **how)
        add_itunes_length(path, priming=1024, padding=0, n_samples=wrong)
        assert N <= probe(path).n_samples <= N + 1024


def test_amr_is_as_long_as_its_frames(tmp_path):
    samples = tones(N, 1, 8000)
    for name in ("a.amr", "a.3gp"):
        path = write_media(tmp_path / name, samples, 8000, codec="libopencore_amrnb")
        info = probe(path)
        assert (info.sample_rate, info.channels) == (8000, 1)
        assert info.n_samples == (N if name == "a.3gp" else -(-N // 160) * 160)


@pytest.mark.parametrize(("name", "rate", "how"), PADDED)
def test_it_keeps_padding_that_nothing_declares(tmp_path, name, rate, how):
    path = write_media(tmp_path / name, tones(N, 2, rate), rate, **how)
    with av.open(str(path)) as container:
        n_decoded = sum(frame.samples for frame in container.decode(audio=0))
    info = probe(path)
    assert info.n_samples == n_decoded
    assert N - 2048 <= info.n_samples < N + 4096


def test_it_reads_speex(tmp_path, read):
    path = write_speex(tmp_path / "a.spx", 130)
    info = probe(path)
    assert (info.n_samples, info.sample_rate, info.channels) == (130 * 160, 8000, 1)
    assert info.codec == "speex"
    assert read(path).std() > 0.01


@pytest.mark.parametrize(
    ("name", "rate", "how"),
    [(name, rate, how) for name, rate, how, _ in LOSSLESS] + GAPLESS + PADDED,
)
def test_stems_are_as_long_as_the_recording(gain_engine, tmp_path, read, name, rate, how):
    path = write_media(tmp_path / name, tones(N, 2, rate), rate, **how)
    decoded = read(path)
    result = separate(path, tmp_path / "out", stems=["vocals"], output_format="wav32f")
    assert (result.n_samples, result.sample_rate) == (decoded.shape[1], rate)
    vocals = read(result.stems["vocals"])
    assert vocals.shape == decoded.shape
    assert np.abs(vocals - GAINS["vocals"] * decoded)[:, 500:-500].max() < 1e-4


def test_speex_stems_are_as_long_as_the_recording(gain_engine, tmp_path, read):
    path = write_speex(tmp_path / "a.spx", 130)
    result = separate(path, tmp_path / "out", stems=["vocals"])
    assert read(result.stems["vocals"]).shape == (1, 130 * 160)
    assert result.sample_rate == 8000


def test_it_takes_the_first_audio_stream(tmp_path, read):
    path = tmp_path / "two.mkv"
    first, second = tones(N, 1), tones(N // 2, 2)
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("pcm_s16le", rate=44100) for _ in range(2)]
        streams[0].codec_context.layout, streams[1].codec_context.layout = "mono", "stereo"
        for stream, samples, layout in zip(
            streams, (first, second), ("mono", "stereo"), strict=True
        ):
            scaled = np.rint(samples * 32768).astype(np.int16).T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(scaled), "s16", layout)
            frame.sample_rate, frame.pts = 44100, 0
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    assert read(path).shape == (1, N)


def test_a_change_of_parameters_on_the_way_is_adapted(tmp_path, read):
    first = write_media(
        tmp_path / "1.mp3", tones(8 * N, 2, 44100), 44100, codec="libmp3lame", sample_format="fltp"
    )
    second = write_media(
        tmp_path / "2.mp3", tones(N, 1, 22050), 22050, codec="libmp3lame", sample_format="fltp"
    )
    glued = tmp_path / "glued.mp3"
    glued.write_bytes(first.read_bytes() + second.read_bytes())
    info = probe(glued)
    assert (info.sample_rate, info.channels) == (44100, 2)
    samples = read(glued)
    assert samples.shape == (2, info.n_samples)
    # The second part, half as fast, becomes as many seconds; encoders pad both.
    assert 10 * N <= info.n_samples < 10 * N + 8192
    np.testing.assert_array_equal(samples[0, -N:], samples[1, -N:])


def test_samples_that_are_no_numbers_become_silence(gain_engine, tmp_path, read):
    samples = tones(N)
    samples[0, 100], samples[1, 200], samples[0, 300] = np.nan, np.inf, -np.inf
    path = write_media(tmp_path / "nan.wav", samples, codec="pcm_f32le")
    expected = np.where(np.isfinite(samples), samples, 0)
    np.testing.assert_array_equal(read(path), expected)
    result = separate(path, tmp_path / "out", stems=["vocals"])
    np.testing.assert_allclose(read(result.stems["vocals"]), 0.375 * expected, atol=1e-6)
