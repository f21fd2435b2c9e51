"""The inspector without a browser: who may see and do what, and the values that its pages are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

import palaver
from palaver import Origin, assistant, user
from palaver.apikeys import KeyFile
from palaver.server import app
from palaver.server.inspector import is_page
from palaver.server.inspector.charts import WIDE, ribbon, ticks
from palaver.server.inspector.conversation import stretch_of
from palaver.server.inspector.markup import LONGEST, MOST, marked, prose, tidied
from palaver.server.inspector.mounting import VIEWS
from palaver.server.inspector.overlay import SAYS, spans_of
from palaver.server.inspector.transcript import raster
from palaver.server.inspector.visits import View
from palaver.server.inspector.wording import ago, lasted, money, short, size
from palaver.server.routes import ENDPOINTS
from tests.e2e.asking import BASE
from tests.inspector.attacks import ATTACKS
from tests.inspector.material import START, Clock, several


class Ring(NamedTuple):
    """Keys to the server, by name, and the file that they are in."""

    file: KeyFile
    keys: dict[str, str]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Ring:
    """One key for everything, two of owners, and one that may only look."""
    file = KeyFile(tmp_path_factory.mktemp("keys") / "chat.keys")
    now = datetime.now(UTC)
    made = {
        "all": file.create("all", now=now, may="admin"),
        "ana": file.create("ana", now=now, owner="ana"),
        "bo": file.create("bo", now=now, may="admin", owner="bo"),
        "looks": file.create("looks", now=now, may="read"),
    }
    return Ring(file, {name: text for name, (_, text) in made.items()})


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('inspector')}/chat.db"


@pytest.fixture
def http(url: str) -> Iterator[TestClient]:
    """The application, open to everyone, over that store."""
    with TestClient(app(url), base_url=BASE) as client:
        yield client


@pytest.fixture
def locked(url: str, ring: Ring) -> Iterator[TestClient]:
    """The same, where one has to show a key."""
    with TestClient(app(url, keys=ring.file.path), base_url=BASE, headers={"Accept": "text/html"}) as client:
        yield client


def talk(url: str, owner: str = "ana", title: str = "Hers") -> str:
    """A session of an owner; gives its id."""
    with palaver.open(url) as sessions:
        session = sessions.for_owner(owner).create(Origin("sms", user_id="7"), title=title)
        session.append(user("What is my secret?"), assistant("It is *plum*."))
        return session.id


def token_of(text: str) -> str:
    """What the forms of a page carry."""
    found = re.search(r'name="token" value="([0-9a-f]{64})"', text)
    assert found is not None
    return found[1]


def log_in(client: TestClient, key: str) -> int:
    """Show a key in the form; gives the status."""
    token = token_of(client.get("/login").text)
    sent = client.post("/login", data={"token": token, "key": key}, follow_redirects=False)
    return sent.status_code


# ---------------------------------------------------------------------- headers, and what browsers are told
@pytest.mark.parametrize("path", ["/", "/usage", "/doctor", "/shortcuts", "/nothing-here", "/sessions/no-such"])
def test_pages_allow_their_own_files_alone(http: TestClient, path: str) -> None:
    """Every page, errors too, has a policy under which nothing foreign and nothing inline runs or styles."""
    policy = http.get(path).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_files_are_kept_by_browsers(http: TestClient) -> None:
    """The pages' files have names that change with their content, and may be kept; others are not served."""
    page = http.get("/").text
    for path in re.findall(r'"(/static/[^"]+)"', page):
        answer = http.get(path)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert http.get("/static/..%2F__init__.py").status_code == 404
    assert http.get("/static/__init__.py").status_code == 404


