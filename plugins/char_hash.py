"""An encoder that needs no model and no training."""

from sklearn.feature_extraction.text import HashingVectorizer

from fairl_bench import Encoder, Field, hookimpl


class CharHash(Encoder):
    """Hashed character n-grams of unit length (Weinberger et al. 2009, arXiv:0902.2206)."""

    dimensions: int = Field(512, ge=2, description="numbers in a vector")

    def encode(self, texts, corpus):
        hashed = HashingVectorizer(
            n_features=self.dimensions, analyzer="char_wb", ngram_range=(3, 5), dtype="float32"
        ).transform([*texts, ""])  # one more, for it takes no empty list
        return hashed.toarray()[:-1]


@hookimpl
def fairl_encoders(register):
    register("char-hash", CharHash)
