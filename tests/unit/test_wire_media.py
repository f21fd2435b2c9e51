"""Images, recordings and files between wires: nothing is sent that the provider cannot reach or show."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from palaver import AudioPart, FilePart, ImagePart, InvalidMessage, Message, formats, tool, user
from palaver.codec import decode, encode
from palaver.formats import media
from palaver.model import Part, ToolCall

WIRES = formats.wires()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n and the rest of it").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0 and the rest").decode()
SVG = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()
PDF = base64.b64encode(b"%PDF-1.7 and the rest of it").decode()

FOREIGN_FILES: list[tuple[str, Any, str]] = [
    ("anthropic", {"type": "document", "source": {"type": "file", "file_id": "file_ours"}}, "file_ours"),
    ("mistral", {"type": "file", "file_id": "b-1-ours"}, "b-1-ours"),
    ("openai_chat", {"type": "file", "file": {"file_id": "file-ours"}}, "file-ours"),
    ("openai_responses", {"type": "input_file", "file_id": "file-ours"}, "file-ours"),
    ("google", {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://ours/a.pdf"}}, "gs://ours/a.pdf"),
    (
        "bedrock",
        {"document": {"format": "pdf", "name": "a", "source": {"s3Location": {"uri": "s3://ours/a.pdf"}}}},
        "s3://ours/a.pdf",
    ),
]
OPENAI = {"openai_chat", "openai_responses"}


def asked(wire: str, part: Any) -> list[Message]:
    """The messages of a question with this content part in it."""
    said = "input_text" if wire == "openai_responses" else "text"
    text = {"text": "What is this?"} if wire in ("google", "bedrock") else {"type": said, "text": "What is this?"}
    key = "parts" if wire == "google" else "content"
    return formats.parse(wire, [{"role": "user", key: [text, part]}])


def shown(wire: str, part: Part, *, kinds: bool = False) -> str:
    """The payload that shows a part of no wire, as JSON text; with `kinds` the repairs stand before it."""
    rendered = formats.render(wire, [user(["look", part])])
    assert formats.check(wire, rendered.messages) == []
    found = json.dumps(rendered.messages)
    return f"{[repair.kind for repair in rendered.repairs]} {found}" if kinds else found


@pytest.mark.parametrize(("source", "part", "file_id"), FOREIGN_FILES)
@pytest.mark.parametrize("wire", WIRES)
def test_a_file_of_another_provider_is_a_breadcrumb(wire: str, source: str, part: Any, file_id: str) -> None:
    """Its own provider gets the file; OpenAI's two wires share theirs; nobody else is sent its id or address."""
    messages = asked(source, part)
    rendered = formats.render(wire, messages)
    sent = json.dumps(rendered.messages)
    if wire == source or {wire, source} == OPENAI:
        assert json.dumps(file_id) in sent
        assert rendered.repairs == ()
    else:
        assert json.dumps(file_id) not in sent
        assert "[file" in sent
        assert "media_left_out" in [repair.kind for repair in rendered.repairs]


@pytest.mark.parametrize("wire", ["mistral", "openai_chat", "openai_responses"])
def test_a_file_id_of_no_wire_is_the_applications(wire: str) -> None:
    """Who writes an id into a message means the provider that it asks."""
    assert '"file-mine"' in shown(wire, FilePart(file_id="file-mine"))


@pytest.mark.parametrize("make", [ImagePart, FilePart])
@pytest.mark.parametrize("scheme", ["https", "http", "gs", "s3", "ftp", "file", "HTTPS"])
@pytest.mark.parametrize("wire", WIRES)
def test_only_addresses_that_a_wire_fetches_are_sent(wire: str, scheme: str, make: type[ImagePart | FilePart]) -> None:
    """The web everywhere but on bedrock; Google's storage on google, Amazon's on bedrock."""
    suffix, media_type = ("png", "image/png") if make is ImagePart else ("pdf", "application/pdf")
    url = f"{scheme}://bucket.example/a.{suffix}"
    part = make(url=url, media_type=media_type)
    fetched = {"google": {"https", "http", "gs"}, "bedrock": {"s3"}}.get(wire, {"https", "http"})
    found = shown(wire, part, kinds=True)
    # OpenAI's chat has no place for the address of a file.
    left_out = scheme.lower() not in fetched or (wire == "openai_chat" and make is FilePart)
    assert ("media_left_out" in found) == left_out
    assert (f'"{url}"' in found) == (not left_out)


