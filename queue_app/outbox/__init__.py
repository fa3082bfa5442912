"""Delivery of outgoing messages."""
