"""What people do with pages: draft and order them, one or many at once, follow, read, review and take them along."""
