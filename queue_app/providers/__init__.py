"""Wire formats: one adapter a dialect, all behind the protocol of ``base``; ``registry`` finds the one of an account."""
