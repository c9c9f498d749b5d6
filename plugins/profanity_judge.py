"""A judge of English that needs no hub: the model of the package alt-profanity-check.

It is a linear classifier of single words, fitted to 200,000 texts that people had labelled as clean or profane.
Install it with ``pip install 'fairl-bench[profanity]'``, which also installs the scikit-learn that it was saved with.

The package keeps its model as a joblib file, a pickle, which may run code when it is loaded.  It is loaded from the
installed package and from nowhere else: use this judge if you trust the package as you trust its code.
"""

import warnings
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fairl_bench import DataError, Field, Judge, Truth, hookimpl

PACKAGE = "alt-profanity-check"
INSTALL = "pip install 'fairl-bench[profanity]'"
LEAST = 1e-7  # the least distance of a probability from 0 and 1, so that its log-odds are finite


class ProfanityCheck(Judge):
    """The log-odds that an English text is clean and not profane, by alt-profanity-check: higher is better."""

    threshold: float = Field(0.5, gt=0, lt=1, description="a text is good above this probability that it is clean")

    def check(self):
        self.reads()

    def reads(self):
        try:
            return {PACKAGE: version(PACKAGE)}  # its model is one of the files of a version
        except PackageNotFoundError:
            raise DataError(f"judge 'profanity-check' needs the package {PACKAGE}; {INSTALL}") from None

    def judge(self, examples):
        clean = (1 - profane(examples.text)).clip(LEAST, 1 - LEAST)
        label = np.where(clean > self.threshold, 1, -1).astype(np.int8)
        return {"gold": Truth(np.log(clean) - np.log1p(-clean), label)}


def profane(texts):
    """Return the probability that each text is profane ``[n]``."""
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            from profanity_check import predict_prob
    except InconsistentVersionWarning as error:
        raise DataError(f"{PACKAGE} was saved with another scikit-learn than is installed; {INSTALL}") from error
    return predict_prob([*texts, ""])[:-1]  # one more, for it takes no empty list


@hookimpl
def fairl_judges(register):
    register("profanity-check", ProfanityCheck)
