"""The embedded database engine, and the session settings of every connection."""
