"""The documents of docs/: up to date, valid by their own standards, and true."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from jsonschema_specifications import REGISTRY

from schemas.conversation import COLUMNS, ConversationRow
from schemas.documents import FOLDER, documents, example, main, outdated, write
from schemas.events import EVENT, EVENT_MODELS, event_type
from schemas.failures import Reason
from schemas.topics import HOPS_HEADER, TOPICS, topic_of
from tests.builders import AT, Event, event, iso, line
from tests.strategies import events

MODELS = {event_type(model): model for model in EVENT_MODELS}
SCHEMAS = [path for path in documents() if path.startswith("schema/")]
ASYNCAPI_SCHEMA = Path(__file__).with_name("asyncapi-3.1.0.json")


def stored(path: str) -> str:
    return (FOLDER / path).read_text(encoding="utf-8")


def validator(path: str) -> jsonschema.Draft202012Validator:
    """Judges by a schema of docs/, and reaches no network for it."""
    return jsonschema.Draft202012Validator(json.loads(stored(path)), registry=REGISTRY)


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(stored("asyncapi.json"))
    return document


# Up to date.


def test_the_documents_in_docs_are_what_the_models_and_registries_give() -> None:
    assert outdated() == []


def test_a_document_that_is_missing_changed_or_of_nothing_is_found_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    (tmp_path / "asyncapi.json").unlink()
    (tmp_path / "columns.md").write_text("changed")
    (tmp_path / "schema" / "message.gone.schema.json").write_text("{}")
    wrong = ["asyncapi.json", "columns.md", "schema/message.gone.schema.json"]
    assert outdated(tmp_path) == wrong

    with pytest.raises(SystemExit, match=re.escape(", ".join(wrong))):
        main(["--check", "--folder", str(tmp_path)])
    assert outdated(tmp_path) == wrong

    main(["--folder", str(tmp_path)])
    main(["--check", "--folder", str(tmp_path)])
    assert outdated(tmp_path) == []
    assert not (tmp_path / "schema" / "message.gone.schema.json").exists()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("path", documents())
def test_a_document_ends_with_one_line_break_and_json_is_sorted(path: str) -> None:
    text = documents()[path]
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    if path.endswith(".json"):
        assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2, sort_keys=True) + "\n"


# JSON Schemas.


@pytest.mark.parametrize("path", SCHEMAS)
def test_a_schema_is_valid_and_names_itself_relatively(path: str) -> None:
    schema = json.loads(stored(path))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert f"schema/{schema['$id']}" == path


@pytest.mark.parametrize("kind", MODELS)
def test_the_example_of_a_type_is_accepted_by_its_schema_the_union_and_the_models(kind: str) -> None:
    given = example(kind)
    validator(f"schema/{kind}.schema.json").validate(given)
    validator("schema/events.schema.json").validate(given)
    assert EVENT.validate_json(line(given)).model_dump(exclude_none=True).keys() == given.keys()
    assert json.loads(stored(f"schema/{kind}.schema.json"))["examples"] == [given]


WRONG = [
    pytest.param("message.sent", {"id": ""}, id="an empty id"),
    pytest.param("message.sent", {"conversation_id": None}, id="a conversation id that is null"),
    pytest.param("message.sent", {"id": "x" * 129}, id="a long id"),
    pytest.param("message.sent", {"assistant": "Shop"}, id="an assistant in capitals"),
    pytest.param("message.sent", {"role": "bot"}, id="an unknown role"),
    pytest.param("message.sent", {"seq": -1}, id="a negative seq"),
    pytest.param("message.sent", {"seq": True}, id="true as a number"),
    pytest.param("message.sent", {"text": 1}, id="a number as text"),
    pytest.param("message.sent", {"at": 0}, id="1970"),
    pytest.param("message.sent", {"at": True}, id="true as a time"),
    pytest.param("message.sent", {"intent": {"confidence": "high"}}, id="a word inside an object"),
    pytest.param("message.fallback", {"reason": "bored"}, id="an unknown reason"),
    pytest.param("conversation.started", {"attributes": {"a": []}}, id="a list as an attribute"),
    pytest.param("conversation.rated", {"rating": 6}, id="a rating of 6"),
    pytest.param("conversation.rated", {"rating": None}, id="a rating that says nothing"),
    pytest.param("conversation.rated", {"rating": None, "comment": ""}, id="a rating with an empty comment"),
    pytest.param("label.set", {"label": "good"}, id="an unknown label"),
    pytest.param("message.gone", {}, id="an unknown type"),
]


@pytest.mark.parametrize(("kind", "fields"), WRONG)
def test_what_the_models_refuse_the_schemas_refuse(kind: str, fields: dict[str, Any]) -> None:
    given = event(kind, **fields)
    with pytest.raises(ValueError):
        EVENT.validate_json(line(given))
    assert not validator("schema/events.schema.json").is_valid(given)
    if kind in MODELS:
        assert not validator(f"schema/{kind}.schema.json").is_valid(given)


@given(events())
@settings(deadline=None)
def test_what_the_models_accept_the_schemas_accept_once_empty_texts_are_left_out(given: Event) -> None:
    written = {
        name: {key: one for key, one in value.items() if one != ""} if isinstance(value, dict) else value
        for name, value in given.items()
        if value != ""
    }
    validator(f"schema/{given['type']}.schema.json").validate(written)


def test_the_schema_of_a_row_has_every_column_and_accepts_a_row() -> None:
    schema = json.loads(stored("schema/conversation.schema.json"))
    assert set(schema["properties"]) == set(schema["required"]) == set(COLUMNS)
    texts = {name: "" for name, field in ConversationRow.model_fields.items() if field.annotation is str}
    flags = {name: False for name, field in ConversationRow.model_fields.items() if field.annotation is bool}
    counts = {name: 0 for name, field in ConversationRow.model_fields.items() if field.annotation is int}
    times = dict.fromkeys(("started_at", "last_activity_at", "closes_at", "updated_at"), iso(AT))
    maybe = dict.fromkeys(("ended_at", "duration_ms", "rating", "labelled_at"))
    cause = {"event_id": "m-1", "rule": "flagged", "reason": "other", "confidence": None}
    rest = {"opened_on": "2026-11-09", "attributes": {"plan": "gold"}, "fallback_causes": [cause]}
    row = ConversationRow.model_validate(texts | flags | counts | times | maybe | rest).model_dump(mode="json")
    validator("schema/conversation.schema.json").validate(row)
    assert not validator("schema/conversation.schema.json").is_valid(row | {"rating": "good"})


# The AsyncAPI document.


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    schema = json.loads(ASYNCAPI_SCHEMA.read_text(encoding="utf-8"))
    official = jsonschema.Draft7Validator(schema, registry=REGISTRY)
    official.validate(asyncapi())
    wrong = asyncapi()
    wrong["channels"]["assistant.events"]["bindings"]["kafka"]["topicConfiguration"]["retention.ms"] = "a week"
    assert not official.is_valid(wrong)


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for one in node:
            yield from references(one)


def test_every_reference_of_the_asyncapi_document_leads_somewhere_within_it() -> None:
    document = asyncapi()
    for reference in set(references(document)):
        start, *steps = reference.split("/")
        assert start == "#"
        found: Any = document
        for step in steps:
            found = found[step]
        assert isinstance(found, dict)


def test_each_topic_is_a_channel_with_its_types_address_and_configuration() -> None:
    channels = asyncapi()["channels"]
    assert list(channels) == sorted(topic.name for topic in TOPICS)
    for topic in TOPICS:
        channel = channels[topic.name]
        assert channel["address"] == topic.name
        assert set(channel["messages"]) == topic.types
        kafka = channel["bindings"]["kafka"]
        assert "partitions" not in kafka
        assert set(kafka["topicConfiguration"]) == {name for name, _ in topic.config}
        assert kafka["topicConfiguration"]["cleanup.policy"] == ["delete"]
        assert kafka["topicConfiguration"]["retention.ms"] == 7 * 86_400_000


def test_each_channel_is_received_from_and_sent_to_with_all_its_messages() -> None:
    operations = asyncapi()["operations"].values()
    for topic in TOPICS:
        channel = {"$ref": f"#/channels/{topic.name}"}
        mine = [operation for operation in operations if operation["channel"] == channel]
        assert {operation["action"] for operation in mine} == {"receive", "send"}
        for operation in mine:
            assert len(operation["messages"]) == len(topic.types)


@pytest.mark.parametrize("kind", MODELS)
def test_a_message_has_key_headers_and_a_payload_schema_that_its_example_meets(kind: str) -> None:
    document = asyncapi()
    message = document["components"]["messages"][kind]
    schema = {"$ref": message["payload"]["$ref"], "components": document["components"]}
    judge = jsonschema.Draft202012Validator(schema, registry=REGISTRY)
    judge.validate(message["examples"][0]["payload"])
    assert not judge.is_valid(event(kind, id=""))
    assert HOPS_HEADER in document["components"]["schemas"]["Headers"]["properties"]
    assert document["components"]["messageBindings"]["record"]["kafka"]["key"]["maxLength"] == 256


# The pages.


def rows(page: str) -> list[list[str]]:
    """The cells of all lines of tables, without the lines that head them."""
    lines = [one for one in stored(page).splitlines() if one.startswith("| `")]
    return [[cell.strip() for cell in one.strip("|").split(" | ")] for one in lines]


def sections(page: str) -> dict[str, str]:
    """The text under each heading of the second level."""
    parts = re.split(r"^## (.+)$", stored(page), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_page_of_columns_has_each_column_in_the_order_of_the_table() -> None:
    assert [(name.strip("`"), kind.strip("`")) for name, kind, _ in rows("columns.md")] == list(COLUMNS.items())
    assert all(meaning for *_, meaning in rows("columns.md"))


@pytest.mark.parametrize("kind", MODELS)
def test_the_page_of_events_has_each_type_with_its_fields_topic_and_an_example(kind: str) -> None:
    section = sections("events.md")[kind]
    common = sections("events.md")["Fields of every event"]
    for name in MODELS[kind].model_fields:
        assert f"\n| `{name}` | " in section + common
    assert f"Topic: `{topic_of(kind).name}`." in section
    found = re.search(r"```json\n(.+?)```", section, flags=re.DOTALL)
    assert found is not None
    given = json.loads(found[1])
    assert given == example(kind)
    validator("schema/events.schema.json").validate(given)
    assert EVENT.validate_json(line(given)).type == kind


def test_every_field_on_the_page_of_events_has_a_type_and_a_meaning() -> None:
    described = [cells for cells in rows("events.md") if len(cells) == 4]
    assert len(described) > 60
    assert all(name and kind and meaning for name, kind, _, meaning in described)


def test_every_reason_of_a_dead_letter_stands_on_the_page_of_events() -> None:
    section = sections("events.md")["Dead letters"]
    assert re.findall(r"^\| `(\w+)` \| .+ \|$", section, flags=re.MULTILINE) == list(Reason)


@pytest.mark.parametrize("page", ["events.md", "columns.md"])
def test_every_link_of_a_page_leads_to_a_file(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", stored(page)):
        assert (FOLDER / target).exists(), target
