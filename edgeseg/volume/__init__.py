"""CT volumes: DICOM series in, slice by slice through the network, NIfTI mask and 3-D surface out (extra ``cta``)."""
