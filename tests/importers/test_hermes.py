"""What hermes knows of its conversations, of any version, and what becomes of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from palaver import Origin, assistant, user
from palaver.formats import check
from palaver.importers import import_path
from palaver.model import ImagePart, ThinkingPart, ToolCall
from tests.importers.hermes_home import BEGAN, SUMMARY, Home, entry, logged, opened, reasons, take, texts, window

KEY = "agent:main:telegram:dm:42"
CALLS = '[{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\\"q\\":  1}"}}]'


@pytest.mark.parametrize("version", [6, 14, 22, 40])
def test_every_version_is_read(tmp_path: Path, version: int) -> None:
    """Columns are looked up: what a version lacks is not missed, and what is not known is kept."""
    home = Home(tmp_path, version)
    home.session("s1", "Which tea?", title="Tea", model_config='{"temperature": 0.2, "api_key": "sk-1"}')
    home.say("s1", None, "assistant", tool_calls=CALLS, reasoning="I ask.", finish_reason="tool_calls")
    home.say("s1", "oolong", "tool", tool_call_id="c1", tool_name="f")
    home.say("s1", "Oolong.", "assistant", **({"weather": "rain", "wind": 3.5} if version == 40 else {}))
    if version == 40:
        home.db.execute("UPDATE sessions SET mood = 'merry', system_prompt_hash = 'h1', pinned = 1")
        home.db.execute("CREATE TABLE system_prompts (hash TEXT, prompt TEXT)")
        home.db.execute("INSERT INTO system_prompts VALUES ('h1', 'You are Hermes.')")
        home.db.execute("CREATE TABLE tides (height REAL)")
    home.index(**{KEY: "s1"})
    with opened() as sessions:
        report = take(sessions, tmp_path)
        info = sessions.resolve(KEY).info()
        _, call, result, reply = sessions.get(info.id).messages()
        assert (info.title, info.created_at.timestamp(), info.pinned) == ("Tea", BEGAN, version == 40)
        thought, asked = call.parts
        assert isinstance(thought, ThinkingPart)
        assert isinstance(asked, ToolCall)
        assert (thought.text, asked.arguments) == ("I ask.", '{"q":  1}')
        assert call.metadata == {"finish_reason": "tool_calls"}
        assert (result.text, reply.text) == ("oolong", "Oolong.")
        source = info.metadata["imported"]["session"]
        assert source["model_config"] == {"temperature": 0.2}
        assert "credentials stay where they are: api_key" in reasons(report, "aside")
        if version == 40:
            assert reply.metadata == {"weather": "rain", "wind": 3.5}
            assert (source["mood"], source["system_prompt"]) == ("merry", "You are Hermes.")
        else:
            assert "mood" not in source


def test_content_is_what_it_was(tmp_path: Path) -> None:
    """Text that looks like JSON is text; a list behind hermes's mark is a list; null and empty are two things."""
    home = Home(tmp_path)
    home.session("s1", '[{"type": "text", "text": "typed"}]', "")
    home.say(
        "s1",
        "\0json:" + json.dumps([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u:x"}}]),
    )
    home.say("s1", "\0json:[{torn")
    home.say("s1", "NUL \0 within", "assistant")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        typed, empty, blocks, torn, within = sessions.get("hermes:s1").messages()
        assert typed.text == '[{"type": "text", "text": "typed"}]'
        assert (len(empty.parts), empty.text) == (1, "")
        assert isinstance(blocks.parts[1], ImagePart)
        assert (torn.text, within.text) == ("\0json:[{torn", "NUL \0 within")
        assert any("kept as text" in reason for reason in reasons(report, "repaired"))


def test_marks_of_messages(tmp_path: Path) -> None:
    """Observed chatter, what was sent to the model, the platform's id and hidden rows are told apart."""
    home = Home(tmp_path, 40)
    home.session("s1")
    home.say("s1", "[Tom] chatter", observed=1, platform_message_id="777")
    home.say("s1", "[Ann] status?", api_content="<memory/>[Ann] status?")
    home.say("s1", "go on", display_kind="hidden")
    with opened() as sessions:
        take(sessions, tmp_path)
        chatter, asked, hidden = sessions.get("hermes:s1").messages()
        assert chatter.metadata == {"observed": True, "platform_message_id": "777"}
        assert asked.metadata == {"api_content": "<memory/>[Ann] status?"}
        assert (hidden.flags, hidden.metadata) == (("injected",), {"display_kind": "hidden"})
        assert window(sessions, "s1") == ["[Tom] chatter", "[Ann] status?", "go on"]


# -- undo, compaction, lineage --------------------------------------------------------------------------------------


def test_what_was_undone_is_cut(tmp_path: Path) -> None:
    """It is stored, in its place, and not live; taken back at the very end, redo brings it back."""
    home = Home(tmp_path)
    home.session("s1", "one", "two")
    for text in ("forget", "forgotten"):
        home.say("s1", text, active=0)
    with opened() as sessions:
        take(sessions, tmp_path)
        session = sessions.get("hermes:s1")
        assert texts(sessions, "s1") == ["one", "two"]
        assert texts(sessions, "s1", live=False) == ["one", "two", "forget", "forgotten"]
        assert session.info().message_count == 2
        session.redo()
        assert len(texts(sessions, "s1")) > 2
        brought = texts(sessions, "s1")
        assert import_path(sessions, tmp_path).total("imported") == 0
        assert texts(sessions, "s1") == brought  # what was restored here stays so


def test_what_is_undone_later_is_cut_later(tmp_path: Path) -> None:
    """A second import takes back what hermes took back since, though no message is new."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three", "four")
    with opened() as sessions:
        import_path(sessions, tmp_path)
        home.db.execute("UPDATE messages SET active = 0 WHERE content IN ('three', 'four')")
        home.db.execute("UPDATE sessions SET archived = 1, ended_at = 1772000900, end_reason = 'cli_close'")
        assert [each.status for each in take(sessions, tmp_path).sessions] == ["changed"]
        assert texts(sessions, "s1") == ["one", "two"]
        info = sessions.get("hermes:s1").info()
        assert info.archived
        assert info.metadata["imported"]["ended"]["reason"] == "cli_close"


def compacted(home: Home) -> None:
    """Archive all of a session and go on in place: a summary, copies of the last two, and something new."""
    home.db.execute("UPDATE messages SET active = 0, compacted = 1 WHERE session_id = 's1'")
    home.say("s1", SUMMARY + "So far: tea.")
    for role, text in (("user", "three"), ("assistant", "four")):
        home.say("s1", text, role)
    home.say("s1", "five")


def test_a_compaction_in_place(tmp_path: Path) -> None:
    """Its summary stands for what it archived; copies are marked, and nothing is in a window twice."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three", "four")
    compacted(home)
    with opened() as sessions:
        take(sessions, tmp_path)
        assert window(sessions, "s1")[0].endswith("So far: tea.")
        assert window(sessions, "s1")[1:] == ["three", "four", "five"]
        messages = sessions.get("hermes:s1").messages()
        home_id = sessions.get("hermes:s1").id
        assert [m.copied_from for m in messages[-3:]] == [f"{home_id}~3", f"{home_id}~4", None]
        assert sessions.get("hermes:s1").info().preview == "one"


def test_a_compaction_after_the_first_import(tmp_path: Path) -> None:
    """What was imported before is archived now, and only the rest is new."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three", "four")
    with opened() as sessions:
        import_path(sessions, tmp_path)
        compacted(home)
        report = take(sessions, tmp_path)
        assert (report.total("imported"), report.total("present")) == (4, 4)
        assert window(sessions, "s1")[1:] == ["three", "four", "five"]


def test_a_compaction_without_its_summary(tmp_path: Path) -> None:
    """What it archived is not shown to a model, as it is not by hermes, and stays."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three")
    home.db.execute("UPDATE messages SET active = 0, compacted = 1 WHERE content != 'three'")
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1") == ["three"]
        assert texts(sessions, "s1", live=False) == ["one", "two", "three"]
        assert any("whose summary is not there" in reason for reason in reasons(report, "repaired"))


