"""The spec, identity and resources of parts, computed once for equal parts of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from fairl_bench.component import Component
from fairl_bench.digests import canonical
from fairl_bench.engine.keys import identity
from fairl_bench.engine.resources import needs
from fairl_bench.errors import FairlError
from fairl_bench.suite.parts import parts_of, placed_error, placed_parts
from fairl_bench.suite.read import Study


class KnownPart(NamedTuple):
    """The spec, identity and resources of a part, as stages have them."""

    part: Component  # kept, so that no other part gets its number
    spec: dict[str, Any]
    identity: str  # canonical JSON
    resources: Mapping[str, Any]


class KnownParts:
    """Every part that a plan has met."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._by_number: dict[int, KnownPart] = {}
        self._by_spec: dict[str, KnownPart] = {}

    def about(self, part: Component) -> KnownPart:
        """The facts of a part; equal parts share them."""
        if (known := self._by_number.get(id(part))) is None:
            plain = part.plain()
            spec = part.kind + canonical(plain)
            if (equal := self._by_spec.get(spec)) is None:
                equal = self._by_spec[spec] = KnownPart(part, plain, self._identity(part), needs([part]))
            known = self._by_number[id(part)] = equal._replace(part=part)
        return known

    def _identity(self, part: Component) -> str:
        """The part's identity.  Raises `SuiteError` with its line where a file that it reads cannot be found."""
        try:
            return canonical(identity(part, self.study.registry))
        except FairlError as error:
            for suite in self.study.variants.values():
                for outer, whole in parts_of(suite):
                    for place, inner in placed_parts(whole, outer):
                        if inner is part:
                            raise placed_error(error, place, self.study) from error
            raise
