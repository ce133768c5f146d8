package afterword.bench;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.util.Locale;
import java.util.Set;

/** Reads the facts out of the JSON of events, with Jackson's streaming parser. Any thread may use it at any time. */
public final class Decoder {
    private static final int UTC_LENGTH = "2026-11-24T09:30:00.000Z".length();

    private final JsonFactory json = new JsonFactory();
    private final double threshold;
    private final Set<String> intents;
    private final Phrases couldNotHelp;

    public Decoder(Task.Rules rules) {
        threshold = rules.threshold();
        intents = Set.copyOf(rules.intents());
        couldNotHelp = new Phrases(rules.phrases());
    }

    /** Fill a fact with what one event says. */
    public void read(byte[] payload, Fact fact) throws IOException {
        String type = "";
        String id = null;
        String messageId = null;
        String role = "";
        String text = null;
        String intent = null;
        double confidence = 1;
        boolean flagged = false;
        boolean withoutSources = false;
        try (JsonParser parser = json.createParser(payload)) {
            parser.nextToken();
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                JsonToken token = parser.nextToken();
                if (token == JsonToken.VALUE_NULL) {
                    continue;
                }
                switch (name) {
                    case "type" -> type = parser.getText();
                    case "id" -> id = parser.getText();
                    case "at" -> fact.at = token.isNumeric() ? parser.getLongValue() : milliseconds(parser.getText());
                    case "role" -> role = parser.getText();
                    case "text" -> text = parser.getText();
                    case "message_id" -> messageId = parser.getText();
                    case "confidence" -> confidence = parser.getDoubleValue();
                    case "sources" -> withoutSources = parser.getIntValue() == 0;
                    case "fallback" -> flagged = token == JsonToken.VALUE_TRUE;
                    case "intent" -> intent = name(parser);
                    default -> parser.skipChildren();
                }
            }
        }
        fact.isMessage = false;
        fact.question = Fact.NONE;
        fact.fallback = Fact.NONE;
        if (type.equals("message.fallback")) {
            fact.fallback = Fact.hash(messageId == null ? id : messageId);
        }
        if (!type.equals("message.sent")) {
            return;
        }
        boolean byAssistant = role.equals("assistant");
        boolean byUser = role.equals("user");
        fact.isMessage = byAssistant || byUser;
        if (byUser && text != null) {
            fact.question = Fact.hash(text.toLowerCase(Locale.ROOT).strip());
        }
        boolean couldNot = byAssistant && (confidence < threshold || withoutSources);
        boolean named = intent != null && intents.contains(intent);
        if (flagged || named || couldNot || (byAssistant && text != null && couldNotHelp.isIn(text))) {
            fact.fallback = Fact.hash(id);
        }
    }

    /** Give the member {@code name} of an object. */
    private static String name(JsonParser parser) throws IOException {
        String found = null;
        for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
            parser.nextToken();
            if (name.equals("name")) {
                found = parser.getValueAsString();
            } else {
                parser.skipChildren();
            }
        }
        return found;
    }

    /** Give the epoch milliseconds of an ISO 8601 time; the usual form of it is read without java.time's parser. */
    static long milliseconds(String at) {
        if (at.length() != UTC_LENGTH || at.charAt(UTC_LENGTH - 1) != 'Z') {
            return OffsetDateTime.parse(at).toInstant().toEpochMilli();
        }
        long day = LocalDate.of(number(at, 0, 4), number(at, 5, 7), number(at, 8, 10)).toEpochDay();
        long minutes = (day * 24 + number(at, 11, 13)) * 60 + number(at, 14, 16);
        return (minutes * 60 + number(at, 17, 19)) * 1000 + number(at, 20, 23);
    }

    private static int number(String text, int from, int to) {
        int number = 0;
        for (int i = from; i < to; i++) {
            number = number * 10 + text.charAt(i) - '0';
        }
        return number;
    }
}
