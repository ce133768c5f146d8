package afterword.bench;

import java.util.Arrays;
import java.util.List;

/** Finds any of some phrases in a text, as whole words in a row, whatever their case, punctuation and apostrophes. */
final class Phrases {
    private final Node root = new Node();

    Phrases(List<String> phrases) {
        for (String phrase : phrases) {
            char[] folded = new char[phrase.length() + 1];
            int length = fold(phrase, folded);
            Node node = root;
            for (int i = 0; i < length; i++) {
                node = node.made(folded[i]);
            }
            node.isEnd = true;
        }
    }

    boolean isIn(String text) {
        char[] folded = new char[text.length() + 1];
        int length = fold(text, folded);
        boolean begins = true;
        for (int start = 0; start < length; start++) {
            if (begins && standsAt(folded, start, length)) {
                return true;
            }
            begins = folded[start] == ' ';
        }
        return false;
    }

    private boolean standsAt(char[] folded, int start, int length) {
        Node node = root;
        for (int i = start; i < length; i++) {
            node = node.next(folded[i]);
            if (node == null) {
                return false;
            }
            if (node.isEnd) {
                return true;
            }
        }
        return false;
    }

    /** Write the words of a text in lower case, a space behind each; gives the length. */
    private static int fold(String text, char[] into) {
        int length = 0;
        for (int i = 0; i < text.length(); i++) {
            char one = text.charAt(i);
            if (one == '\'' || one == '\u2019') {
                continue;
            }
            if (Character.isLetterOrDigit(one)) {
                into[length++] = Character.toLowerCase(one);
            } else if (length > 0 && into[length - 1] != ' ') {
                into[length++] = ' ';
            }
        }
        if (length > 0 && into[length - 1] != ' ') {
            into[length++] = ' ';
        }
        return length;
    }

    private static final class Node {
        private char[] chars = {};
        private Node[] nodes = {};
        private boolean isEnd;

        Node next(char one) {
            for (int i = 0; i < chars.length; i++) {
                if (chars[i] == one) {
                    return nodes[i];
                }
            }
            return null;
        }

        Node made(char one) {
            Node there = next(one);
            if (there != null) {
                return there;
            }
            int count = chars.length;
            chars = Arrays.copyOf(chars, count + 1);
            nodes = Arrays.copyOf(nodes, count + 1);
            chars[count] = one;
            nodes[count] = new Node();
            return nodes[count];
        }
    }
}
