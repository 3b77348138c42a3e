"""Bayesian clustering of embeddings by a model of how speakers differ (PLDA)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from separation.errors import WeightsMismatch

FloatArray = npt.NDArray[np.float64]

# As pyannote.audio 4 runs community-1. They weigh an embedding's evidence (the windows that
# embeddings come from overlap) and the price of one more speaker.
EVIDENCE = 0.07
PRICE_OF_SPEAKER = 0.8
# How firmly the initial clusters are believed in; the logarithm of the odds for an own cluster.
_INITIAL_LOG_ODDS = 7.0
_MAX_ROUNDS = 20
_LEAST_GAIN = 1e-4
_LEAST_PRIOR = 1e-7
_TINY = 1e-8


@dataclass(frozen=True, slots=True)
class Plda:
    """Embeddings' way into a space in which a speaker's own vary alike in each direction.

    There a speaker's embeddings vary by one around the speaker's mean, and speakers' means vary
    by `between` around zero: (d,), the largest first.

    Parameters
    ----------
    center : (n,)
        Mean of embeddings; they are scaled to one length once it is removed.
    lda, lda_center : (n, d), (d,)
        Where speakers differ most, and the mean there; then scaled to one length again.
    mean, transform : (d,), (d, d)
        Into the space, a row for each of its directions.
    between : (d,)

    References
    ----------
    Ioffe: Probabilistic Linear Discriminant Analysis, ECCV 2006.
    """

    center: FloatArray
    lda: FloatArray
    lda_center: FloatArray
    mean: FloatArray
    transform: FloatArray
    between: FloatArray

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.ArrayLike]) -> Self:
        """Take the fields by their names, in whatever order the directions are.

        Raises
        ------
        WeightsMismatch
            If one is missing, or they do not fit together.
        """
        try:
            values = {name: np.asarray(arrays[name], np.float64) for name in cls.__slots__}
        except KeyError as error:
            raise WeightsMismatch(f"The PLDA lacks its '{error.args[0]}'.") from error
        n, d = values["lda"].shape
        shapes: dict[str, tuple[int, ...]] = {"center": (n,), "transform": (d, d)}
        shapes |= dict.fromkeys(("lda_center", "mean", "between"), (d,))
        for name, shape in shapes.items():
            if values[name].shape != shape:
                raise WeightsMismatch(f"The PLDA's '{name}' is not of shape {shape}.")
        order = np.argsort(-values["between"], kind="stable")
        values["transform"] = values["transform"][order]
        values["between"] = values["between"][order]
        return cls(**values)

    def __call__(self, embeddings: npt.ArrayLike) -> FloatArray:
        """(n_embeddings, n) -> (n_embeddings, d)."""
        n, d = self.lda.shape
        centered = _scaled(np.asarray(embeddings, np.float64) - self.center, np.sqrt(n))
        reduced = _scaled(centered @ self.lda - self.lda_center, np.sqrt(d))
        result: FloatArray = (reduced - self.mean) @ self.transform.T
        return result


def vbx(
    embeddings: npt.ArrayLike,
    initial: npt.ArrayLike,
    plda: Plda,
    *,
    evidence: float = EVIDENCE,
    price_of_speaker: float = PRICE_OF_SPEAKER,
) -> FloatArray:
    """Say to which speaker each embedding belongs; speakers that nothing speaks for are dropped.

    The embeddings are taken as they come, without the hidden Markov model of the paper: its
    probability of a loop is zero.

    Parameters
    ----------
    embeddings : (n, 256)
        Of any length.
    initial : (n,) int
        Clusters to begin with, numbered from zero; rather too many than too few.
    plda : Plda
    evidence, price_of_speaker : float
        F_A and F_B of the paper; a higher price makes fewer speakers.

    Returns
    -------
    (n, n_speakers) float64
        Responsibilities; each row's sum is about one.

    References
    ----------
    Landini, Profant, Diez, Burget: Bayesian HMM clustering of x-vector sequences (VBx) in speaker
    diarization: theory, implementation and analysis on standard tasks, Computer Speech & Language
    71, 2022, https://arxiv.org/abs/2012.14952
    """
    points = plda(embeddings)  # (n, d)
    labels = np.asarray(initial, np.intp)
    if len(points) == 0:
        return np.zeros((0, 0))
    n_speakers = int(labels.max()) + 1
    shares = _softmax(_INITIAL_LOG_ODDS * np.eye(n_speakers)[labels])  # (n, speakers)
    priors = np.full(n_speakers, 1 / n_speakers)
    scaled = points * np.sqrt(plda.between)  # rho, equation 18
    alone = -0.5 * ((points**2).sum(axis=1) + points.shape[1] * np.log(2 * np.pi))  # of 23
    ratio = evidence / price_of_speaker
    bound = -np.inf
    for _ in range(_MAX_ROUNDS):
        # Each speaker's mean and its variance, equations 16 and 17.
        variances = 1 / (1 + ratio * shares.sum(axis=0)[:, None] * plda.between)  # (speakers, d)
        means = ratio * variances * (shares.T @ scaled)  # (speakers, d)
        spread = (variances + means**2) @ plda.between  # (speakers,)
        fits = evidence * (scaled @ means.T - 0.5 * spread + alone[:, None])  # equation 23
        joint = fits + np.log(priors + _TINY)  # (n, speakers)
        totals = _log_sum(joint)  # (n,)
        shares = np.exp(joint - totals[:, None])
        priors = shares.mean(axis=0) / shares.mean(axis=0).sum()
        last, bound = bound, _bound(totals, means, variances, price_of_speaker)
        if bound - last < _LEAST_GAIN:
            break
    return shares[:, priors > _LEAST_PRIOR]


def _bound(
    totals: FloatArray, means: FloatArray, variances: FloatArray, price_of_speaker: float
) -> float:
    """The lower bound of the evidence, which each round raises; equation 25."""
    model = (np.log(variances) - variances - means**2 + 1).sum()
    return float(totals.sum() + price_of_speaker * 0.5 * model)


def _scaled(rows: FloatArray, length: float) -> FloatArray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: FloatArray = length * rows / np.maximum(lengths, _TINY)
    return result


def _log_sum(rows: FloatArray) -> FloatArray:
    """The logarithm of each row's sum of exponentials."""
    top = rows.max(axis=1, keepdims=True)
    result: FloatArray = top[:, 0] + np.log(np.exp(rows - top).sum(axis=1))
    return result


def _softmax(rows: FloatArray) -> FloatArray:
    result: FloatArray = np.exp(rows - _log_sum(rows)[:, None])
    return result