@pytest.mark.parametrize("wire", WIRES)
def test_an_address_of_googles_files_is_nobodys_elsewhere(wire: str) -> None:
    """Only who has the key can fetch it."""
    url = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    found = shown(wire, ImagePart(url=url, media_type="image/png"), kinds=True)
    assert ("media_left_out" in found) == (wire != "google")


@pytest.mark.parametrize(
    ("wire", "part"),
    [
        ("openai_chat", {"type": "image_url", "image_url": {"url": f"data:image/png;charset=x;base64,{PNG}"}}),
        (
            "openai_chat",
            {"type": "image_url", "image_url": {"url": f"data:image/png;a=b;c;base64,{PNG}", "detail": "low"}},
        ),
        ("openai_chat", {"type": "file", "file": {"file_data": f"data:application/pdf;name=a;base64,{PDF}"}}),
        ("mistral", {"type": "image_url", "image_url": f"data:image/png;charset=x;base64,{PNG}"}),
        ("mistral", {"type": "image_url", "image_url": {"url": f"data:image/png;charset=x;base64,{PNG}"}}),
        ("mistral", {"type": "document_url", "document_url": f"data:application/pdf;name=a;base64,{PDF}"}),
        ("openai_responses", {"type": "input_image", "image_url": f"data:image/png;charset=x;base64,{PNG}"}),
        ("openai_responses", {"type": "input_file", "filename": "a", "file_data": f"data:text/csv;a=b;base64,{PDF}"}),
    ],
)
def test_parameters_of_a_data_address_come_back(wire: str, part: dict[str, Any]) -> None:
    """It is bytes with a type like one without them, and comes back to its wire as it was."""
    messages = asked(wire, part)
    [found] = [each for each in messages[0].parts if isinstance(each, (ImagePart, FilePart))]
    assert (found.data, found.url) in ((PNG, None), (PDF, None))
    again = formats.render(wire, [decode(encode(message)) for message in messages])
    assert again.repairs == ()
    assert again.messages[0]["content"][1] == part
    for other in WIRES:
        assert found.data is not None
        if isinstance(found, ImagePart) or other in OPENAI:
            sent = json.dumps(formats.render(other, messages).messages)
            assert found.data in sent
            assert ("charset=x" in sent) == (other == wire and "charset=x" in json.dumps(part))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("parameters", ["", ";charset=x"])
def test_the_image_in_a_data_address_is_shown_everywhere(wire: str, parameters: str) -> None:
    """An address that an application wrote is opened."""
    found = shown(wire, ImagePart(url=f"data:image/png{parameters};base64,{PNG}"), kinds=True)
    assert "media_left_out" not in found
    assert PNG in found
    assert "charset" not in found


def test_the_file_in_a_data_address_is_no_address() -> None:
    """OpenAI fetches no data: addresses; its bytes have a place of their own."""
    [message] = formats.render(
        "openai_responses", [user([FilePart(url=f"data:application/pdf;base64,{PDF}")])]
    ).messages
    entry = {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}", "filename": "file.pdf"}
    assert message["content"] == [entry]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("url", [f"data:,{PNG}", f"DATA:image/bmp;base64,{PNG}", f" data:image/svg+xml;base64,{PNG}"])
