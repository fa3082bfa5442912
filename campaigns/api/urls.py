"""Addresses below ``/api/v1/``, beside the queue's."""

from django.urls import path

from campaigns.api import calls, cells

app_name = "campaigns-api"
urlpatterns = [
    path("campaigns/", calls.Campaigns.as_view(), name="campaigns"),
    path("campaigns/<int:pk>/", calls.CampaignDetail.as_view(), name="campaign"),
    path("campaigns/<int:pk>/cancel/", calls.CancelCampaign.as_view(), name="campaign-cancel"),
    path("campaigns/<int:pk>/pause/", calls.PauseCampaign.as_view(), name="campaign-pause"),
    path("campaigns/<int:pk>/resume/", calls.ResumeCampaign.as_view(), name="campaign-resume"),
    path("campaigns/<int:pk>/retry-failed/", calls.RetryCampaign.as_view(), name="campaign-retry-failed"),
    path("campaigns/<int:pk>/combinations/", cells.Combinations.as_view(), name="combinations"),
    path("combinations/<int:pk>/", cells.CombinationDetail.as_view(), name="combination"),
]
