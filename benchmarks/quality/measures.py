"""How much of an estimated stem belongs to other stems."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.quality.spectra import BINS, blocks, frames
from benchmarks.songs import FloatArray

ComplexArray = npt.NDArray[np.complex128]

# Smaller directions of the true stems than this share of the greatest count as none: two stems
# that are the same in a band tell nothing apart there.
_RANK = 1e-9


class WrongShares:
    """Projects estimates onto the true stems that a song was made of.

    An estimate is explained by true stems, each through a filter of its own that stays the same
    for the whole song: in each bin of a spectrogram by least squares over time and channels. What
    other stems add to what the right one alone explains is theirs. This is the energy of
    `e_interf` over that of the estimate, with filters as long as a frame.

    With ten others, ten seconds of something that has to do with none of them count as a percent.

    Parameters
    ----------
    pieces : sequence of (2, n) float32
        What the song is made of.
    estimates : sequence of (2, n) float32

    References
    ----------
    Vincent, Gribonval, Févotte: Performance Measurement in Blind Audio Source Separation, IEEE
    TASLP 14(4), 2006, https://doi.org/10.1109/TSA.2005.858005
    """

    def __init__(self, pieces: Sequence[FloatArray], estimates: Sequence[FloatArray]) -> None:
        n_pieces, n_estimates = len(pieces), len(estimates)
        self._among = np.zeros((BINS, n_pieces, n_pieces), np.complex128)
        self._with = np.zeros((BINS, n_pieces, n_estimates), np.complex128)
        self._energy = np.zeros(n_estimates)
        for block in blocks(pieces[0].shape[1]):
            true = np.stack([frames(piece[:, block]) for piece in pieces], axis=1)
            self._among += true.conj() @ true.swapaxes(1, 2)
            for index, estimate in enumerate(estimates):
                heard = frames(estimate[:, block])
                self._with[..., index] += np.einsum("fkn,fn->fk", true.conj(), heard)
                self._energy[index] += np.vdot(heard, heard).real

    def of(self, estimate: int, own: Collection[int]) -> float:
        """Return the share of an estimate's energy that belongs to other pieces than its own.

        Parameters
        ----------
        estimate : int
            Its place among the estimates.
        own : collection of int
            The places of the pieces that the true stem is the sum of.

        Returns
        -------
        float
            0..1; 0 for silence.
        """
        if not self._energy[estimate]:
            return 0.0
        n_pieces = len(self._among[0])
        others = [index for index in range(n_pieces) if index not in own]
        chosen = np.zeros((1 + len(others), n_pieces))
        chosen[0, list(own)] = 1
        chosen[range(1, 1 + len(others)), others] = 1
        among = chosen @ self._among @ chosen.T
        shares = self._with[..., estimate] @ chosen.T
        explained = _energy(among, shares) - _energy(among[:, :1, :1], shares[:, :1])
        return float(np.clip(explained.sum() / self._energy[estimate], 0, 1))


def _energy(among: ComplexArray, shares: ComplexArray) -> npt.NDArray[np.float64]:
    """Return what stems of these products explain of the energy in each bin."""
    inverse = np.linalg.pinv(among, rcond=_RANK, hermitian=True)
    explained = np.einsum("fk,fkl,fl->f", shares.conj(), inverse, shares)
    return np.asarray(explained.real, np.float64)
