"""The rules of a campaign in plain Python: no Django, no clock, no database."""
