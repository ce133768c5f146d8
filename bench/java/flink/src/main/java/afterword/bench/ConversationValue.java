package afterword.bench;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.CopyableValue;

/** A conversation as Flink's state backends keep it. */
public final class ConversationValue extends Conversation implements CopyableValue<ConversationValue> {
    @Override
    public int getBinaryLength() {
        return -1;
    }

    @Override
    public void copyTo(ConversationValue target) {
        target.become(this);
    }

    @Override
    public ConversationValue copy() {
        ConversationValue copy = new ConversationValue();
        copyTo(copy);
        return copy;
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        int length = source.readInt();
        target.writeInt(length);
        target.write(source, length);
    }

    @Override
    public void write(DataOutputView out) throws IOException {
        byte[] bytes = encoded();
        out.writeInt(bytes.length);
        out.write(bytes);
    }

    @Override
    public void read(DataInputView in) throws IOException {
        byte[] bytes = new byte[in.readInt()];
        in.readFully(bytes);
        decode(bytes);
    }
}