def test_a_pasted_summary_is_text(tmp_path: Path) -> None:
    """Only where hermes compacts does it write summaries."""
    home = Home(tmp_path)
    home.session("s1", SUMMARY + "what is this?", "A summary.")
    with opened() as sessions:
        take(sessions, tmp_path)
        assert window(sessions, "s1") == [SUMMARY + "what is this?", "A summary."]


@pytest.mark.parametrize("shape", ["alone", "closed", "merged", "legacy"])
def test_a_session_that_goes_on_after_a_compaction(tmp_path: Path, shape: str) -> None:
    """It follows the one before, begins with the summary, and its copies name what they are copies of."""
    told = {
        "alone": SUMMARY + "So far.",
        "closed": SUMMARY + "So far.\n\n--- END OF CONTEXT SUMMARY — respond to the message below ---",
        "merged": f"[PRIOR CONTEXT — x]\nold\n[END OF PRIOR CONTEXT — COMPACTION SUMMARY BELOW]\n{SUMMARY}So far.",
        "legacy": "[CONTEXT SUMMARY]: So far.",
    }[shape]
    home = Home(tmp_path, 6)
    home.session("s2", told, parent_session_id="s1", title="x #2")  # the child stands first
    for role, text in (("user", "three"), ("assistant", "four"), ("user", "five")):
        home.say("s2", text, role)
    home.session("s1", "one", "two", "three", "four", title="x", end_reason="compression", ended_at=BEGAN + 99)
    with opened() as sessions:
        take(sessions, tmp_path)
        first, second = sessions.get("hermes:s1"), sessions.get("hermes:s2")
        info = second.info()
        assert (info.parent, info.parent_kind) == (first.id, "import")
        assert info.metadata["imported"]["lineage"] == "compression"
        assert [m.copied_from for m in second.messages()[1:]] == [f"{first.id}~3", f"{first.id}~4", None]
        assert window(sessions, "s2") == ["Summary of the conversation so far:\nSo far.", "three", "four", "five"]
        assert info.preview == "three"


