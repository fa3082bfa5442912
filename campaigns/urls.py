"""Addresses of the end users' pages."""

from django.urls import path

from campaigns.views import cell, form, home, images, jobs, mine, page, player, review, statement

app_name = "campaigns"
urlpatterns = [
    path("", home.home, name="home"),
    path("quick/", home.generate, name="generate"),
    path("quick/choices/", home.quick_choices, name="quick-choices"),
    path("uploads/", images.upload, name="upload"),
    path("notices/", home.dismiss, name="dismiss"),
    path("campaigns/", home.campaign_list, name="list"),
    path("campaigns/new/", form.new, name="new"),
    path("campaigns/new/preview/", form.preview, name="new-preview"),
    path("campaigns/new/polish/", form.polish, name="new-polish"),
    path("campaigns/new/discard/", form.discard, name="discard-draft"),
    path("campaigns/<int:pk>/", page.page, name="page"),
    path("campaigns/<int:pk>/cells/", page.cells, name="cells"),
    path("campaigns/<int:pk>/cancel/", page.cancel, name="cancel"),
    path("campaigns/<int:pk>/pause/", page.pause, name="pause"),
    path("campaigns/<int:pk>/resume/", page.resume, name="resume"),
    path("campaigns/<int:pk>/retry-failed/", page.retry_failed, name="retry-failed"),
    path("campaigns/<int:pk>/retry-cancelled/", page.retry_cancelled, name="retry-cancelled"),
    path("campaigns/<int:pk>/rename/", page.rename, name="rename"),
    path("campaigns/<int:pk>/review/", review.grid, name="review"),
    path("campaigns/<int:pk>/review/results.csv", review.results_csv, name="review-csv"),
    path("campaigns/<int:pk>/review/approved.zip", review.approved_zip, name="review-zip"),
    path("campaigns/<int:pk>/review/<int:index>/", cell.page, name="cell"),
    path("campaigns/<int:pk>/review/<int:index>/judge/", cell.judge, name="judge"),
    path("campaigns/<int:pk>/review/<int:index>/note/", cell.note, name="note"),
    path("campaigns/<int:pk>/review/<int:index>/again/", cell.again, name="again"),
    path("campaigns/<int:pk>/review/<int:index>/check/", cell.check, name="again-check"),
    path("statement/", statement.page, name="statement"),
    path("jobs/", mine.page, name="jobs"),
    path("jobs/<int:pk>/", jobs.page, name="job"),
    path("jobs/<int:pk>/play/", player.play, name="play"),
    path("jobs/<int:pk>/play/review/", player.judge, name="play-review"),
    path("jobs/<int:pk>/cancel/", jobs.cancel, name="job-cancel"),
    path("jobs/<int:pk>/retry/", jobs.retry, name="job-retry"),
]