def test_images_are_images_and_all_else_is_a_file(http: TestClient, url: str) -> None:
    """Content that is a raster image by its bytes is shown; a page or a drawing is not, whatever it says that it is."""
    from base64 import b64encode

    from palaver.model import ImagePart
    from tests.inspector.material import picture

    page = b"<script>alert(1)</script>" + b" " * 20_000
    with palaver.open(url) as sessions:
        session = sessions.create(title="x")
        session.append(
            user(
                (
                    ImagePart(media_type="image/png", data=picture()),
                    ImagePart(media_type="text/html", data=b64encode(page).decode()),
                )
            )
        )
        [message] = session.messages()
    blobs = [part.blob for part in message.parts if isinstance(part, ImagePart)]
    shown, kept = (http.get(f"/sessions/{session.id}/media/{blob}") for blob in blobs)
    assert (shown.headers["content-type"], kept.headers["content-type"]) == ("image/png", "application/octet-stream")
    assert kept.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in kept.headers["content-security-policy"]
    other = talk(url)
    assert http.get(f"/sessions/{other}/media/{blobs[0]}").status_code == 404
    assert [raster(data) for data in (b"GIF89a", b"RIFF0000WEBPx", b"<svg", b"")] == [
        "image/gif",
        "image/webp",
        None,
        None,
    ]


# ---------------------------------------------------------------------- forms
FORMS = [view for view in VIEWS if view.method == "POST"]


@pytest.mark.parametrize("view", FORMS, ids=lambda view: view.path)
def test_only_own_forms_are_taken(http: TestClient, url: str, view: View) -> None:
    """A form without the visitor's token, or that another site's page sent, changes nothing."""
    session_id = talk(url)
    path = view.path.replace("{session_id}", session_id)
    page = http.get(f"/sessions/{session_id}/manage")
    token = token_of(page.text)
    fields = {"title": "Taken over", "value": "yes", "seq": "1", "text": "x", "confirm": session_id, "tags": "x"}
    before = http.get(f"/v1/sessions/{session_id}").json()
    for sent, headers in (
        (fields, {}),
        ({**fields, "token": ""}, {}),
        ({**fields, "token": token[::-1]}, {}),
        ({**fields, "token": token}, {"Sec-Fetch-Site": "cross-site"}),
        ({**fields, "token": token}, {"Sec-Fetch-Site": "same-site"}),
        ({**fields, "token": token}, {"Origin": "http://evil.test"}),
        ({**fields, "token": token}, {"Origin": "null"}),
        ({**fields, "token": token}, {"Cookie": "palaver_form=" + "a" * 43}),
    ):
        answer = http.post(path, data=sent, headers=headers)
        assert answer.status_code == 403, (sent, headers)
    assert http.get(f"/v1/sessions/{session_id}").json() == before