def test_branches_and_circles(tmp_path: Path) -> None:
    """A branch is a fork; a circle is broken, a missing parent is told, and no session is lost."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three", end_reason="branched")
    home.session("s2", "one", "two", "else", parent_session_id="s1", model_config='{"_branched_from": "s1"}')
    home.session("s3", "a", parent_session_id="s4")
    home.session("s4", "b", parent_session_id="s5")
    home.session("s5", "c", parent_session_id="s3")
    home.session("s6", "d", parent_session_id="gone")
    home.session("s7", "e", parent_session_id="s7")
    home.session("s8", "f", parent_session_id="s1", model_config='{"_delegate_from": "s1"}')
    with opened() as sessions:
        report = take(sessions, tmp_path)
        info = {
            name: sessions.get(f"hermes:{name}").info() for name in ("s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8")
        }
        assert (info["s2"].parent, info["s2"].parent_kind) == (info["s1"].id, "fork")
        copies = [m.copied_from for m in sessions.get("hermes:s2").messages()]
        assert copies == [f"{info['s1'].id}~1", f"{info['s1'].id}~2", None]
        assert [info[name].parent for name in ("s3", "s4", "s5")] == [None, info["s5"].id, info["s3"].id]
        assert (info["s6"].parent, info["s7"].parent) == (None, None)
        assert (info["s8"].parent, info["s8"].metadata["imported"]["lineage"]) == (info["s1"].id, "delegation")
        assert (info["s8"].parent_kind, info["s8"].hidden) == ("subagent", True)
        repaired = reasons(report, "repaired")
        assert sum("leads back to itself" in reason for reason in repaired) == 2
        assert sum("'gone', which is not there" in reason for reason in repaired) == 1


# -- keys -----------------------------------------------------------------------------------------------------------


def test_the_next_message_goes_on(tmp_path: Path) -> None:
    """Under hermes's own key, also with a profile's; what is imported again afterwards loses nothing."""
    home = Home(tmp_path / ".hermes")
    home.session("s1", "Which tea?", "Oolong.")
    home.route(KEY, "s1")
    other = Home(tmp_path / ".hermes" / "profiles" / "coder")
    other.session("s9", "make it", "made")
    other.route("agent:coder:telegram:dm:42", "s9")
    (tmp_path / ".hermes" / "skills").mkdir()
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert any("skills" in reason for reason in reasons(report, "aside"))
        with sessions.begin_turn(Origin("telegram", chat_id="42"), user("And water?")) as turn:
            assert [m.text for m in turn.window.messages] == ["Which tea?", "Oolong.", "And water?"]
            assert not check("openai_chat", turn.window.render("openai_chat").messages)
            turn.finish(assistant("80 °C."))
        coder = sessions.resolve("agent:coder:telegram:dm:42").info()
        assert coder.origin is not None
        assert (coder.origin.agent, coder.id) == ("coder", sessions.get("hermes:s9").id)
        home.say("s1", "late")
        assert import_path(sessions, tmp_path).total("imported") == 1
        assert texts(sessions, "s1")[-3:] == ["And water?", "80 °C.", "late"]


def test_where_tables_and_index_disagree(tmp_path: Path) -> None:
    """The table counts unless it points nowhere; the newest of several directories; what is left is told."""
    home = Home(tmp_path)
    for name in ("s1", "s2", "s3"):
        home.session(name, f"in {name}")
    home.session("s4", "in s4", session_key="agent:main:telegram:dm:4")
    home.route("agent:main:telegram:dm:1", "s1", at=2)
    home.route("agent:main:telegram:dm:1", "s3", at=1)
    home.route("agent:main:telegram:dm:2", "gone")
    home.index(**{"agent:main:telegram:dm:1": "s3", "agent:main:telegram:dm:2": "s2", "agent:main:x:dm:3": "lost"})
    with opened() as sessions:
        report = take(sessions, tmp_path)
        pointed = [sessions.resolve(f"agent:main:telegram:dm:{n}").messages()[0].text for n in (1, 2, 4)]
        assert pointed == ["in s1", "in s2", "in s4"]
        assert sessions.get("hermes:s3").info().keys == ()
        told = reasons(report, "repaired")
        assert sum("points at" in reason for reason in told) == 3
        assert any("'lost', which is nowhere" in reason for reason in reasons(report, "aside"))


def test_several_keys_of_one_session(tmp_path: Path) -> None:
    """A session that was resumed elsewhere has both keys."""
    home = Home(tmp_path)
    home.session("s1", "one")
    home.route(KEY, "s1")
    home.route("agent:main:discord:dm:7", "s1")
    with opened() as sessions:
        take(sessions, tmp_path)
        assert set(sessions.get("hermes:s1").info().keys) == {KEY, "agent:main:discord:dm:7"}


def test_a_key_that_moved_on(tmp_path: Path) -> None:
    """A reset between two imports moves the key; one that was continued here keeps it."""
    home = Home(tmp_path)
    home.session("s1", "one")
    home.session("s2", "uno")
    home.index(**{KEY: "s1", "agent:main:telegram:dm:7": "s2"})
    with opened() as sessions:
        import_path(sessions, tmp_path)
        sessions.resolve("agent:main:telegram:dm:7").append(user("on"))
        home.session("s3", "new")
        home.session("s4", "nuevo")
        home.index(**{KEY: "s3", "agent:main:telegram:dm:7": "s4"})
        report = import_path(sessions, tmp_path)
        assert sessions.resolve(KEY) == sessions.get("hermes:s3")
        assert sessions.resolve("agent:main:telegram:dm:7") == sessions.get("hermes:s2")
        assert any("points at it now" in reason for reason in reasons(report, "aside"))
        assert any("resume hermes:s4" in reason for reason in reasons(report, "repaired"))


# -- usage ----------------------------------------------------------------------------------------------------------


def test_what_was_used_is_charged_once(tmp_path: Path) -> None:
    """Cached tokens are counted in; a later import charges what was used since, also model by model."""
    home = Home(tmp_path)
    home.session(
        "s1", "one", model="m", input_tokens=100, cache_read_tokens=30, output_tokens=7, estimated_cost_usd=0.25
    )
    with opened() as sessions:
        take(sessions, tmp_path)
        usage = sessions.get("hermes:s1").info().usage
        assert usage is not None
        assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (130, 30, 7)
        assert usage.cost == Decimal("0.25")
        home.row("session_model_usage", session_id="s1", model="m", input_tokens=150, cache_read_tokens=30,
                 output_tokens=9, actual_cost_usd=0.5)  # fmt: skip
        home.row("session_model_usage", session_id="s1", model="n", input_tokens=5)
        take(sessions, tmp_path)
        usage = sessions.get("hermes:s1").info().usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.cost) == (185, 9, Decimal("0.5"))


# -- logs -----------------------------------------------------------------------------------------------------------


def test_a_log_that_is_longer(tmp_path: Path) -> None:
    """What is in the log alone comes to its place; what is in both comes once; undone rows do not come back."""
    home = Home(tmp_path, 14)
    home.session("s1", "one", "two")
    home.say("s1", "undone", active=0)
    home.say("s1", "four", "assistant")
    meta = {"role": "session_meta", "tools": [{"x": 1}], "model": "m"}
    lines = logged("one", "two", "undone", "four", "five")
    lines.insert(1, {"role": "user", "content": "1b"})
    lines.insert(4, {"role": "assistant", "content": "three", "timestamp": "2026-02-25T06:13:31"})
    home.log("s1", meta, *lines)
    with opened() as sessions:
        report = take(sessions, tmp_path)
        assert texts(sessions, "s1", live=False) == ["one", "1b", "two", "undone", "three", "four", "five"]
        assert "undone" not in texts(sessions, "s1")
        assert any("3 messages are in this file alone" in reason for reason in reasons(report, "repaired"))
        assert sessions.get("hermes:s1").info().metadata["imported"]["session_meta"]["tools"] == [{"x": 1}]


def test_the_database_is_longer(tmp_path: Path) -> None:
    """A log that ends early, or is empty, takes nothing away."""
    home = Home(tmp_path)
    home.session("s1", "one", "two", "three")
    home.session("s2", "uno")
    home.log("s1", *logged("one"))
    home.log("s2")
    with opened() as sessions:
        assert take(sessions, tmp_path).total("imported") == 4


def test_from_before_the_database(tmp_path: Path) -> None:
    """A directory of logs, with its index or without, or one log: sessions as they were."""
    home = Home(tmp_path / "home", None)
    home.log("20260225_061320_0a1b2c3d", *logged("one", "two"))
    home.log("20260225_061321_0a1b2c3d", *logged("uno"))
    index = home.index(**{KEY: "20260225_061320_0a1b2c3d", "agent:main:x:dm:1": "nowhere"})
    lines = {"session_id": "20260225_061322_0a1b2c", "model": "m", "messages": logged("eins", "zwei")}
    (home.logs / "session_20260225_061322_0a1b2c.json").write_text(json.dumps(lines))
    with opened() as sessions:
        report = take(sessions, home.path)
        assert report.total("imported") == 5
        assert [m.text for m in sessions.resolve(KEY).messages()] == ["one", "two"]
        assert texts(sessions, "20260225_061322_0a1b2c") == ["eins", "zwei"]
        assert any("which is nowhere" in reason for reason in reasons(report, "aside"))
        assert import_path(sessions, home.logs).total("imported") == 0
        index.unlink()
        assert import_path(sessions, home.logs).total("present") == 5
        one = import_path(sessions, home.logs / "20260225_061320_0a1b2c3d.jsonl")
        assert [(each.source_id, each.present) for each in one.sessions] == [("20260225_061320_0a1b2c3d", 2)]


def test_an_entry_says_where_it_is() -> None:
    """The index of our own making is as hermes's: what it says is what the key says."""
    assert entry(KEY, "s1")["origin"]["chat_id"] == "42"
