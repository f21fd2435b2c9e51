"""Data exports of ChatGPT: made here as it makes them, zipped and not, then torn, bent and continued."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver
from palaver.importers import exports, import_path, json_stream
from palaver.importers.json_stream import elements

CHAT = "6790aaaa-0000-8000-9000-000000000001"
BEGUN = 1_767_225_600.5
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 80


def node(name: str, parent: str | None, role: str, content: Any, **more: Any) -> dict[str, Any]:
    """A node of the tree, with all that ChatGPT writes beside it. Content that is text is one part."""
    if isinstance(content, str):
        content = {"content_type": "text", "parts": [content]}
    author = {"role": role, "name": more.pop("tool", None), "metadata": {}}
    message = {"id": name, "author": author, "create_time": BEGUN + int(name[1:]), "update_time": None}
    message |= {"content": content, "status": "finished_successfully", "end_turn": None, "weight": 1.0}
    message |= {"metadata": more.pop("about", {}), "recipient": "all", "channel": None} | more
    return {"id": name, "message": message, "parent": parent, "children": []}


def chat(*nodes: dict[str, Any], end: str | None = None, **more: Any) -> dict[str, Any]:
    """A conversation of nodes below an empty root."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    mapping |= {each["id"]: each for each in nodes}
    for each in nodes:
        if each["parent"] in mapping:
            mapping[each["parent"]]["children"].append(each["id"])
    about = {"title": "Tea", "create_time": BEGUN, "update_time": BEGUN + 99, "conversation_id": CHAT, "id": CHAT}
    return about | {"mapping": mapping, "current_node": end or nodes[-1]["id"], "is_archived": False} | more


def talk() -> list[dict[str, Any]]:
    """A question, a call of Python, its result, and a reply."""
    return [
        node("n1", "root", "system", ""),
        node("n2", "n1", "user", "6 times 7?"),
        node(
            "n3", "n2", "assistant", {"content_type": "code", "language": "python", "text": "6*7"}, recipient="python"
        ),
        node("n4", "n3", "tool", {"content_type": "execution_output", "text": "42"}, tool="python"),
        node("n5", "n4", "assistant", "It is 42.", about={"model_slug": "gpt-test"}),
    ]


def write(folder: Path, *chats: Any, name: str = "conversations.json") -> Path:
    """An unpacked export."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(chats))
    return folder


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """An export as it is sent."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def texts(sessions: palaver.SessionManager, name: str = CHAT, *, live: bool = True) -> list[str]:
    """What the messages of an imported session say."""
    return [message.text for message in sessions.get(f"chatgpt:{name}").messages(live=live)]


def test_the_next_turn_goes_on(tmp_path: Path) -> None:
    """Resumed by its alias, the next turn's window is the conversation, and legal for every provider."""
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, chat(*talk())))
        assert (report.total("imported"), report.total("skipped")) == (4, 0)
        sessions.resume("local:me", f"chatgpt:{CHAT}")
        with sessions.begin_turn("local:me", palaver.user("And 6 times 8?")) as turn:
            said = [message.text for message in turn.window.messages]
            assert said == ["6 times 7?", "", "42", "It is 42.", "And 6 times 8?"]
            for wire in palaver.formats.wires():
                payload = turn.window.render(wire)
                assert palaver.formats.check(wire, payload.messages, system=payload.system) == []
            [call] = turn.window.messages[1].tool_calls
            assert (call.name, json.loads(call.arguments)) == ("python", {"code": "6*7"})
            turn.finish(palaver.assistant("48."))


def test_what_is_known_of_a_conversation(tmp_path: Path) -> None:
    """Title, times, marks, the model, and whatever else was said of it."""
    given = chat(*talk(), is_archived=True, is_starred=True, gizmo_id="g-1", voice=None)
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, given))
        session = sessions.get(f"chatgpt:{CHAT}")
        info = session.info()
        assert (info.title, info.archived, info.pinned) == ("Tea", True, True)
        assert (info.metadata["gizmo_id"], "voice" in info.metadata) == ("g-1", False)
        assert info.created_at.isoformat() == "2026-01-01T00:00:00.500000+00:00"
        assert info.origin is not None
        assert info.origin.platform == "chatgpt"
        last = session.messages()[-1]
        assert last.metadata["model_slug"] == "gpt-test"
        assert str(last.created_at) == "2026-01-01 00:00:05.500000+00:00"


