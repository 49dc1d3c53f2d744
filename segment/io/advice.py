"""What a user can do about a DICOM series, which depends on what reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """Remedies that end an error, after its semicolon.

    Attributes:
        choose: Where to name one of several series.
        straighten: How to resample slices that are tilted or unevenly far apart.
    """

    choose: str
    straighten: str


FOR_DATA_SETS = Advice(
    choose="name its UID in the column series of a manifest (data=manifest), or keep one CT in the folder",
    straighten="run segment predict with straighten=true, and annotate the straightened CT that it writes",
)
FOR_PREDICTION = Advice(choose="choose one by series=<UID>", straighten="resample them with straighten=true")
