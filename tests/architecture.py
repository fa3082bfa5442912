"""Rules of the source code that no library checks. Each walks a module's syntax tree and returns the lines that break it."""

import ast
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch

Breaches = Iterator[tuple[int, str]]
CHANGES = {"update", "bulk_update", "update_or_create", "aupdate", "create", "get_or_create", "bulk_create"}
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("timezone", "now")}
CLOCKS |= {("time", "time"), ("time", "time_ns"), ("time", "ctime"), ("models", "Now")}
CLOCKS_WITHOUT_AN_ARGUMENT = {("timezone", "localtime"), ("timezone", "localdate"), ("time", "localtime"), ("time", "gmtime")}
MAKERS = {"mark_safe", "format_html", "format_html_join"}  # calls that make markup; any module may name their return type
SQL_CLOCK = re.compile(r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp)\s*\(\s*\)|\bcurrent_timestamp\b", re.I)
# a reservation has a state too
SQL_STATE = re.compile(
    r"(?<!queue_app_reservation\s)\bset\s+(\w+\s*=[^;]*,\s*)?state\s*="
    r"|\binsert\s+into\s+queue_app_job\b|\bupdate\s+queue_app_job\s",
    re.I,
)
TAGS = re.compile(r"</[a-z][a-z0-9]*>", re.I)
# functions that the verbs of `work` use; other callers would have to audit changes to other users' objects (I45)
BELOW_THE_VERBS = {("policy", "audit"), ("policy", "audit_others"), ("intake", "retry"), ("tickets", "refund")}
BELOW_THE_VERBS |= {("lifecycle", verb) for verb in ("cancel", "queue_again", "force_fail", "settle_unknown", "promise_refund")}
MONEY = re.compile(r"(^|_)(usd|tickets?|price|amount|cost|dollars?)(_|$)", re.I)


def state_writes(tree: ast.Module) -> Breaches:
    """Find writes of a job's state: an attribute, a keyword of a changing call, a name in ``update_fields``, or SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            flat = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
            if any(isinstance(one, ast.Attribute) and one.attr == "state" and _name(one.value) != "self" for one in flat):
                yield node.lineno, "sets .state"
        elif isinstance(node, ast.Call) and _root(node.func) != "Reservation":
            called = _name(node.func)
            keywords = {word.arg: word.value for word in node.keywords}
            if (called in CHANGES or called == "Job") and ("state" in keywords or _holds_key(node, "state")):
                yield node.lineno, f"{called}(state=…)"
            elif called == "bulk_update" and len(node.args) > 1 and "state" in _texts(node.args[1]):
                yield node.lineno, "bulk_update of state"
            elif called in {"save", "asave"} and "state" in _texts(keywords.get("update_fields")):
                yield node.lineno, "save of state"
            elif called == "setattr" and len(node.args) > 1 and "state" in _texts(node.args[1]):
                yield node.lineno, "setattr of state"
    yield from _in_texts(tree, SQL_STATE, "SQL that writes jobs")


def clock_reads(tree: ast.Module) -> Breaches:
    """Find reads of a clock, in Python or SQL, that do not go through `queue_app.clock`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (_name(node.value), node.attr) in CLOCKS:
            yield node.lineno, f"{_name(node.value)}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
            if (_name(node.func.value), node.func.attr) in CLOCKS_WITHOUT_AN_ARGUMENT:
                yield node.lineno, f"{node.func.attr}()"
        elif isinstance(node, ast.ImportFrom):
            module = {"django.utils.timezone": "timezone", "time": "time", "django.db.models.functions": "models"}.get(
                node.module or ""
            )
            for alias in node.names:
                if (module, alias.name) in CLOCKS | CLOCKS_WITHOUT_AN_ARGUMENT:
                    yield node.lineno, f"imports {alias.name}"
        elif isinstance(node, ast.keyword) and node.arg in {"auto_now", "auto_now_add"}:
            yield node.lineno, node.arg
    yield from _in_texts(tree, SQL_CLOCK, "SQL that reads a clock")


def markup(tree: ast.Module) -> Breaches:
    """Find calls that make markup."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            for alias in node.names:
                if alias.name.rpartition(".")[2] in MAKERS:
                    yield node.lineno, f"imports {alias.name}"
        elif isinstance(node, ast.Attribute) and node.attr in MAKERS:
            yield node.lineno, node.attr
    yield from _in_texts(tree, TAGS, "markup")


def declared_safe(tree: ast.Module) -> Breaches:
    """Find text that is declared safe without being escaped."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in {"mark_safe", "SafeString", "SafeText"}:
            yield from ((node.lineno, "safe, and no constant") for one in node.args if not isinstance(one, ast.Constant))