def test_odd_forms_are_refused(http: TestClient) -> None:
    """Bodies of other types, of too many fields, or not in UTF-8 get a page that says so."""
    for body, kind, status in (
        (b"{}", "application/json", 415),
        (b"&".join(b"a=1" for _ in range(200)), "application/x-www-form-urlencoded", 400),
        (b"title=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
    ):
        answer = http.post("/sessions/x/rename", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")


# ---------------------------------------------------------------------- the door
def test_without_a_key_there_is_only_the_form(locked: TestClient, url: str) -> None:
    """Every page leads to the form, and from there on to where one wanted to go; forms and live updates are refused."""
    session_id = talk(url)
    for view in VIEWS:
        path = view.path.replace("{session_id}", session_id).replace("{seq}", "1").replace("{address}", "x")
        if view.open:
            continue
        answer = locked.request(view.method, path, follow_redirects=False)
        assert "secret" not in answer.text
        if view.method == "POST":
            assert answer.status_code in {403, 415}
        else:
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login")
    assert locked.get("/live", headers={"Accept": "*/*"}).status_code == 401


def test_a_key_opens_and_is_forgotten(locked: TestClient, url: str, ring: Ring) -> None:
    """A wrong key is said to be wrong; a right one is kept where scripts and other sites cannot use it."""
    session_id = talk(url)
    assert log_in(locked, "wrong") == 403
    assert log_in(locked, "x" * 600) == 403
    token = token_of(locked.get(f"/login?next=/sessions/{session_id}").text)
    sent = locked.post(
        "/login",
        data={"token": token, "key": ring.keys["all"], "next": f"/sessions/{session_id}"},
        follow_redirects=False,
    )
    cookie = sent.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
    assert sent.headers["location"] == f"/sessions/{session_id}"
    page = locked.get(sent.headers["location"])
    assert "plum" in page.text
    locked.post("/logout", data={"token": token_of(page.text)})
    assert locked.get("/", follow_redirects=False).status_code == 303


def test_guessing_at_the_form_is_slow(url: str, ring: Ring) -> None:
    """After twenty wrong keys one waits, by whichever door they came; a right key is let in, also before that."""
    with TestClient(app(url, keys=ring.file.path), base_url=BASE, headers={"Accept": "text/html"}) as client:
        for _ in range(10):
            assert log_in(client, "pal_guess") == 403
        assert client.get("/", headers={"Authorization": "Bearer guess"}, follow_redirects=False).status_code == 303
        client.cookies.set("palaver_key", "guess")
        assert client.get("/usage", follow_redirects=False).status_code == 303
        for _ in range(8):
            assert client.get("/v1/sessions", headers={"Authorization": "Bearer guess"}).status_code == 401
        token = token_of(client.get("/login").text)
        for _ in range(1000):  # each second one more is let through
            slowed = client.post("/login", data={"token": token, "key": "x" * 5000})
            if slowed.status_code != 403:
                break
        assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "1")
        assert 'role="alert"' in slowed.text
        assert "Wait 1 second" in slowed.text
        for _ in range(1000):
            page = client.get("/", headers={"Authorization": "Bearer guess"}, follow_redirects=False)
            if page.status_code != 303:
                break
        assert (page.status_code, page.headers["retry-after"]) == (429, "1")
        assert log_in(client, ring.keys["ana"]) == 303
        assert client.get("/", follow_redirects=False).status_code == 200


def test_a_key_that_opens_nothing_is_forgotten(locked: TestClient) -> None:
    """A browser shows a revoked key once, and is then told to forget it: nobody waits because of an old cookie."""
    for path in ("/", "/usage", "/login", "/shortcuts"):
        headers = {"Cookie": "palaver_key=pal_old"}
        answer = locked.get(path, headers=headers, follow_redirects=False)
        assert 'palaver_key=""' in answer.headers["set-cookie"], path
    for _ in range(30):
        assert locked.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    "then", ["//evil.test", "/\\evil.test", "https://evil.test", "javascript:x", "/login?next=/", "/\n/x"]
)
def test_the_form_leads_nowhere_else(locked: TestClient, ring: Ring, then: str) -> None:
    """Where one goes after it is a page of this server."""
    token = token_of(locked.get("/login").text)
    sent = locked.post("/login", data={"token": token, "key": ring.keys["all"], "next": then}, follow_redirects=False)
    assert sent.headers["location"] == "/"


@pytest.mark.parametrize(
    "view", [view for view in VIEWS if not view.open], ids=lambda view: f"{view.method} {view.path}"
)
def test_pages_tell_nothing_of_foreign_sessions(locked: TestClient, url: str, ring: Ring, view: View) -> None:
    """What another owner's key gets of hers is what it gets of a session that never was, and nothing changes."""
    hers, never = talk(url), "01aaaaaaaaaaaaaaaaaaaa"
    assert log_in(locked, ring.keys["bo"]) == 303
    token = token_of(locked.get("/").text) if 'name="token"' in locked.get("/").text else ""
    answers: list[tuple[int, str]] = []
    for session_id in (hers, never):
        path = view.path.replace("{session_id}", session_id).replace("{seq}", "1").replace("{address}", "0" * 64 + "-9")
        query = f"?q=secret&owner=ana&session={session_id}&seen=0" if "{" not in path and view.method == "GET" else ""
        query = query.replace("q=secret&", "") if view.path != "/" else query
        fields = {"token": token, "title": "Mine", "seq": "1", "text": "x", "confirm": session_id, "tags": "x"}
        sent = {"data": fields} if view.method == "POST" else {}
        answer = locked.request(view.method, path + query, follow_redirects=False, **sent)  # type: ignore[arg-type]
        assert answer.status_code != 403, answer.text
        body = answer.text.replace(session_id, "<id>")
        answers.append((answer.status_code, re.sub(r"\b[0-9a-f]{64}\b|just now|\d+ \w+ ago", "", body)))
        assert "plum" not in body
        assert "Hers" not in body
    assert answers[0] == answers[1]
    with palaver.open(url) as sessions:
        assert [message.text for message in sessions.get(hers).messages()] == ["What is my secret?", "It is *plum*."]
        assert sessions.get(hers).info().title == "Hers"


