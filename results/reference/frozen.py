"""Embeddings kept in a file: a reference must not depend on how they are made."""

from hashlib import sha256

import numpy as np

from fairl_bench import DataError, DataFile, Encoder, Field, hookimpl


def key(text):
    """The first eight bytes of a text's SHA-256, as a number."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


class Frozen(Encoder):
    """The vectors of known texts, from an npz file with ``key [n]`` uint64 and ``vectors [n, d]`` float16."""

    path: DataFile = Field(description="the file, relative to the suite")

    def encode(self, texts, corpus):
        """Return one row a text ``[n, d]`` float32.  Raises `DataError` for a text that the file does not know."""
        with np.load(self.path) as kept:
            row = {int(code): at for at, code in enumerate(kept["key"])}
            vectors = kept["vectors"].astype(np.float32)
        unknown = [text for text in texts if key(text) not in row]
        if unknown:
            raise DataError(f"{self.path} has no vector of {unknown[0]!r}; make the fixture again (make.py)")
        return vectors[[row[key(text)] for text in texts]].reshape(len(texts), vectors.shape[1])


@hookimpl
def fairl_encoders(register):
    """Register the encoder ``frozen``."""
    register("frozen", Frozen)
