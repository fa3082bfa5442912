"""Provider adapters: one per API dialect, all with the protocol of ``base``. ``registry`` returns the adapter of an account."""
