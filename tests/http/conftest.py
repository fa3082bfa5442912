from tests.providers.conftest import server

__all__ = ["server"]
