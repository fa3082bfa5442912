"""The worker processes: dispatcher, task queue clusters and their supervision. The only package that imports django-q2."""
