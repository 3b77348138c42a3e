"""Small networks of each architecture, with weights made from their names."""

import dataclasses
import zlib
from typing import Any

import numpy as np
import torch

from separation import catalog
from separation.engines.public.networks import Layout

N_SAMPLES = 1984  # 31 hops: the programs that were recorded want a whole number of them
N_STEMS = 2
BANDS = [2] * 8 + [16] * 3 + [65]

ROFORMER: dict[str, Any] = {
    "dim": 16,
    "depth": 2,
    "num_stems": N_STEMS,
    "heads": 2,
    "dim_head": 8,
    "stft_hop_length": 64,
    "mlp_expansion_factor": 2,
}
OPTIONS: dict[str, dict[str, Any]] = {
    "bs-roformer": {**ROFORMER, "stft_n_fft": 256, "freqs_per_bands": BANDS},
    "mel-band-roformer": {**ROFORMER, "stft_n_fft": 512, "num_bands": 12},
    "mdx23c": {
        "num_stems": N_STEMS,
        "n_fft": 256,
        "hop_length": 64,
        "dim_f": 128,
        "num_subbands": 2,
        "num_scales": 2,
        "scale": [2, 2],
        "num_blocks_per_scale": 2,
        "num_channels": 8,
        "growth": 4,
        "bottleneck_factor": 4,
        "norm": "InstanceNorm",
        "act": "gelu",
    },
    "scnet": {
        "num_stems": N_STEMS,
        "dims": [4, 8, 16],
        "band_SR": [0.225, 0.372, 0.403],
        "band_stride": [1, 4, 16],
        "band_kernel": [3, 4, 16],
        "conv_depths": [3, 2, 1],
        "num_dplayer": 4,
        "nfft": 256,
        "hop_size": 64,
    },
    "vr": {"n_fft": 256, "hop_length": 64, "nout": 16, "nout_lstm": 16},
    "htdemucs": {"num_stems": N_STEMS, "segment_samples": 4096, "channels": 8, "t_layers": 1},
}


def entry(architecture, *, outputs=("vocals", "accompaniment"), stems=None, options=None, **more):
    """An entry of the catalogue for a small network."""
    network = {
        "architecture": architecture,
        "outputs": list(outputs),
        "options": {**OPTIONS[architecture], **(options or {})},
    }
    return dataclasses.replace(
        catalog.model("spleeter-2stems"),
        name=f"small-{architecture}",
        engine="separation.engines.public",
        converter="separation.engines.public_checkpoint",
        converter_version=1,
        stems=tuple(stems or dict.fromkeys(name for name in outputs if name)),
        rest=(stems or [name for name in outputs if name])[-1],
        segment_samples=N_SAMPLES,
        network=network,
        **more,
    )


def state(model):
    """Weights for all of a model's network, the same in each run, under the network's names."""
    layout = Layout.of(model)
    whole = layout.build(range(layout.options.num_stems)).state_dict()
    return {name: torch.from_numpy(_values(name, tensor.shape)) for name, tensor in whole.items()}


def _values(name, shape):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.array(7)
    if name.endswith("rotary_embed.freqs"):
        return (10000.0 ** (-np.arange(shape[0]) / shape[0])).astype(np.float32)
    if name.endswith("running_var"):
        values = random.uniform(0.5, 1.5, shape)
    elif len(shape) == 1:
        values = (0 if name.endswith(("bias", "running_mean")) else 1) + 0.2 * random.normal(
            size=shape
        )
    else:
        values = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
    return values.astype(np.float32)


def sound(n_samples=N_SAMPLES, seed=1):
    """Stereo noise, (2, n_samples)."""
    noise = np.random.default_rng(seed).normal(size=(2, n_samples))
    return (0.1 * noise).astype(np.float32)


def magnitudes(n_bins=129, frames=32):
    """For the VR network, which is recorded without its transforms: (1, 2, n_bins, frames)."""
    return np.random.default_rng(2).uniform(size=(1, 2, n_bins, frames)).astype(np.float32)
