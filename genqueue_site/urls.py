"""URLs of the whole site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from genqueue_site.demo import login as demo_login

admin.autodiscover()
handler500 = "queue_app.api.errors.server_error"
urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("demo/login/", demo_login.enter, name="demo-login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("api/v1/", include("campaigns.api.urls")),
    path("", include("queue_app.urls")),
    path("", include("campaigns.urls")),
]
