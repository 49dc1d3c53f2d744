"""Read CTs and label maps from NIfTI, NRRD, MetaImage and DICOM files, and write NIfTI."""
