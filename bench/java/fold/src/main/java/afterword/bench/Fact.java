package afterword.bench;

/** What the fold wants to know of one event. */
public class Fact {
    /** Stands for no question and no fallback. */
    public static final long NONE = 0;

    /** Epoch milliseconds. */
    public long at;

    /** Whether it is a message of the user or the assistant. */
    public boolean isMessage;

    /** What is asked, as a hash of the text without case and outer space, or NONE. */
    public long question;

    /** The message that the assistant could not answer, as a hash of its id, or NONE. */
    public long fallback;

    /** A hash of 64 bits, FNV-1a over UTF-16, that is never NONE. */
    public static long hash(String text) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < text.length(); i++) {
            hash = (hash ^ text.charAt(i)) * 0x100000001b3L;
        }
        return hash == NONE ? 1 : hash;
    }
}