def test_branches_that_were_given_up(tmp_path: Path) -> None:
    """An answer made anew and a question put otherwise leave theirs taken back, and a later export may go elsewhere."""
    again = node("n6", "n4", "assistant", "Forty-two.")
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*talk(), again)))
        assert texts(sessions) == ["6 times 7?", "", "42", "Forty-two."]
        assert texts(sessions, live=False) == ["6 times 7?", "", "42", "It is 42.", "Forty-two."]
        other = node("n7", "n1", "user", "Never mind.")
        report = import_path(sessions, write(tmp_path, chat(*talk(), again, other)))
        assert report.total("imported") == 1
        assert texts(sessions) == ["Never mind."]
        assert import_path(sessions, tmp_path).total("imported") == 0


def test_a_branch_that_is_gone_on_with_after_all(tmp_path: Path) -> None:
    """A later export may be on a branch that was left: that is live then, in order; here, nobody's words are lost."""
    again = node("n6", "n4", "assistant", "Forty-two.")
    more = node("n7", "n5", "user", "Thanks")
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*talk(), again)))
        report = import_path(sessions, write(tmp_path, chat(*talk(), again, more)))
        assert report.total("imported") == 1
        assert texts(sessions) == ["6 times 7?", "", "42", "It is 42.", "Thanks"]
        assert import_path(sessions, tmp_path).total("imported") == 0
        assert texts(sessions) == ["6 times 7?", "", "42", "It is 42.", "Thanks"]
        assert not sessions.check()
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*talk(), again)))
        sessions.get(f"chatgpt:{CHAT}").append(palaver.user("by Palaver"))
        report = import_path(sessions, write(tmp_path, chat(*talk(), again, more)))
        assert "by Palaver" in texts(sessions)
        assert any("it went back" in each.reason for each in report.every_note())


def test_the_kinds_of_content(tmp_path: Path) -> None:
    """Each kind becomes the part that it is; what nobody knows is kept as it came."""
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "S", "content": "Think."}]}
    profile = {"content_type": "user_editable_context", "user_profile": "I am Ann.", "user_instructions": "Be brief."}
    spoken = {"content_type": "multimodal_text", "parts": [{"content_type": "audio_transcription", "text": "Hello"}]}
    quote = {"content_type": "tether_quote", "title": "notes.txt", "url": "file-1", "text": "Buy tea."}
    strange = {"content_type": "hologram", "beams": 3}
    nodes = [
        node("n1", "root", "user", profile),
        node("n2", "n1", "tool", quote, tool="file_search"),
        node("n3", "n2", "user", spoken),
        node("n4", "n3", "assistant", thoughts),
        node("n5", "n4", "assistant", strange),
        node("n6", "n5", "assistant", "Hi."),
    ]
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, chat(*nodes)))
        assert report.total("imported") == 6
        session = sessions.get(f"chatgpt:{CHAT}")
        found = session.messages()
        assert "I am Ann." in found[0].text
        assert (found[1].role, found[1].flags, "Buy tea." in found[1].text) == ("user", ("injected",), True)
        assert found[2].text == "Hello"
        assert [type(part).__name__ for message in found[3:5] for part in message.parts] == ["ThinkingPart", "Opaque"]
        kept = found[4].parts[0]
        assert isinstance(kept, palaver.Opaque)
        assert json.loads(kept.data) == strange
        payload = session.history().render("openai_chat")
        assert palaver.formats.check("openai_chat", payload.messages) == []


def test_a_tool_that_answers_in_several_messages(tmp_path: Path) -> None:
    """They are one result, and so is a call that nothing answered legal."""
    nodes = [
        node("n1", "root", "user", "Search"),
        node("n2", "n1", "assistant", "search('tea')", recipient="browser"),
        node("n3", "n2", "tool", {"content_type": "tether_browsing_display", "result": "one"}, tool="browser"),
        node("n4", "n3", "tool", {"content_type": "tether_quote", "text": "two"}, tool="browser"),
        node("n5", "n4", "assistant", "draw", recipient="dalle.text2im"),
    ]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, chat(*nodes)))
        session = sessions.get(f"chatgpt:{CHAT}")
        [result] = session.messages()[2].tool_results
        assert [part.text for part in result.parts if isinstance(part, palaver.TextPart)] == ["one", "two"]
        payload = session.history().render("openai_chat")
        assert palaver.formats.check("openai_chat", payload.messages) == []


