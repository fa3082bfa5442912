"""Calls about campaigns and combinations, beside the queue's own under ``/api/v1/``: parse, call one verb, render."""
