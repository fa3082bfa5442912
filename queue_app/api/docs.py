"""The schema and its pages."""

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class Schema(SpectacularAPIView):
    """The OpenAPI document; public, it holds no data."""

    authentication_classes = []
    throttle_classes = []


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI from our own origin, without inline script or style."""

    authentication_classes = []
    throttle_classes = []
    template_name = "api/docs.html"
    url_name = "api-schema"
