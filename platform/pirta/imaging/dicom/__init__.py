"""DICOM studies as scanners write them, read into one diffusion pair; enter by `read`."""
