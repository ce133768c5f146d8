package afterword.bench;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** What is known of one conversation: the state of the fold, and how it is written. */
public class Conversation {
    private static final int FIXED = 2 * Long.BYTES + 4 * Integer.BYTES;
    private static final long[] EMPTY = {};

    private long first = Long.MAX_VALUE;
    private long last = Long.MIN_VALUE;
    private int events;
    private int messages;
    private long[] fallbacks = EMPTY;
    private long[] questions = EMPTY;

    /** Fold one more event in. */
    public final void add(Fact fact) {
        first = Math.min(first, fact.at);
        last = Math.max(last, fact.at);
        events++;
        if (fact.isMessage) {
            messages++;
        }
        if (fact.fallback != Fact.NONE) {
            fallbacks = with(fallbacks, fact.fallback);
        }
        if (fact.question != Fact.NONE) {
            questions = with(questions, fact.question);
        }
    }

    public final int events() {
        return events;
    }

    public final int messages() {
        return messages;
    }

    public final int fallbacks() {
        return fallbacks.length;
    }

    public final int questions() {
        return questions.length;
    }

    /** Become equal to another one; sets are never changed in place, so they are shared. */
    public final void become(Conversation other) {
        first = other.first;
        last = other.last;
        events = other.events;
        messages = other.messages;
        fallbacks = other.fallbacks;
        questions = other.questions;
    }

    public final byte[] encoded() {
        byte[] bytes = new byte[FIXED + Long.BYTES * (fallbacks.length + questions.length)];
        ByteBuffer to = ByteBuffer.wrap(bytes);
        to.putLong(first).putLong(last).putInt(events).putInt(messages);
        put(to, fallbacks);
        put(to, questions);
        return bytes;
    }

    /** Become what was encoded. */
    public final void decode(byte[] bytes) {
        ByteBuffer from = ByteBuffer.wrap(bytes);
        first = from.getLong();
        last = from.getLong();
        events = from.getInt();
        messages = from.getInt();
        fallbacks = get(from);
        questions = get(from);
    }

    private static long[] with(long[] set, long one) {
        for (long other : set) {
            if (other == one) {
                return set;
            }
        }
        long[] more = Arrays.copyOf(set, set.length + 1);
        more[set.length] = one;
        return more;
    }

    private static void put(ByteBuffer to, long[] set) {
        to.putInt(set.length);
        for (long one : set) {
            to.putLong(one);
        }
    }

    private static long[] get(ByteBuffer from) {
        int length = from.getInt();
        if (length == 0) {
            return EMPTY;
        }
        long[] set = new long[length];
        for (int i = 0; i < length; i++) {
            set[i] = from.getLong();
        }
        return set;
    }
}
