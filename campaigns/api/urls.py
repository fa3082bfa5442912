"""Addresses below ``/api/v1/``, beside the queue's."""

from rest_framework.routers import SimpleRouter

from campaigns.api.schedules import ScheduleViewSet
from campaigns.api.views import BrandViewSet, CampaignViewSet, CombinationViewSet, DimensionViewSet

router = SimpleRouter(use_regex_path=False)
router.register("campaigns", CampaignViewSet, basename="campaign")
router.register("combinations", CombinationViewSet, basename="combination")
router.register("dimensions", DimensionViewSet, basename="dimension")
router.register("schedules", ScheduleViewSet, basename="schedule")
router.register("brands", BrandViewSet, basename="brand")

app_name = "campaigns-api"
urlpatterns = router.urls
