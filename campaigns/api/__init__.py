"""Calls about campaigns and their cells, beside the queue's own under ``/api/v1/``: parse, call once, render."""