def test_a_breadcrumb_never_spells_out_bytes(wire: str, url: str) -> None:
    """Whatever stands in the address, in a question and in what a tool showed."""
    for part in (ImagePart(url=url), FilePart(url=url), AudioPart(url=url), ImagePart(name=url)):
        for messages in (
            [user(["look", part])],
            [user("go"), Message(role="assistant", parts=(ToolCall(call_id="c", name="f"),)), tool("c", ["x", part])],
        ):
            rendered = formats.render(wire, messages)
            assert PNG not in "".join(repair.detail for repair in rendered.repairs)
            texts = [message.text for message in formats.parse(wire, rendered.messages)]
            assert PNG not in "".join(texts)
        assert PNG not in media.breadcrumb(part)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(("data", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
@pytest.mark.parametrize("said", [None, "application/octet-stream", "image/*"])
def test_an_image_without_a_type_gets_that_of_its_bytes(
    wire: str, data: str, media_type: str, said: str | None
) -> None:
    """The same on every wire."""
    found = shown(wire, ImagePart(data=data, media_type=said), kinds=True)
    assert "media_left_out" not in found
    assert (media_type.removeprefix("image/") if wire == "bedrock" else media_type) in found
    assert "octet" not in found


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "part",
    [
        ImagePart(data=SVG),
        ImagePart(data=SVG, media_type="image/svg+xml"),
        ImagePart(url=f"data:image/svg+xml;base64,{SVG}"),
        ImagePart(data="", media_type=None),
    ],
)
def test_images_that_nobody_shows_are_breadcrumbs(wire: str, part: ImagePart) -> None:
    """SVG, and bytes that are no known image."""
    found = shown(wire, part, kinds=True)
    assert "media_left_out" in found
    assert "[image" in found
    assert SVG not in found


@pytest.mark.parametrize("wire", WIRES)
def test_of_several_places_the_bytes_are_sent(wire: str) -> None:
    """An entry of OpenAI's chat may name a file twice; nobody is sent the place that is not theirs."""
    inner = {"file_data": f"data:application/pdf;base64,{PDF}", "file_id": "file-ours", "filename": "a.pdf"}
    rendered = formats.render(wire, asked("openai_chat", {"type": "file", "file": inner}))
    found = json.dumps(rendered.messages)
    assert PDF in found
    assert ("file-ours" in found) == (wire == "openai_chat")


def test_the_type_of_a_generated_image_is_that_of_its_bytes() -> None:
    """Where the answer does not say it."""
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": JPEG}
    messages = formats.parse("openai_responses", [item])
    assert messages[0].parts[0].media_type == "image/jpeg"  # type: ignore[union-attr]
    assert formats.render("openai_responses", messages).messages == [item]


def test_svg_of_a_wire_goes_back_to_it_as_it_came() -> None:
    """A look-alike that shows it may have taken it."""
    part = {"type": "image_url", "image_url": {"url": f"data:image/svg+xml;base64,{SVG}"}}
    assert formats.render("openai_chat", asked("openai_chat", part)).messages[0]["content"][1] == part


@pytest.mark.parametrize("wire", ["openai_chat", "openai_responses"])
@pytest.mark.parametrize(
    ("part", "name"),
    [
        (FilePart(data=PDF, media_type="application/pdf"), "file.pdf"),
        (FilePart(data=PDF, media_type="application/vnd.ms-excel"), "file.bin"),
        (FilePart(data=PDF, media_type="application/pdf", name="mine.pdf"), "mine.pdf"),
    ],
)
def test_openai_gets_a_file_name_on_both_wires(wire: str, part: FilePart, name: str) -> None:
    """It demands one beside bytes."""
    assert f'"filename": "{name}"' in shown(wire, part)


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("audio/wav", "wav"),
        ("audio/x-wav", "wav"),
        ("audio/mpeg", "mp3"),
        ("audio/mp3", "mp3"),
        ("audio/ogg", None),
        ("audio/flac", None),
    ],
)
def test_openai_chat_hears_two_formats(media_type: str, form: str | None) -> None:
    """wav and mp3; others become a breadcrumb."""
    found = shown("openai_chat", AudioPart(data="AAAA", media_type=media_type), kinds=True)
    assert ("media_left_out" in found) == (form is None)
    assert f'"format": "{form}"' in found if form else f"[audio: {media_type}]" in found


BYTES = {"role": "user", "content": [{"text": "look"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}]}


def test_bedrock_reads_the_bytes_of_boto3_everywhere() -> None:
    """What `parse` takes, `check` takes too."""
    assert formats.check("bedrock", [BYTES], system=[{"text": "Be brief."}]) == []
    [message] = formats.parse("bedrock", [BYTES])
    assert message.parts[1] == ImagePart(media_type="image/png", data=base64.b64encode(b"\x89PNG").decode())


def test_other_wires_take_no_bytes() -> None:
    """Nobody's SDK gives them there."""
    for ask in (formats.check, formats.parse):
        with pytest.raises(InvalidMessage, match="is a bytes, not JSON"):
            ask("openai_chat", [{"role": "user", "content": b"hi"}])


@pytest.mark.parametrize("pieces", [(b"secret", b"ly!"), (b"s", b"ecr", b"etly!"), (b"secretly!",)])
def test_a_bedrock_stream_of_bytes_is_read(pieces: tuple[bytes, ...]) -> None:
    """Encrypted reasoning comes as bytes, in pieces, each of which is base64 of its own."""
    stream = formats.Accumulator("bedrock")
    stream.feed({"messageStart": {"role": "assistant"}})
    for piece in pieces:
        delta = {"reasoningContent": {"redactedContent": piece}}
        stream.feed({"contentBlockDelta": {"contentBlockIndex": 0, "delta": delta}})
    stream.feed({"contentBlockStop": {"contentBlockIndex": 0}})
    stream.feed({"messageStop": {"stopReason": "end_turn"}})
    whole = {"role": "assistant", "content": [{"reasoningContent": {"redactedContent": b"secretly!"}}]}
    assert stream.finish() == formats.parse("bedrock", [whole])
