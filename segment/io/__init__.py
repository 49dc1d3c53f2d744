"""CTs and labels out of files: any stored geometry, NIfTI, NRRD, MHA, DICOM."""