def test_a_zip_with_its_media(tmp_path: Path) -> None:
    """Pictures and files come along with their content, in numbered parts too; the rest is told."""
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_00ab", "size_bytes": len(PNG)}
    shown = {"content_type": "multimodal_text", "parts": [picture, "What is it?"]}
    about = {"attachments": [{"id": "file-Xy9", "name": "notes.txt"}, {"id": "file-gone", "name": "gone.pdf"}]}
    first = chat(node("n1", "root", "user", shown, about=about))
    second = chat(node("n1", "root", "user", "Two"), conversation_id="other", title="Two")
    files = {
        "conversations-000.json": json.dumps([first]).encode(),
        "conversations-001.json": json.dumps([second]).encode(),
        "user-1/file_00ab-sanitized.png": PNG,
        "file-Xy9-notes.txt": b"Buy tea.",
        "../../file-gone.pdf": b"",
        "user.json": b"{}",
    }
    source = zipped(tmp_path / "export.zip", files)
    with palaver.open(str(tmp_path / "chat.db")) as sessions:
        report = import_path(sessions, source)
        assert report.total("imported") == 2
        assert any("user.json" in note.reason for note in report.notes)
        [message] = sessions.get(f"chatgpt:{CHAT}").messages()
        image, _, notes, gone = message.parts
        assert isinstance(image, palaver.ImagePart)
        assert isinstance(notes, palaver.FilePart)
        assert (image.media_type, bool(image.blob), notes.name, notes.data is not None) == (
            "image/png",
            True,
            "notes.txt",
            True,
        )
        assert isinstance(gone, palaver.FilePart)
        assert gone.name == "gone.pdf"
        assert import_path(sessions, tmp_path).total("imported") == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".db") == ["export.zip"]


def test_archives_that_lie(tmp_path: Path) -> None:
    """A bomb, a damaged archive and one that is none are refused with the reason, and cost nothing else."""
    bomb = b'[{"mapping": ' + b" " * 20_000_000 + b"{}}]"
    zipped(tmp_path / "bomb.zip", {"conversations.json": bomb})
    whole = zipped(tmp_path / "torn.zip", {"conversations.json": json.dumps([chat(*talk())]).encode()}).read_bytes()
    (tmp_path / "torn.zip").write_bytes(whole[:60] + b"\0" * 40 + whole[100:])
    (tmp_path / "none.zip").write_bytes(b"PK no")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert report.total("imported") == 0
        assert not sessions.list()
        assert {note.file for note in report.notes} >= {"bomb.zip", "torn.zip"}
        assert any("times what it is packed in" in note.reason for note in report.notes)


@pytest.mark.parametrize("place", range(1, 6))
@pytest.mark.parametrize("damage", [None, 7, {}, {"message": 5}, "gone"])
def test_a_damaged_node_costs_that_node(tmp_path: Path, place: int, damage: Any) -> None:
    """Wherever a node is bent or missing, every other message is live, and the window is legal."""
    given = chat(*talk())
    if damage == "gone":
        del given["mapping"][f"n{place}"]
    else:
        given["mapping"][f"n{place}"] = damage
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, given))
        expected = {"n2", "n3", "n4", "n5"} - {f"n{place}"}
        session = sessions.get(f"chatgpt:{CHAT}")
        assert {message.id for message in session.messages()} == expected
        assert report.total("imported") == len(expected)
        payload = session.history().render("openai_chat")
        assert palaver.formats.check("openai_chat", payload.messages) == []


@pytest.mark.parametrize("end", [None, "nowhere", 5])
def test_a_lost_end_and_circles(tmp_path: Path, end: Any) -> None:
    """Without its current node the newest message is the end; a circle is broken; no message is lost."""
    given = chat(*talk(), current_node=end)
    given["mapping"]["n3"]["parent"] = "n5"
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, write(tmp_path, given))
        assert report.total("imported") == 4
        assert texts(sessions) == ["6 times 7?", "", "42", "It is 42."]
        assert report.count("repaired") == 2


