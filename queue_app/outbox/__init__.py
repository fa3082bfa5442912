"""Facts going out."""
