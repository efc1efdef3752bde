"""The report of a bench as one self-contained page."""
