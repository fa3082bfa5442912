"""The files of a finished page: a complete HTML page, its body as Markdown, and its JSON-LD."""

from html import escape

from campaigns.pages import jsonld
from campaigns.pages.assembly import cleaned
from campaigns.pages.plain import address
from campaigns.pages.types import Context, Document, File

# for looking at it: a site has a stylesheet of its own
STYLE = """\
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 44rem; padding: 1.5rem 1rem 4rem; font: 1rem/1.6 system-ui, sans-serif; }
h1, h2, h3 { line-height: 1.25; text-wrap: balance; overflow-wrap: break-word; }
h2 { margin-top: 2.5rem; }
table { display: block; overflow-x: auto; border-collapse: collapse; }
th, td { padding: 0.4rem 1rem 0.4rem 0; border-bottom: 1px solid #8886; text-align: start; vertical-align: top; }"""
PAGE = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<meta name="description" content="{description}">
{canonical}<style>
{style}
</style>
{json_ld}</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


def finish(document: Document, context: Context) -> tuple[File, ...]:
    """Return the files of a page. The body is cleaned once more; the JSON-LD joins it behind that."""
    target = address(context.request.target_url)
    page = PAGE.format(
        language=escape(context.request.language),
        title=escape(document.title),
        description=escape(document.description),
        canonical=f'<link rel="canonical" href="{escape(target)}">\n' if target else "",
        style=STYLE,
        json_ld=f'<script type="application/ld+json">{jsonld.text_of(document.json_ld)}</script>\n' if document.json_ld else "",
        body=cleaned(document.html),
    )
    return (
        File("page", "text/html", page),
        File("markdown", "text/markdown", document.markdown),
        File("json-ld", "application/ld+json", jsonld.text_of(document.json_ld, indent=2) + "\n"),
    )
