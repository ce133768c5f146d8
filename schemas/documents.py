"""Documents made from the models and registries, so that they cannot drift: schemas, the AsyncAPI document, two pages.

`python -m schemas.documents` writes them into docs/; with `--check` it only says which of them are not up to date.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from schemas.conversation import COLUMNS, ConversationRow
from schemas.events import EVENT, EVENT_MODELS, FUTURE_TOLERANCE, MAX_CONVERSATION_ID, EventBase, event_type
from schemas.failures import REASONS
from schemas.topics import HOPS_HEADER, MAX_HOPS, MAX_RECORD_BYTES, TOPICS, Topic, topic_of

Schema = dict[str, Any]

FOLDER = Path(__file__).parents[1] / "docs"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ABSENCE = "A field that is null or '' counts as absent, whatever its type; unknown fields are ignored."
_COMMON = tuple(EventBase.model_fields)
"""Fields of every event beside `type`."""

_COMMON_EXAMPLE = {"assistant": "shop", "conversation_id": "c-1"}

EXAMPLES: dict[str, dict[str, Any]] = {
    "conversation.started": {
        "id": "e-1",
        "seq": 0,
        "at": "2026-11-09T09:12:00.250Z",
        "user": {"id": "u-17", "name": "Ann"},
        "channel": "web",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "country": "DE",
        "language": "en",
        "attributes": {"plan": "gold", "visits": 3, "newsletter": True},
    },
    "conversation.updated": {
        "id": "e-2",
        "at": "2026-11-09T10:12:04+01:00",
        "device": "mobile",
        "location": "Berlin",
        "topic": "returns",
        "subtopic": "label missing",
    },
    "conversation.escalated": {
        "id": "e-3",
        "at": "2026-11-09T09:14:10Z",
        "to": "returns desk",
        "reason": "the user asked for a human",
    },
    "conversation.assigned": {
        "id": "e-4",
        "at": "2026-11-09T09:14:31Z",
        "assigned_to": "Mara",
        "team": "returns desk",
    },
    "conversation.rated": {
        "id": "e-5",
        "at": "2026-11-09T09:21:02Z",
        "rating": 4,
        "comment": "quick, once a human was there",
    },
    "conversation.ended": {"id": "e-6", "at": "2026-11-09T09:21:30Z", "reason": "closed by the user"},
    "conversation.erased": {
        "id": "e-7",
        "at": "2026-12-01T08:00:00Z",
        "by": "privacy office",
        "reason": "request 2026-311",
    },
    "message.sent": {
        "id": "m-1",
        "seq": 1,
        "at": 1794215521250,
        "role": "assistant",
        "text": "You can print the return label from your order.",
        "language": "en",
        "intent": {"name": "return_label", "confidence": 0.93},
        "confidence": 0.81,
        "sources": 2,
        "topic": "returns",
        "subtopic": "label missing",
        "fallback": False,
    },
    "message.fallback": {
        "id": "e-8",
        "at": "2026-11-09T09:13:40Z",
        "message_id": "m-2",
        "reason": "no_knowledge",
        "confidence": 0.12,
    },
    "label.set": {
        "id": "l-1",
        "at": "2026-11-10T14:00:00Z",
        "label": "negative",
        "by": "mara@shop",
        "reason": "the order number was in the first message",
        "correction": "Use the order number that the user gave.",
        "seen_messages": 8,
    },
    "label.cleared": {"id": "l-2", "at": "2026-11-10T14:05:00Z", "by": "mara@shop", "reason": "wrong conversation"},
}
"""An event of each type, without what `example` adds."""


class _Untitled(GenerateJsonSchema):
    """Titles of fields repeat their names: leave them out."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  (the base class's signature)
        return False


def example(kind: str) -> dict[str, Any]:
    """Give an event of this type that is accepted."""
    fields = EXAMPLES[kind]
    return {"id": fields["id"], "type": kind, **_COMMON_EXAMPLE, **fields}


