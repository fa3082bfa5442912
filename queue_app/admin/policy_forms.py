"""Forms of limits, prices and policies that know which values they showed: a save writes only the values that were changed."""

import json
from copy import copy
from typing import Any

from django import forms
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from queue_app.models import AuditEntry
from queue_app.ui import history
from queue_app.ui.pauses import NO_REASON
from queue_app.work import policy

_SEAL = signing.Signer(salt="what a policy's form showed")


class PolicyForm(forms.ModelForm[Any]):
    """
    A row of the catalogue, and the reason for its change.

    Django compares the sent values with the row at that moment: a box that was not ticked when the form was opened would end a
    pause that started since. This form compares with the values that it showed, and refuses once if the row has changed since.
    """

    why = forms.CharField(
        label="Reason for this change",
        max_length=300,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Saved in the audit with your name and the old and new values.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            return
        self.fields["showed"] = forms.CharField(required=False, widget=forms.HiddenInput)
        self.now = {name: self.initial[name] for name in self.fields if name in self.initial}
        self.seen = self.latest = policy.last_change(self.instance)
        if self.is_bound:
            self._read(self.data.get("showed", ""))
        else:
            self.initial["showed"] = self._sealed(self.now)

    def clean(self) -> dict[str, Any] | None:
        """:raises ValidationError: the row has changed since the form was opened."""
        said = super().clean()
        touched = {"paused", "paused_reason"} & {*self.changed_data}
        if touched and said and said.get("paused") and not said.get("paused_reason", NO_REASON).strip():
            self.add_error("paused_reason", NO_REASON)
        if not self.instance._state.adding and self.seen < self.latest:
            self._show_as_it_is_now()
            raise ValidationError(_meanwhile(policy.changes_of(self.instance).filter(pk__gt=self.seen)))
        return said

    def _read(self, sealed: str) -> None:
        """Compare with the values that the form showed; a form without them counts as opened now."""
        try:
            showed = json.loads(_SEAL.unsign(sealed))
        except signing.BadSignature:
            return
        self.seen = showed["change"]
        for name in showed["values"].keys() & self.now.keys():
            self.initial[name] = self.instance._meta.get_field(name).to_python(showed["values"][name])

    def _show_as_it_is_now(self) -> None:
        """Keep the touched values; show the others as the row has them, and count those as shown."""
        data: Any = copy(self.data)
        touched = {name: self.initial[name] for name in self.changed_data if name in self.now}
        for name in self.now.keys() - touched.keys():
            widget: Any = self.fields[name].widget
            value = self.fields[name].prepare_value(self.now[name])
            if hasattr(widget, "decompress"):  # several inputs
                for place, part in zip(widget.widgets_names, widget.decompress(value), strict=True):
                    data[name + place] = part
            else:
                data[name] = value
        data["showed"] = self._sealed(self.now | touched)
        self.data = data

    def _sealed(self, values: dict[str, Any]) -> str:
        return _SEAL.sign(json.dumps({"change": self.latest, "values": values}, cls=DjangoJSONEncoder))


class ListForm(forms.ModelForm[Any]):
    """A row of a list that is edited in place, compared with the values that the list showed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = True


def _meanwhile(since: QuerySet[AuditEntry]) -> str:
    who = " and ".join(dict.fromkeys(entry.actor_name for entry in since))
    what = "; ".join(history.summary(entry) for entry in since)
    return f"{who} changed this while you were editing ({what}). Not saved yet: check the values, then save again."
