"""Rank CTs by what annotating them would teach, and write the ranking."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segment.curve.candidate import Candidate, dice_of_missing
from segment.curve.descriptor import Descriptor, largest_differences, similarity
from segment.curve.order import Place, count_for, order
from segment.files import atomic_write, write_text
from segment.metrics.cases_csv import csv_text
from segment.privacy import without_paths
from segment.view.page.rank import PICTURES, RANK

DIGITS = 4
COLUMNS = ("position", "file", "adds", "together", "dice", "nearest", "similarity", "nearest_labelled")
MORE_COLUMNS = ("similarity_labelled", "differs")


@dataclass(frozen=True)
class Ranking:
    """CTs in the order in which to annotate them.

    Attributes:
        candidates: The CTs by name.
        labelled: Descriptors of the CTs that have a label, by name; may be empty.
        organs: The organs of the checkpoint.
        of_missing: Dice with which a missing organ counts; see `dice_of_missing`.
        to_labelled: (candidates, labelled) similarity.
        places: The order.
    """

    candidates: Mapping[str, Candidate]
    labelled: Mapping[str, Descriptor]
    organs: Sequence[str]
    of_missing: float
    to_labelled: np.ndarray
    places: list[Place]

    @staticmethod
    def of(candidates: Mapping[str, Candidate], labelled: Mapping[str, Descriptor], organs: Sequence[str]) -> "Ranking":
        """Order the CTs, of which there is at least one; see `segment.curve.order.order`."""
        own = [one.descriptor for one in candidates.values()]
        of_missing = dice_of_missing(candidates.values())
        need = np.array([1 - one.dice(of_missing) for one in candidates.values()])
        to_labelled = similarity(own, list(labelled.values()))
        places = order(similarity(own, own), need, to_labelled.max(axis=1, initial=0))
        return Ranking(candidates, labelled, organs, of_missing, to_labelled, places)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each CT, the first to annotate first, with the columns of rank.csv."""
        names = list(self.candidates)
        together, rows = 0.0, []
        for position, place in enumerate(self.places, start=1):
            together += place.adds
            one = self.candidates[names[place.index]]
            nearest = None if place.nearest is None else names[place.nearest]
            labelled, likeness = self._nearest_labelled(place.index)
            row = {
                "position": position,
                "file": names[place.index],
                "adds": round(place.adds, DIGITS),
                "together": round(together, DIGITS),
                "dice": round(one.dice(self.of_missing), DIGITS),
                "nearest": nearest,
                "similarity": round(place.similarity, DIGITS),
                "nearest_labelled": labelled,
                "similarity_labelled": round(likeness, DIGITS),
                "differs": self._differs(one, nearest, labelled, place.similarity < likeness),
            }
            rows.append(row | {f"dice_{organ}": one.organs[organ].dice for organ in self.organs})
        return rows

    def _nearest_labelled(self, index: int) -> tuple[str | None, float]:
        if not self.labelled:
            return None, 0.0
        nearest = int(np.argmax(self.to_labelled[index]))
        return list(self.labelled)[nearest], float(self.to_labelled[index, nearest])

    def _differs(self, one: Candidate, nearest: str | None, labelled: str | None, labelled_is_closer: bool) -> str:
        """The clearest differences from the most similar CT among those before it and those with a label."""
        if labelled is not None and (labelled_is_closer or nearest is None):
            return ", ".join(largest_differences(one.descriptor, self.labelled[labelled]))
        if nearest is not None:
            return ", ".join(largest_differences(one.descriptor, self.candidates[nearest].descriptor))
        return ""

    def sentences(self) -> list[str]:
        """The result in words."""
        first = list(self.candidates)[self.places[0].index]
        many = f"{len(self.places)} CT{'s' * (len(self.places) != 1)} ranked"
        half = count_for(self.places, 0.5)
        if not half:
            return [f"{many}: none adds anything, because each has a predicted Dice of 1 or equals a labelled CT"]
        found = [f"{many}: annotate {first} first, {self._expected(self.candidates[first])}"]
        if len(self.places) > 1:
            verb = "adds" if half == 1 else "add"
            found.append(f"the first {half} {verb} half of what all {len(self.places)} would add")
        return found

    def _expected(self, one: Candidate) -> str:
        """What is expected of the mask of a CT: its Dice and the worst organ."""
        missing = [name for name, organ in one.organs.items() if organ.is_missing]
        known = {name: organ.dice for name, organ in one.organs.items() if organ.dice is not None}
        if not known:
            return "in which no organ was found: look whether it shows any"
        worst = min(known, key=lambda name: known[name])
        words = f"no {missing[0]} was found" if missing else f"{worst} {known[worst]:.2f}"
        return f"predicted Dice {one.dice(self.of_missing):.2f}, {words.replace('_', ' ')}"


def write_ranking(folder: Path, ranking: Ranking, notes: Sequence[str]) -> None:
    """Write rank.csv, rank.json and a picture of each CT.

    Args:
        folder: The folder.
        ranking: The ranking.
        notes: How it was made and what is not in it, as sentences.
    """
    rows = ranking.rows()
    columns = (*COLUMNS, *MORE_COLUMNS, *(f"dice_{organ}" for organ in ranking.organs))
    write_text(folder / f"{RANK}.csv", csv_text([columns, *([row[column] for column in columns] for row in rows)]))
    entries = []
    for row in rows:
        one = ranking.candidates[row["file"]]
        picture = folder / PICTURES / f"{row['position']:04d}.webp"
        with atomic_write(picture) as temporary:
            temporary.write_bytes(base64.b64decode(one.picture))
        shown = {key: row[key] for key in (*COLUMNS, *MORE_COLUMNS)}
        entries.append(shown | {"organs": one.to_plain()["organs"], "picture": picture.name})
    content = {
        "organs": list(ranking.organs),
        "labelled": len(ranking.labelled),
        "sentences": ranking.sentences(),
        "notes": list(notes),
        "cts": entries,
    }
    write_text(folder / f"{RANK}.json", json.dumps(without_paths(content), indent=1))