def event_schema(model: type[EventBase]) -> str:
    """Write the JSON Schema of one type of event."""
    kind = event_type(model)
    schema = _demanding(model.model_json_schema(schema_generator=_Untitled))
    schema |= {"$schema": _DIALECT, "$id": f"{kind}.schema.json", "examples": [example(kind)]}
    schema["description"] += f" Topic: {topic_of(kind).name}. {_ABSENCE}"
    return _json(schema)


def events_schema() -> str:
    """Write the JSON Schema of all events."""
    schema = EVENT.json_schema(schema_generator=_Untitled)
    del schema["discriminator"]  # OpenAPI's word: validators in strict mode refuse it
    schema = _demanding(schema)
    schema |= {"$schema": _DIALECT, "$id": "events.schema.json", "title": "Event"}
    schema |= {"description": f"One event, as a record of {' or '.join(topic.name for topic in TOPICS)}. {_ABSENCE}"}
    return _json(schema)


def conversation_schema() -> str:
    """Write the JSON Schema of a row of the table `conversations`."""
    schema = ConversationRow.model_json_schema(mode="serialization", schema_generator=_Untitled)
    schema |= {"$schema": _DIALECT, "$id": "conversation.schema.json"}
    return _json(schema)


def asyncapi() -> str:
    """Write the AsyncAPI 3.1.0 document: channels, messages, operations, without servers."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in EVENT_MODELS],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    hops = {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": f"how often the record was sent to its home partition: after {MAX_HOPS} times a dead letter",
    }
    headers = {"type": "object", "description": "Headers of a record.", "properties": {HOPS_HEADER: hops}}
    key = {"type": "string", "minLength": 1, "maxLength": MAX_CONVERSATION_ID, "description": "the conversation id"}
    return _json(
        {
            "asyncapi": "3.1.0",
            "info": {
                "title": "Afterword",
                "version": "1.0.0",
                "description": "Turns the events of an assistant's conversations into conversations a manager can "
                f"learn from. {_ABSENCE} Both topics have the same number of partitions.",
                "license": {"name": "Apache-2.0"},
            },
            "defaultContentType": "application/json",
            "channels": {topic.name: _channel(topic) for topic in TOPICS},
            "operations": dict(operation for topic in TOPICS for operation in _operations(topic)),
            "components": {
                "messages": {event_type(model): _message(model) for model in EVENT_MODELS},
                "messageBindings": {"record": {"kafka": {"key": key, "bindingVersion": "0.5.0"}}},
                "schemas": {"Headers": headers, **_demanding(schemas)["$defs"]},
            },
        }
    )


def _channel(topic: Topic) -> dict[str, Any]:
    configuration: dict[str, Any] = {name: int(value) if value.isdigit() else value for name, value in topic.config}
    configuration["cleanup.policy"] = configuration["cleanup.policy"].split(",")
    binding = {"topic": topic.name, "topicConfiguration": configuration, "bindingVersion": "0.5.0"}
    return {
        "address": topic.name,
        "description": topic.description,
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in sorted(topic.types)},
        "bindings": {"kafka": binding},
    }


def _operations(topic: Topic) -> Iterator[tuple[str, dict[str, Any]]]:
    summaries = {
        "receive": "The worker folds what stands here into conversations.",
        "send": "The HTTP interface writes what it is given, and the worker sends a record to its home partition.",
    }
    for action, summary in summaries.items():
        yield (
            f"{action}.{topic.name}",
            {
                "action": action,
                "summary": summary,
                "channel": {"$ref": f"#/channels/{topic.name}"},
                "messages": [{"$ref": f"#/channels/{topic.name}/messages/{kind}"} for kind in sorted(topic.types)],
            },
        )


def _message(model: type[EventBase]) -> dict[str, Any]:
    kind = event_type(model)
    return {
        "name": kind,
        "title": model.__name__,
        "summary": model.__doc__,
        "contentType": "application/json",
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"$ref": "#/components/messageBindings/record"},
        "examples": [{"payload": example(kind)}],
    }


def events_page() -> str:
    """Write docs/events.md: every event with its fields, and why a record becomes a dead letter."""
    lines = [
        "# Events",
        "",
        "<!-- made by `python -m schemas.documents`; change the models, not this page -->",
        "",
        f"One JSON object in UTF-8 per record, at most {MAX_RECORD_BYTES:,} bytes, keyed by the conversation id.",
        _ABSENCE,
        "Numbers are finite, whole numbers have no fraction, and nothing nests more than 200 levels deep.",
        "The JSON Schemas in [schema/](schema/) and the [AsyncAPI document](asyncapi.json) say the same for tools.",
        "",
        "| topic | what | types |",
        "| --- | --- | --- |",
        *(
            f"| `{topic.name}` | {topic.description} | {', '.join(f'`{kind}`' for kind in sorted(topic.types))} |"
            for topic in TOPICS
        ),
        "",
        "The type of an event decides its topic; on the other one it becomes a dead letter.",
        "",
        "## Fields of every event",
        "",
        *_field_table(_common_schema(), ("type", *_COMMON)),
    ]
    for model in EVENT_MODELS:
        lines += _event_section(model)
    lines += [
        "",
        "## Dead letters",
        "",
        "A record that can never succeed as it is becomes a dead letter: its bytes stay in the table `dead_letters`,",
        "with one of these reasons and a sentence that says what to mend.",
        "",
        "| reason | when |",
        "| --- | --- |",
        *(f"| `{reason}` | {meaning} |" for reason, meaning in REASONS.items()),
    ]
    return "\n".join(lines) + "\n"


def _common_schema() -> Schema:
    """The schema of what all events share, with all types that there are."""
    schema = _demanding(EventBase.model_json_schema(schema_generator=_Untitled))
    kinds = [event_type(model) for model in EVENT_MODELS]
    schema["properties"]["type"] = {"enum": kinds, "description": "what happened, see below"}
    schema["properties"]["at"]["description"] += (
        f"; at most {FUTURE_TOLERANCE // 60_000} minutes after the record's own Kafka timestamp"
    )
    schema["required"].append("type")
    return schema


def _event_section(model: type[EventBase]) -> list[str]:
    kind = event_type(model)
    schema = _demanding(model.model_json_schema(schema_generator=_Untitled))
    own = [name for name in model.model_fields if name != "type" and name not in _COMMON]
    return [
        "",
        f"## {kind}",
        "",
        f"{model.__doc__} Topic: `{topic_of(kind).name}`. [Schema](schema/{kind}.schema.json).",
        "",
        *_field_table(schema, own),
        "",
        "```json",
        json.dumps(example(kind), ensure_ascii=False, indent=2),
        "```",
    ]


def _field_table(schema: Schema, names: tuple[str, ...] | list[str]) -> Iterator[str]:
    yield "| field | type | needed | meaning |"
    yield "| --- | --- | --- | --- |"
    defs = schema.get("$defs", {})
    for name in names:
        field = schema["properties"][name]
        needed = "yes" if name in schema.get("required", ()) else ""
        yield f"| `{name}` | {_type_words(field, defs)} | {needed} | {field['description']} |"
        for part, inner in _parts(field, defs).items():
            yield f"| `{name}.{part}` | {_type_words(inner, defs)} |  | {inner['description']} |"


def _parts(field: Schema, defs: Schema) -> Schema:
    """The properties of the object that a field is, if it is one."""
    for option in field.get("anyOf", ()):
        properties = _resolved(option, defs).get("properties")
        if properties:
            return cast("Schema", properties)
    return {}


def _resolved(schema: Schema, defs: Schema) -> Schema:
    return cast("Schema", defs[schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else schema


def _type_words(schema: Schema, defs: Schema) -> str:
    """Say a schema's type and bounds in words."""
    schema = _resolved(schema, defs)
    if "anyOf" in schema:
        options = [_type_words(one, defs) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(one for one in options if one != "whole number")  # beside it always stands "number"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "object":
        if "additionalProperties" not in schema:
            return "object"
        names, values = schema["propertyNames"], schema["additionalProperties"]
        return f"object; names, at most {names['maxLength']:,} characters, to {_type_words(values, defs)}"
    if schema["type"] == "string":
        return _text_words(schema)
    words = {"integer": "whole number", "number": "number", "boolean": "true or false"}[schema["type"]]
    if "minimum" in schema:
        words += f", {schema['minimum']} to {schema['maximum']}" if "maximum" in schema else f", ≥ {schema['minimum']}"
    return words


def _text_words(schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return "ISO 8601 time with zone"
    if "pattern" in schema:
        return f"text, `{schema['pattern']}`"
    return f"text, at most {schema['maxLength']:,} characters"


def columns_page() -> str:
    """Write docs/columns.md: the columns of the table `conversations`."""
    lines = [
        "# Columns of `conversations`",
        "",
        "<!-- made by `python -m schemas.documents`; change the model, not this page -->",
        "",
        "One row a conversation; [the fold](fold.md) says how each column follows from the events. Names are stable:",
        "dashboards depend on them. Read the table with `FINAL`: the greatest `version` counts. Times are UTC; absent",
        "texts are `''`, absent numbers and times `NULL`. For tools: [JSON Schema](schema/conversation.schema.json).",
        "",
        "| column | ClickHouse type | meaning |",
        "| --- | --- | --- |",
        *(
            f"| `{name}` | `{kind}` | {ConversationRow.model_fields[name].description} |"
            for name, kind in COLUMNS.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def documents() -> dict[str, str]:
    """Give every document by its path within docs/."""
    schemas = {f"schema/{event_type(model)}.schema.json": event_schema(model) for model in EVENT_MODELS}
    return {
        **schemas,
        "schema/events.schema.json": events_schema(),
        "schema/conversation.schema.json": conversation_schema(),
        "asyncapi.json": asyncapi(),
        "events.md": events_page(),
        "columns.md": columns_page(),
    }


def outdated(folder: Path = FOLDER) -> list[str]:
    """Name the documents that are missing or other than they should be, and schemas of what is no more."""
    wanted = documents()
    stale = [
        path
        for path, text in wanted.items()
        if not (folder / path).is_file() or (folder / path).read_text(encoding="utf-8") != text
    ]
    left_over = [f"schema/{file.name}" for file in (folder / "schema").glob("*") if f"schema/{file.name}" not in wanted]
    return sorted(stale + left_over)


def write(folder: Path = FOLDER) -> None:
    """Write every document, and remove schemas of what is no more."""
    wanted = documents()
    for path in outdated(folder):
        file = folder / path
        if path in wanted:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[path], encoding="utf-8")
        else:
            file.unlink()


def _demanding(schema: Schema) -> Schema:
    """Say that required texts are not empty: '' counts as absent."""
    for one in (schema, *schema.get("$defs", {}).values()):
        for name in one.get("required", ()):
            field = one["properties"][name]
            if field.get("type") == "string" and "const" not in field:
                field["minLength"] = 1
    return schema


def _json(document: Schema) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def run(
    program: str,
    description: str | None,
    write: Callable[[Path], None],
    outdated: Callable[[Path], list[str]],
    arguments: list[str] | None,
) -> None:
    """Write pages, or with `--check` exit with the names of those that are not up to date."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when a page is not up to date")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the pages stand (default: docs/)")
    options = parser.parse_args(arguments)
    if not options.check:
        write(options.folder)
    elif stale := outdated(options.folder):
        sys.exit(f"not up to date, run `python -m {program}`: " + ", ".join(stale))


def main(arguments: list[str] | None = None) -> None:
    """Write the documents, or check them."""
    run("schemas.documents", __doc__, write, outdated, arguments)


if __name__ == "__main__":
    main()
