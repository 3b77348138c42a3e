"""Bayesian clustering, on embeddings drawn from the model that it assumes."""

import numpy as np
import pytest

from separation.errors import WeightsMismatch
from separation.speakers.vbx import EVIDENCE, PRICE_OF_SPEAKER, Plda, vbx

N, D = 24, 12


def arrays(seed=0):
    random = np.random.default_rng(seed)
    return {
        "center": random.normal(size=N),
        "lda": np.linalg.qr(random.normal(size=(N, N)))[0][:, :D],
        "lda_center": 0.1 * random.normal(size=D),
        "mean": 0.1 * random.normal(size=D),
        "transform": 3 * random.normal(size=(D, D)),
        "between": random.uniform(5, 60, D),
    }


@pytest.fixture
def plda():
    return Plda.from_arrays(arrays())


def fitting(spread):
    """The model of what `talk` makes: speakers vary by one, their embeddings by `spread`."""
    turned = np.linalg.qr(np.random.default_rng(4).normal(size=(N, N)))[0]
    return Plda.from_arrays(
        {
            "center": np.zeros(N),
            "lda": turned,
            "lda_center": np.zeros(N),
            "mean": np.zeros(N),
            "transform": np.sqrt(1 + spread**2) / spread * np.eye(N),
            "between": np.full(N, spread**-2),
        }
    )


@pytest.fixture
def talk():
    """Make embeddings of speakers, in turns: (n, N) and the truth, (n,)."""

    def make(n_speakers, n_each=20, *, spread=0.35, seed=1):
        random = np.random.default_rng(seed)
        truth = np.tile(np.arange(n_speakers), n_each)
        means = random.normal(size=(n_speakers, N))
        return means[truth] + spread * random.normal(size=(len(truth), N)), truth

    return make


def groups(labels):
    """The same for each numbering: which points lie together."""
    return labels[:, None] == labels[None, :]


def split(truth, parts):
    """Too many clusters: each speaker's are `parts`, by turns."""
    order = np.concatenate([np.arange((truth == s).sum()) for s in np.unique(truth)])
    place = np.empty(len(truth), int)
    place[np.argsort(truth, kind="stable")] = order
    return truth * parts + place % parts


@pytest.mark.parametrize(("n_speakers", "parts"), [(1, 1), (1, 3), (2, 2), (4, 3), (6, 2)])
def test_too_many_clusters_become_the_speakers(talk, n_speakers, parts):
    embeddings, truth = talk(n_speakers, spread=0.5)
    shares = vbx(embeddings, split(truth, parts), fitting(0.5))
    assert shares.shape == (len(truth), n_speakers)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(groups(shares.argmax(axis=1)), groups(truth))


def test_a_wrong_label_is_put_right(talk):
    embeddings, truth = talk(3, spread=0.5)
    wrong = truth.copy()
    wrong[:5] = (wrong[:5] + 1) % 3
    shares = vbx(embeddings, wrong, fitting(0.5))
    np.testing.assert_array_equal(shares.argmax(axis=1), truth)


def test_a_higher_price_makes_fewer_speakers(talk):
    embeddings, truth = talk(6, spread=0.6)
    initial = split(truth, 4)
    counts = [
        vbx(embeddings, initial, fitting(0.6), price_of_speaker=price).shape[1]
        for price in (0.01, 0.1, 0.8)
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_it_computes_what_the_paper_says(plda, talk):
    """The rounds once more, speaker by speaker and point by point, by dense linear algebra."""
    embeddings, truth = talk(3, n_each=6, spread=0.8)
    initial = split(truth, 2)
    points, phi = plda(embeddings), plda.between
    shares = np.where(np.arange(6) == initial[:, None], np.exp(7), 1.0)
    shares /= shares.sum(axis=1, keepdims=True)
    priors = np.full(6, 1 / 6)
    bounds = []
    loading = np.diag(np.sqrt(phi))
    for _ in range(20):
        means, covariances = [], []
        for s in range(6):
            precision = np.eye(D) + EVIDENCE / PRICE_OF_SPEAKER * shares[:, s].sum() * np.diag(phi)
            covariances.append(np.linalg.inv(precision))
            weighted = (shares[:, s, None] * points).sum(axis=0)
            means.append(EVIDENCE / PRICE_OF_SPEAKER * covariances[-1] @ loading @ weighted)
        total = 0.0
        for t, x in enumerate(points):
            logs = np.empty(6)
            for s in range(6):
                second = covariances[s] + np.outer(means[s], means[s])  # E[y y']
                square = x @ x - 2 * x @ loading @ means[s] + np.trace(loading @ second @ loading)
                logs[s] = EVIDENCE * -0.5 * (square + D * np.log(2 * np.pi)) + np.log(priors[s])
            mass = np.exp(logs - logs.max()).sum()
            shares[t] = np.exp(logs - logs.max()) / mass
            total += logs.max() + np.log(mass)
        priors = shares.mean(axis=0)
        for s in range(6):  # minus the divergence from the standard normal distribution
            gain = np.linalg.slogdet(covariances[s])[1] - np.trace(covariances[s])
            total += PRICE_OF_SPEAKER * 0.5 * (gain - means[s] @ means[s] + D)
        bounds.append(total)
        if len(bounds) > 1 and bounds[-1] - bounds[-2] < 1e-4:
            break
    assert len(bounds) > 2
    assert (np.diff(bounds) > -1e-6).all()
    got = vbx(embeddings, initial, plda)
    np.testing.assert_allclose(got, shares[:, priors > 1e-7], atol=1e-5)


def test_the_space_is_that_of_both_covariances():
    """Within a speaker one, between speakers `between`: as an eigenproblem gives them, too."""
    values = arrays(seed=5)
    transform, between = values["transform"], values["between"]
    within = np.linalg.inv(transform.T @ transform)
    across = np.linalg.inv(transform.T @ np.diag(1 / between) @ transform)
    half = np.linalg.inv(np.linalg.cholesky(within))
    eigenvalues, vectors = np.linalg.eigh(half @ across @ half.T)
    plda = Plda.from_arrays(values)
    np.testing.assert_allclose(plda.between, eigenvalues[::-1], rtol=1e-6)
    theirs = (vectors.T @ half)[::-1]
    signs = np.sign((theirs * plda.transform).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(plda.transform, signs * theirs, rtol=1e-5, atol=1e-6)


def test_embeddings_of_any_length_are_one(plda, talk):
    embeddings, _ = talk(2)
    centered = embeddings - plda.center
    np.testing.assert_allclose(plda(plda.center + 7 * centered), plda(embeddings), rtol=1e-9)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_embeddings_are_legal(plda, talk, n):
    embeddings, _ = talk(2)
    shares = vbx(embeddings[:n], np.zeros(n, int), plda)
    assert shares.shape == (n, min(n, 1))


def test_an_embedding_of_nothing_is_legal(plda):
    shares = vbx(np.tile(plda.center, (3, 1)), [0, 1, 0], plda)
    assert np.isfinite(shares).all()


def test_what_does_not_fit_together_is_refused():
    values = arrays()
    with pytest.raises(WeightsMismatch, match="'between' is not of shape"):
        Plda.from_arrays({**values, "between": np.ones(D + 1)})
    del values["mean"]
    with pytest.raises(WeightsMismatch, match="lacks its 'mean'"):
        Plda.from_arrays(values)
