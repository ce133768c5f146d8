package afterword.bench;

import java.io.IOException;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.CopyableValue;

/** A fact and the conversation it belongs to, as it goes from the sources of Flink to the fold. */
public final class FactValue extends Fact implements CopyableValue<FactValue> {
    public String conversation = "";

    @Override
    public int getBinaryLength() {
        return -1;
    }

    @Override
    public void copyTo(FactValue target) {
        target.conversation = conversation;
        target.at = at;
        target.isMessage = isMessage;
        target.question = question;
        target.fallback = fallback;
    }

    @Override
    public FactValue copy() {
        FactValue copy = new FactValue();
        copyTo(copy);
        return copy;
    }

    @Override
    public void copy(DataInputView source, DataOutputView target) throws IOException {
        FactValue copied = new FactValue();
        copied.read(source);
        copied.write(target);
    }

    @Override
    public void write(DataOutputView out) throws IOException {
        out.writeUTF(conversation);
        out.writeLong(at);
        out.writeBoolean(isMessage);
        out.writeLong(question);
        out.writeLong(fallback);
    }

    @Override
    public void read(DataInputView in) throws IOException {
        conversation = in.readUTF();
        at = in.readLong();
        isMessage = in.readBoolean();
        question = in.readLong();
        fallback = in.readLong();
    }
}
