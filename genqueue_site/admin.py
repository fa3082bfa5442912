"""The admin site: Django's own, under our name and theme."""

from django.contrib import admin


class GenqueueAdminSite(admin.AdminSite):
    site_header = "Genqueue"
    site_title = "Genqueue"
    index_title = "Queue"