def swallowed_errors(tree: ast.Module) -> Breaches:
    """Find errors that are caught without any action, and blocks that suppress all errors."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield node.lineno, "bare except"
            elif all(isinstance(line, ast.Pass) or _is_ellipsis(line) for line in node.body):
                yield node.lineno, "except: pass"
        elif isinstance(node, ast.Call) and _name(node.func) == "suppress":
            everything = {"Exception", "BaseException"}.intersection(map(_name, node.args))
            yield from ((node.lineno, f"suppress({name})") for name in everything)


def float_money(tree: ast.Module) -> Breaches:
    """Find amounts of money that pass through a float."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called, names = _name(node.func), {_name(one) for argument in node.args for one in ast.walk(argument)}
            if called == "float" and any(MONEY.search(name) for name in names):
                yield node.lineno, "float of money"
            elif called == "Decimal" and any(isinstance(one, ast.Constant) and isinstance(one.value, float) for one in node.args):
                yield node.lineno, "Decimal of a float"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if MONEY.search(_name(target)) and _name(node.value.func) in {"FloatField", "float"}:
                yield node.lineno, "money kept as a float"
        elif isinstance(node, ast.BinOp):
            sides = [node.left, node.right]
            fraction = any(isinstance(one, ast.Constant) and isinstance(one.value, float) for one in sides)
            if fraction and any(MONEY.search(_name(one)) for one in sides):
                yield node.lineno, "money times a float"


def foreign_imports(tree: ast.Module) -> Breaches:
    """Find imports of Django or the queue in the studio."""
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [node.module or ""] if node.level == 0 else ["."] * (node.level > 2)  # `...` leaves the studio
        for module in modules:
            ours = {".", "django", "rest_framework", "django_q", "campaigns", "genqueue_site", "queue_app"}
            if (module.split(".")[0] or ".") in ours and not module.startswith("genqueue_site.studio"):
                yield node.lineno, f"imports {module}"


def unaudited_verbs(tree: ast.Module) -> Breaches:
    """Find pages and API calls that change jobs without the verbs that audit it, or that write audit entries themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (_name(node.value), node.attr) in BELOW_THE_VERBS:
            yield node.lineno, f"{_name(node.value)}.{node.attr}"


def asserted_users(tree: ast.Module) -> Breaches:
    """A view asserts that its request has a user of ours, which python -O skips, instead of asking `queue_app.ui.access`."""
    for node in ast.walk(tree):
        test = node.test if isinstance(node, ast.Assert) else None
        arguments = test.args if isinstance(test, ast.Call) and _name(test.func) == "isinstance" else []
        if any(isinstance(one, ast.Attribute) and one.attr == "user" for one in arguments):
            yield node.lineno, "asserts the user of a request"


Rule = Callable[[ast.Module], Breaches]
VERBS = (
    "queue_app/work/*",
    "queue_app/lifecycle.py",
    *(f"campaigns/{name}.py" for name in ("actions", "launch", "review", "versions", "naming", "sharing", "more", "releases")),
    *(f"campaigns/{name}.py" for name in ("writing/launch", "writing/reviews")),
)
MIGRATIONS, STUDIO = "*/migrations/*", "genqueue_site/studio/*"
# rule: the modules it applies to, and the modules that may break it because it is their task
RULES: dict[Rule, tuple[str, tuple[str, ...]]] = {
    state_writes: ("*", ("queue_app/lifecycle.py", "queue_app/turns.py", MIGRATIONS, STUDIO)),
    clock_reads: ("*", ("queue_app/clock.py", "queue_app/runtime/broker.py", MIGRATIONS, STUDIO)),
    # a finished page's frame is no page of the site: its texts are escaped, its body is cleaned (tests/campaigns/pages)
    markup: ("*", ("queue_app/ui/display.py", "campaigns/pages/finishing.py", STUDIO)),
    declared_safe: ("*", ()),
    swallowed_errors: ("*", ()),
    float_money: ("*", (STUDIO,)),
    foreign_imports: (STUDIO, ()),
    unaudited_verbs: ("*", (*VERBS, MIGRATIONS)),
    asserted_users: ("*", ()),
}


def breaches(rule: Rule, path: str, source: str) -> list[str]:
    """Return where a module breaks a rule that applies to it, as ``path:line: what``."""
    where, exempt = RULES[rule]
    if not fnmatch(path, where) or any(fnmatch(path, pattern) for pattern in exempt):
        return []
    return [f"{path}:{line}: {what}" for line, what in rule(ast.parse(source))]


def _name(node: ast.AST | None) -> str:
    """Return the last part of a name, an attribute or a called function."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.AST) -> str:
    """Return the first name of a chain: ``Job`` of ``Job.objects.filter(…).update``."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.AST | None) -> set[str]:
    return (
        {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)} if node else set()
    )


def _holds_key(call: ast.Call, key: str) -> bool:
    dicts = [one for word in call.keywords for one in ast.walk(word.value) if isinstance(one, ast.Dict)]
    return any(isinstance(one, ast.Constant) and one.value == key for found in dicts for one in found.keys)


def _is_ellipsis(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _in_texts(tree: ast.Module, pattern: re.Pattern[str], what: str) -> Breaches:
    """Find string constants that match the pattern, except docstrings and other strings that are statements."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in alone
            and pattern.search(node.value)
        ):
            yield node.lineno, what
