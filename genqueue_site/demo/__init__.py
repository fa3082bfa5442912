"""The demo (`make run`): everything for a first look, in one terminal."""
