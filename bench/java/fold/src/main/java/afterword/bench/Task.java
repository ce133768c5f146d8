package afterword.bench;

import java.io.Serializable;
import java.util.List;

/** What a contender is told, as bench/jvm.py writes it. {@code events}: how many there are to take. */
public record Task(
        String name, String address, String group, String folder, List<String> topics, long events, Rules rules) {

    /** What makes a message a fallback; phrases as they are written. */
    public record Rules(double threshold, List<String> intents, List<String> phrases) implements Serializable {}
}
