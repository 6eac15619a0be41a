"""Signal processing: filters, levels, spectra, other rates."""
