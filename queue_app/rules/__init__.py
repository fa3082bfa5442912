"""Rules of the queue in plain Python, without Django."""
