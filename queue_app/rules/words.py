"""Words that others choose, such as those of a provider."""


def storable(text: str) -> str:
    """``text`` without what PostgreSQL cannot keep: NUL characters are left out, halves of surrogate pairs become "?"."""
    return text.replace("\x00", "").encode(errors="replace").decode()
