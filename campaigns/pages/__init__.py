"""Pages: from product data and keywords to a checked page, in seven stages."""