@pytest.mark.parametrize("cut", range(30, 2400, 79))
def test_a_torn_file_costs_what_is_behind_the_tear(tmp_path: Path, cut: int) -> None:
    """A file that ends early: whole conversations are there, and of the torn one all whole messages but the last."""
    first, second = chat(*talk()), chat(*talk(), conversation_id="other", title="Two")
    whole = json.dumps([first, second])
    kept = max(whole[:-cut].find('{"title": "Two"'), 0)
    (tmp_path / "conversations.json").write_text(whole[:-cut])
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        if kept:
            assert texts(sessions) == ["6 times 7?", "", "42", "It is 42."]
        assert report.total("records") == report.total("imported") + report.total("skipped")
        assert report.total("skipped") >= 1
        said = sum(whole[:-cut].count(f'"id": "n{n}", "author"') for n in range(2, 6))
        assert said - 1 <= report.total("imported") <= said


def test_damage_between_two_conversations(tmp_path: Path) -> None:
    """Noise within one costs the rest of that one; the next is found again."""
    first, second = json.dumps(chat(*talk())), json.dumps(chat(*talk(), conversation_id="other", title="Two"))
    broken = first.replace('"It is 42."', '"It is" 42."')
    (tmp_path / "conversations.json").write_text(f"[{broken},{second}]")
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert texts(sessions, "other") == ["6 times 7?", "", "42", "It is 42."]
        assert texts(sessions)[:3] == ["6 times 7?", "", "42"]
        assert report.total("skipped") >= 1


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    """They become U+FFFD, and so does half a character; both are told."""
    text = json.dumps([chat(*talk())]).replace("It is 42.", "It \\ud83d is").encode()
    (tmp_path / "conversations.json").write_bytes(text.replace(b"6 times 7?", b"6 \xff 7?"))
    with palaver.open("memory://") as sessions:
        report = import_path(sessions, tmp_path)
        assert texts(sessions)[0] == "6 \N{REPLACEMENT CHARACTER} 7?"
        assert texts(sessions)[-1] == "It \N{REPLACEMENT CHARACTER} is"
        assert report.count("repaired") == 1


def test_many_conversations_with_one_title(tmp_path: Path) -> None:
    """Titles are numbered; a second import changes nothing."""
    chats = [chat(*talk(), conversation_id=f"c{n}", title="New chat") for n in range(40)]
    with palaver.open("memory://") as sessions:
        import_path(sessions, write(tmp_path, *chats))
        assert {info.title for info in sessions.list(limit=100)} == {
            "New chat",
            *(f"New chat #{n}" for n in range(2, 41)),
        }
        tags = [info.etag for info in sessions.list(limit=100)]
        assert import_path(sessions, tmp_path).total("imported") == 0
        assert [info.etag for info in sessions.list(limit=100)] == tags


def test_one_conversation_in_a_file_of_any_name(tmp_path: Path) -> None:
    """What a browser's tool saved, one object, is known by what it holds; a dry run says the same."""
    (tmp_path / "saved.json").write_text(json.dumps(chat(*talk())))
    with palaver.open("memory://") as sessions:
        assert import_path(sessions, tmp_path / "saved.json", dry_run=True).total("imported") == 4
        assert import_path(sessions, tmp_path / "saved.json").total("imported") == 4


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=30), max_size=4), max_size=6), st.integers(1, 9))
def test_elements_are_those_of_the_array(values: list[Any], size: int) -> None:
    """However the file is read in pieces, its elements are the array's."""

    class Slow(io.BytesIO):
        def read(self, n: int | None = -1, /) -> bytes:
            return super().read(min(size, n or size))

    found = list(elements(Slow(json.dumps(values, ensure_ascii=False, indent=1).encode()), lambda _: True))
    assert [element.value for element in found] == values
    assert all(element.error is None for element in found)


@given(st.binary(max_size=60), st.integers(0, 400))
def test_noise_ends_and_leaves_what_is_before(noise: bytes, place: int) -> None:
    """Reading ends whatever stands there, and each conversation before the noise is whole."""
    values = [{"mapping": {f"k{n}": "v" * 20}} for n in range(8)]
    text = json.dumps(values).encode()
    found = list(
        elements(io.BytesIO(text[:place] + noise + text[place:]), lambda v: isinstance(v, dict) and "mapping" in v)
    )
    before = sum(len(json.dumps(values[: n + 1])) - 1 <= place for n in range(8))
    assert [element.value for element in found[:before]] == values[:before]


def test_limits_stand() -> None:
    """What the documentation promises of limits."""
    assert json_stream.MOST == 256 * 1024 * 1024
    assert exports.MOST_MEDIA == 64 * 1024 * 1024