def test_a_key_in_a_header_is_as_good(locked: TestClient, url: str, ring: Ring) -> None:
    """A program that fetches a page may show its key as it does to the API; the cookie does not speak against it."""
    session_id = talk(url)
    assert log_in(locked, ring.keys["all"]) == 303
    for name, status in (("all", 200), ("ana", 200), ("bo", 404)):
        headers = {"Authorization": f"Bearer {ring.keys[name]}"}
        assert locked.get(f"/sessions/{session_id}", headers=headers).status_code == status


def test_a_revoked_key_opens_nothing(url: str, tmp_path: Path) -> None:
    """A cookie with a key that was revoked is no way in any more; without any key the server is open."""
    file = KeyFile(tmp_path / "chat.keys")
    with TestClient(app(url, keys=file.path), base_url=BASE, headers={"Accept": "text/html"}) as client:
        assert client.get("/", follow_redirects=False).status_code == 200
    now = datetime.now(UTC)
    key, text = file.create("mine", now=now)
    with TestClient(app(url, keys=file.path), base_url=BASE, headers={"Accept": "text/html"}) as client:
        assert log_in(client, text) == 303
        assert client.get("/", follow_redirects=False).status_code == 200
    file.revoke(key.id, now=now)
    with TestClient(app(url, keys=file.path), base_url=BASE, headers={"Accept": "text/html"}) as client:
        client.cookies.set("palaver_key", text)
        assert client.get("/", follow_redirects=False).headers["location"] == "/login"


def test_pages_are_not_the_api() -> None:
    """No path of the API is taken for a page: what a page looks at itself, the API must not leave to it."""
    for each in ENDPOINTS:
        assert not is_page(each.path.replace("{", "").replace("}", ""))
    assert not any(
        is_page(path) for path in ("/docs", "/openapi.json", "/problems/x", "/v1/sessions/a/window", "/metrics")
    )
    assert all(is_page(view.path.replace("{session_id}", "a%2Fb").replace("{seq}", "1")) for view in VIEWS)


def test_permissions_are_kept(locked: TestClient, url: str, ring: Ring) -> None:
    """A key that may only look changes nothing and is offered nothing to change; erasing and health take more."""
    session_id = talk(url)
    assert log_in(locked, ring.keys["looks"]) == 303
    page = locked.get(f"/sessions/{session_id}/manage").text
    assert "Rename" not in page
    assert "Erase" not in page
    refused = locked.post(f"/sessions/{session_id}/rename", data={"token": token_of(page), "title": "x"})
    assert refused.status_code == 403
    assert log_in(locked, ring.keys["ana"]) == 303
    assert locked.get("/doctor").status_code == 403
    page = locked.get(f"/sessions/{session_id}/manage").text
    assert "Rename" in page
    assert "Erase it" not in page
    sent = {"token": token_of(page), "confirm": session_id}
    assert locked.post(f"/sessions/{session_id}/erase", data=sent).status_code == 403
    assert locked.get(f"/sessions/{session_id}").status_code == 200


# ---------------------------------------------------------------------- errors, and what the query may say
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/sessions/nothing", 404),
        ("/sessions/{id}/window?max_tokens=0", 400),
        ("/sessions/{id}/window?max_tokens=many", 400),
        ("/sessions/{id}/window?wire=smoke", 400),
        ("/sessions/{id}?before=-1", 400),
        ("/sessions/{id}?at=99999999", 200),
        ("/sessions/{id}?before=99999999", 200),
        ("/sessions/{id}?before=1", 200),
        ("/sessions/{id}/messages/99", 404),
        ("/sessions/{id}/messages/x", 404),
        ("/sessions/{id}/export?format=docx", 400),
        ("/sessions/%ff", 400),
        ("/?after=nothing", 404),
        ("/?q=x&cursor=nothing", 410),
        ("/?state=%00&since=long&owner=" + "x" * 2000, 200),
        ("/usage?days=0", 400),
        ("/usage?days=12", 200),
    ],
)
def test_odd_addresses_have_pages(http: TestClient, url: str, path: str, status: int) -> None:
    """What cannot be shown is said in a page with the status; nothing is a server error."""
    answer = http.get(path.replace("{id}", talk(url)))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<main" in answer.text


