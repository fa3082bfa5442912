"""The seeded dimensions and samples of compliance rules. Seeding is idempotent and never overwrites staff's edits."""

from django.db import transaction

from campaigns.models import ComplianceRule, Dimension, DimensionValue
from campaigns.rules.prompt import PROMPT_LABELS

# key, label, values as (key, label)
DIMENSIONS: list[tuple[str, str, list[tuple[str, str]]]] = [
    (
        "funnel_level",
        "Funnel level",
        [
            ("unaware", "Unaware"),
            ("problem-aware", "Problem aware"),
            ("solution-aware", "Solution aware"),
            ("product-aware", "Product aware"),
            ("most-aware", "Most aware"),
        ],
    ),
    (
        "aesthetic",
        "Aesthetic",
        [
            ("ugc", "UGC"),
            ("cinematic", "Cinematic"),
            ("minimalist", "Minimalist"),
            ("documentary", "Documentary"),
            ("animated", "Animated"),
        ],
    ),
    (
        "type",
        "Type",
        [
            ("storytime", "Storytime"),
            ("testimonial", "Testimonial"),
            ("demo", "Demo"),
            ("unboxing", "Unboxing"),
            ("before-after", "Before and after"),
        ],
    ),
    (
        "intention",
        "Intention",
        [("educate", "Educate"), ("entertain", "Entertain"), ("inspire", "Inspire"), ("convert", "Convert")],
    ),
    (
        "mood",
        "Mood",
        [
            ("wholesome", "Wholesome"),
            ("energetic", "Energetic"),
            ("calm", "Calm"),
            ("humorous", "Humorous"),
            ("dramatic", "Dramatic"),
        ],
    ),
    (
        "audio_style",
        "Audio style",
        [
            ("music-light-upbeat", "Light, upbeat music"),
            ("music-cinematic", "Cinematic music"),
            ("voiceover", "Voice-over"),
            ("ambient", "Ambient sound"),
            ("silent", "Silent"),
        ],
    ),
    (
        "age_generation",
        "Age generation",
        [("gen-z", "Gen Z"), ("millennial", "Millennials"), ("gen-x", "Gen X"), ("boomer", "Boomers")],
    ),
    ("gender", "Gender", [("female", "Women"), ("male", "Men"), ("non-binary", "Non-binary people")]),
    (
        "orientation",
        "Orientation",
        [("any-orientation", "Any orientation"), ("heterosexual", "Heterosexual"), ("lgbtq", "LGBTQ+")],
    ),
    (
        "life_stage",
        "Life stage",
        [
            ("student", "Students"),
            ("young-professional", "Young professionals"),
            ("new-parent", "New parents"),
            ("established-family", "Established families"),
            ("empty-nester", "Empty nesters"),
            ("retired", "Retired people"),
        ],
    ),
    (
        "ethnicity",
        "Ethnicity",
        [
            ("any-ethnicity", "Any ethnicity"),
            ("asian", "Asian"),
            ("black", "Black"),
            ("hispanic-latino", "Hispanic or Latino"),
            ("middle-eastern", "Middle Eastern"),
            ("white", "White"),
            ("mixed", "Mixed"),
        ],
    ),
]


# samples to edit, one of each kind; inactive, so that they match nothing until staff want them to
RULES: list[dict[str, str]] = [
    {
        "name": "Sample: medical claims",
        "kind": ComplianceRule.Kind.TERM,
        "pattern": "clinically proven",
        "severity": ComplianceRule.Severity.BLOCK,
        "reason": "Medical claims need approval.",
        "instead": "loved by our customers",
    },
    {
        "name": "Sample: promises",
        "kind": ComplianceRule.Kind.PATTERN,
        "pattern": "guaranteed? (results?|success)",
        "severity": ComplianceRule.Severity.WARN,
        "reason": "We can't promise results.",
        "instead": "made to last",
    },
]


@transaction.atomic
def seed() -> int:
    """Add missing dimensions with their values, and to a new installation the sample rules. Return the number of rows added."""
    added = 0
    if not Dimension.objects.exists():  # samples that staff deleted stay deleted
        added += len(ComplianceRule.objects.bulk_create(ComplianceRule(**rule, active=False) for rule in RULES))
    for position, (key, label, values) in enumerate(DIMENSIONS, start=1):
        found = {"label": label, "position": position, "prompt_label": PROMPT_LABELS.get(key, "")}
        dimension, is_new = Dimension.objects.get_or_create(key=key, defaults=found)
        if not is_new:
            continue  # a value that staff deleted stays deleted
        DimensionValue.objects.bulk_create(
            DimensionValue(dimension=dimension, key=value, label=words, position=place)
            for place, (value, words) in enumerate(values, start=1)
        )
        added += 1 + len(values)
    return added
