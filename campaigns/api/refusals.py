"""The rows of this application in the API's table from exception to status, code and title. The settings name it."""

from campaigns.launch import LaunchRefused
from campaigns.plan import PlanRefused
from campaigns.review import NoteRefused, NotJudgeable

TABLE: dict[type[Exception], tuple[int, str, str]] = {
    PlanRefused: (400, "invalid_input", "Invalid input"),
    NoteRefused: (400, "invalid_input", "Invalid input"),
    NotJudgeable: (409, "not_judgeable", "Nothing to review"),
    LaunchRefused: (422, "nothing_to_buy", "Nothing to generate"),
}