def test_a_session_by_its_alias_with_a_slash(http: TestClient, url: str) -> None:
    """Aliases are names too, whatever they hold."""
    with palaver.open(url) as sessions:
        sessions.create(alias="a/b c", title="By alias").append(user("Hi"))
    assert "By alias" in http.get("/sessions/a%2Fb%20c").text


def test_a_session_without_an_origin_is_known_by_its_key(http: TestClient, url: str) -> None:
    """As those are that a client of the pass-through names; the key is text, whatever it holds."""
    with palaver.open(url) as sessions, sessions.begin_turn("<b>my-chat</b>", user("By its key alone")) as turn:
        turn.finish(assistant("So it is."))
        session_id = turn.session_id
    for path in ("/", f"/sessions/{session_id}"):
        text = http.get(path).text
        assert "&lt;b&gt;my-chat&lt;/b&gt;" in text
        assert "<b>my-chat" not in text


def test_a_cost_that_nobody_knows_is_unknown(http: TestClient, url: str) -> None:
    """Without a number of calls that it were of, which there are none of."""
    with palaver.open(url) as sessions:
        sessions.create(title="Unpriced").record_usage(palaver.Usage(input_tokens=5, model="nobody-knows-this"))
    text = http.get("/usage").text
    assert "<dt>Cost</dt><dd>unknown</dd>" in text


def test_live_answers_what_is_new(http: TestClient, url: str) -> None:
    """With another mark than the page's the answer comes at once; it is the mark of the page as it is then."""
    session_id = talk(url)
    for path, page in (
        (f"/live?session={session_id}", f"/sessions/{session_id}"),
        ("/live?platform=sms", "/?platform=sms"),
    ):
        seen = http.get(f"{path}&seen=0").json()["seen"]
        assert f'data-seen="{seen}"' in http.get(page).text
    assert http.get("/live?session=nothing&seen=x").json() == {"seen": ""}


# ---------------------------------------------------------------------- the values
class Tags(HTMLParser):
    """The tags of a text, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one."""
        self.found.append((tag, dict(attrs)))


ALLOWED = set(
    "p br em strong s code pre a ul ol li blockquote hr h1 h2 h3 h4 h5 h6 table thead tbody tr th td div".split()
)


@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from([*ATTACKS, "](", "<", "javascript:", "\n", "|", "`", "![", "http://a "])).map("".join),
    )
)
def test_prose_has_harmless_tags_alone(text: str) -> None:
    """Whatever is written: no tag that does anything, no attribute but a link's and a class, no foreign scheme."""
    parser = Tags()
    parser.feed(str(prose(text)))
    for tag, attributes in parser.found:
        assert tag in ALLOWED
        assert attributes.keys() <= {"a": {"href", "rel", "title"}, "code": {"class"}, "ol": {"start"}}.get(
            tag, {"class"}
        )
        if tag == "a":
            assert re.match("(?i)(https?|mailto):", attributes["href"] or "")
        assert (attributes.get("class") or "to-right").startswith(("to-", "language-", "plain"))


