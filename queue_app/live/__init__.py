"""The live stream, which tells open pages to reload changed rows."""
