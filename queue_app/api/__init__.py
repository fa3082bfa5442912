"""The JSON API: parses, calls one verb, renders. No rules live here."""