def test_prose_says_what_was_written() -> None:
    """Plain text keeps its lines; a very long text is shown as it is; JSON in a call is laid out."""
    assert prose("a\nb\n\nc & d") == "<p>a<br />\nb</p>\n<p>c &amp; d</p>\n"
    assert prose("one\ntwo\n\nthree") == "<p>one<br>two</p><p>three</p>"
    assert prose("*" * (LONGEST + 1)) == f'<div class="plain">{"*" * (LONGEST + 1)}</div>'
    said = f"{'x' * MOST}\n… 7 more characters, in the export"
    assert (prose("x" * (MOST + 7)), tidied("x" * (MOST + 7))) == (f'<div class="plain">{said}</div>', said)
    assert tidied('{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert [tidied(text) for text in ("{oops", "12", "{}", "[" * MOST)] == ["{oops", "12", "{}", "[" * MOST]
    assert marked("<a> b", [(4, 5)]) == "&lt;a&gt; <mark>b</mark>"


@given(st.integers(0, 1000), st.one_of(st.none(), st.integers(1, 1200)), st.one_of(st.none(), st.integers(1, 1200)))
def test_stretches_cover_the_transcript(last: int, before: int | None, at: int | None) -> None:
    """A page has what was asked for, a hundred positions at most, and leads to those before and after it."""
    found = stretch_of(last, before=before, at=at)
    assert 0 <= found.after <= max(found.through, found.after)
    assert found.through - found.after <= 100
    if at is not None and at <= last:
        assert found.after < at <= found.through
    if found.older is not None and last:
        assert stretch_of(last, before=found.older, at=None).through == found.after
    if found.newer is not None:
        following = stretch_of(last, before=found.newer, at=None)
        assert following.after <= found.through <= following.through


def test_every_position_has_one_state() -> None:
    """Whatever the budget: spans are each position once, and those inside are the window's."""
    clock = Clock()
    with palaver.open("memory://", clock=clock) as sessions:
        for session in several(sessions, clock).values():
            record = sessions._core.store.record(session.id, None)
            for limit in (50, 400, 1200, 4000, None):
                window = session.history(max_tokens=limit)
                spans = spans_of(window, record)
                places = [seq for span in spans for seq in range(span.from_seq, span.through_seq + 1)]
                assert places == list(range(1, record.head.last_seq + 1))
                inside = {
                    seq
                    for span in spans
                    if span.state == "inside"
                    for seq in range(span.from_seq, span.through_seq + 1)
                }
                assert inside == {message.seq for message in window.messages if message.seq}
                assert {span.state for span in spans} <= SAYS.keys() - {"unread"}


@given(st.lists(st.integers(1, 5000), max_size=400))
def test_ribbons_lose_nothing(lengths: list[int]) -> None:
    """Pieces stand side by side over the whole width, and each can be seen."""
    spans: list[tuple[int, int, str]] = []
    at = 1
    for length in lengths:
        spans.append((at, at + length - 1, "x"))
        at += length
    pieces = ribbon(spans)
    assert len(pieces) == len(spans)
    if pieces:
        assert abs(pieces[-1].x + pieces[-1].width - WIDE) < 0.1
        assert all(piece.width >= 2 for piece in pieces)


@given(st.integers(0, 10**15))
def test_ticks_reach_the_top(most: int) -> None:
    """A chart's scale begins at nothing, has few steps, all alike, and none of them is needless."""
    found = ticks(most)
    assert found[0] == 0
    assert found[-1] >= most
    assert len(found) <= 7
    assert len({b - a for a, b in pairwise(found)}) == 1


def test_words_for_figures() -> None:
    """Numbers, money, times and sizes as people say them."""
    assert [short(n) for n in (0, 9_999, 12_345, 150_000, 2_000_000, 3_400_000_000)] == [
        "0",
        "9,999",
        "12.3k",
        "150k",
        "2M",
        "3.4B",
    ]
    assert [money(Decimal(c)) for c in ("0", "0.00001", "0.0124", "12.5")] == ["$0.00", "<$0.0001", "$0.0124", "$12.50"]
    assert money(None) == ""
    spans = (timedelta(milliseconds=7), timedelta(seconds=3.21), timedelta(seconds=75), timedelta(hours=3, minutes=5))
    assert [lasted(span) for span in spans] == ["7 ms", "3.2 s", "1 min 15 s", "3 h 5 min"]
    assert [size(n) for n in (12, 2048, 5_000_000, 10**12)] == ["12 B", "2.0 KiB", "4.8 MiB", "931 GiB"]
    times = (
        timedelta(seconds=3),
        timedelta(seconds=50),
        timedelta(minutes=9),
        timedelta(hours=5),
        timedelta(days=3),
        timedelta(days=90),
    )
    said = [ago(START, START + span) for span in times]
    assert said == ["just now", "1 min ago", "9 min ago", "5 h ago", "3 d ago", "2026-03-02"]
    assert ago(datetime.now(UTC), START) == "just now"
