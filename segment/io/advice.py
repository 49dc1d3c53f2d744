"""Remedies for errors about DICOM series: what a user can do depends on the command that reads the series."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """Remedies that follow the semicolon of an error message.

    Attributes:
        choose: How to choose one of several series.
        straighten: How to resample slices that are tilted or unevenly spaced.
    """

    choose: str
    straighten: str


FOR_DATA_SETS = Advice(
    choose="name its UID in the column series of a manifest (data=manifest), or keep one CT in the folder",
    straighten="run segment predict with straighten=true, and annotate the straightened CT that it writes",
)
FOR_PREDICTION = Advice(choose="choose one with series=<UID>", straighten="resample them with straighten=true")
FOR_RANKING = Advice(choose="keep one CT in the folder", straighten=FOR_DATA_SETS.straighten)
