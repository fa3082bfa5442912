"""Numbers and times as people read them here: 48 213 with a narrow no-break space, 24 h times."""

THOUSAND_SEPARATOR = "\u202f"
NUMBER_GROUPING = 3
DECIMAL_SEPARATOR = "."
DATETIME_FORMAT = "j M Y, H:i"
SHORT_DATETIME_FORMAT = "j M, H:i"
TIME_FORMAT = "H:i"
DATE_FORMAT = "j M Y"
