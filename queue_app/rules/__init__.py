"""Plain Python, no Django: what the queue decides, without anything it decides about."""
