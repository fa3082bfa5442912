"""
The queue in the admin: what staff see and which verbs they may call. State and money are shown, never edited (I39).

Each module registers its lists with Django. The pages that are no list are registered here, by their address below the site's.
"""

from functools import partial, update_wrapper

from queue_app.admin import (
    alerts,
    audit,
    batches,
    bulk,
    catalog,
    dashboard,
    drift,
    endpoints,
    grants,
    job_page,
    jobs,
    money,
    peak_hours,
    people,
    prices,
    provider_page,
    review,
    review_page,
    schedules,
    ticket_budgets,
    usage,
    webhooks,
)
from queue_app.ui import pages

__all__ = [
    "alerts",
    "audit",
    "batches",
    "bulk",
    "catalog",
    "endpoints",
    "jobs",
    "money",
    "people",
    "review",
    "schedules",
    "ticket_budgets",
    "webhooks",
]

PAGES: dict[str, tuple[pages.View, str]] = {
    "usage/": (usage.page, "usage"),
    "drift/": (drift.page, "drift"),
    "pending/": (bulk.pending_strip, "pending"),
    "queue_app/generationmodel/price/": (prices.calculator, "model_price"),
    "queue_app/queuesettings/day/": (peak_hours.preview, "peak_hours"),
    "queue_app/job/<path:object_id>/change/": (job_page.page, "queue_app_job_change"),
    "queue_app/reviewitem/<path:object_id>/change/": (review_page.page, "queue_app_reviewitem_change"),
    "queue_app/reviewitem/<int:item_id>/decide/": (review_page.decide, "queue_app_reviewitem_decide"),
    "queue_app/reviewitem/settle/": (review.settle, "queue_app_reviewitem_settle"),
    "queue_app/provideraccount/<path:object_id>/test/": (provider_page.test, "queue_app_provideraccount_test"),
    "queue_app/webhookendpoint/<int:object_id>/stop/": (endpoints.stop, "queue_app_webhookendpoint_stop"),
    "queue_app/wallet/grant/": (grants.page, "queue_app_wallet_grant"),
    "queue_app/wallet/<path:object_id>/change/": (money.wallet_page, "queue_app_wallet_change"),
}

_site = pages.site()
for _address, (_view, _name) in dashboard.VIEWS.items():
    _site.register_page(_address, update_wrapper(partial(_view, _site), _view), name=_name)
for _address, (_view, _name) in PAGES.items():
    _site.register_page(_address, _view, name=_name)
