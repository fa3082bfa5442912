"""What a campaign is, in plain Python: no Django, no clock, no database."""
