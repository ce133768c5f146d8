package afterword.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.accumulators.LongCounter;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.typeutils.ValueTypeInfo;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.state.rocksdb.RocksDBConfigurableOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** The fold in Flink: a keyed process function in a mini cluster, checkpoints every second, a discarding sink. */
public final class FlinkContender {
    private static final List<String> COUNTED = List.of("events", "conversations", "messages", "fallbacks");
    private static final String CHECKPOINTS = "checkpoints";

    /** Flink makes copies of functions; all of them run in this process, and count here. */
    private static Meter meter;

    private FlinkContender() {}

    public static void main(String[] arguments) {
        Contender.run(arguments, FlinkContender::contend);
    }

    private static Map<String, Long> contend(Task task, Meter counting) throws Exception {
        meter = counting;
        int parallelism = Runtime.getRuntime().availableProcessors();
        StreamExecutionEnvironment job =
                StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings(task));
        job.fromSource(source(task), WatermarkStrategy.noWatermarks(), "events")
                .keyBy(fact -> fact.conversation)
                .process(new Fold())
                .sinkTo(new DiscardingSink<>());
        JobExecutionResult result = job.execute(task.name());
        Map<String, Long> counted = new HashMap<>();
        COUNTED.forEach(name -> counted.put(name, result.getAccumulatorResult(name)));
        long checkpoints = result.getAccumulatorResult(CHECKPOINTS);
        meter.note(CHECKPOINTS, (double) checkpoints / parallelism);
        return counted;
    }

    private static Configuration settings(Task task) {
        boolean onDisk = task.name().endsWith("-rocksdb");
        Configuration settings = new Configuration();
        settings.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofSeconds(1));
        settings.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
        settings.set(
                CheckpointingOptions.CHECKPOINTS_DIRECTORY,
                Path.of(task.folder(), "checkpoints").toUri().toString());
        settings.set(StateBackendOptions.STATE_BACKEND, onDisk ? "rocksdb" : "hashmap");
        settings.set(CheckpointingOptions.INCREMENTAL_CHECKPOINTS, onDisk);
        settings.set(RocksDBConfigurableOptions.USE_BLOOM_FILTER, true);
        settings.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(onDisk ? 1024 : 0));
        settings.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(128));
        settings.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(128));
        settings.set(CoreOptions.TMP_DIRS, task.folder());
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        // Buffers go when they are full: the most throughput, by Flink's documentation.
        settings.set(ExecutionOptions.BUFFER_TIMEOUT_ENABLED, false);
        settings.set(RestartStrategyOptions.RESTART_STRATEGY, "none");
        return settings;
    }

    private static KafkaSource<FactValue> source(Task task) {
        return KafkaSource.<FactValue>builder()
                .setBootstrapServers(task.address())
                .setGroupId(task.group())
                .setTopics(task.topics())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setBounded(OffsetsInitializer.latest())
                .setProperty(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, "10000")
                .setProperty(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, Integer.toString(4 << 20))
                .setDeserializer(new Facts(task.rules()))
                .build();
    }

    private static final class Facts implements KafkaRecordDeserializationSchema<FactValue> {
        private final Task.Rules rules;
        private transient Decoder decoder;

        Facts(Task.Rules rules) {
            this.rules = rules;
        }

        @Override
        public void open(DeserializationSchema.InitializationContext context) {
            decoder = new Decoder(rules);
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<FactValue> out) throws IOException {
            meter.begin();
            FactValue fact = new FactValue();
            decoder.read(record.value(), fact);
            fact.conversation = new String(record.key(), StandardCharsets.UTF_8);
            out.collect(fact);
        }

        @Override
        public TypeInformation<FactValue> getProducedType() {
            return new ValueTypeInfo<>(FactValue.class);
        }
    }

    private static final class Fold extends KeyedProcessFunction<String, FactValue, ConversationValue>
            implements CheckpointListener {
        private final LongCounter events = new LongCounter();
        private final LongCounter conversations = new LongCounter();
        private final LongCounter messages = new LongCounter();
        private final LongCounter fallbacks = new LongCounter();
        private final LongCounter checkpoints = new LongCounter();
        private transient ValueState<ConversationValue> state;

        @Override
        public void open(OpenContext context) {
            state = getRuntimeContext()
                    .getState(new ValueStateDescriptor<>("conversation", new ValueTypeInfo<>(ConversationValue.class)));
            getRuntimeContext().addAccumulator("events", events);
            getRuntimeContext().addAccumulator("conversations", conversations);
            getRuntimeContext().addAccumulator("messages", messages);
            getRuntimeContext().addAccumulator("fallbacks", fallbacks);
            getRuntimeContext().addAccumulator(CHECKPOINTS, checkpoints);
        }

        @Override
        public void processElement(FactValue fact, Context context, Collector<ConversationValue> out)
                throws IOException {
            ConversationValue conversation = state.value();
            if (conversation == null) {
                conversation = new ConversationValue();
                conversations.add(1L);
            }
            int messagesBefore = conversation.messages();
            int fallbacksBefore = conversation.fallbacks();
            conversation.add(fact);
            events.add(1L);
            messages.add(conversation.messages() - messagesBefore);
            fallbacks.add(conversation.fallbacks() - fallbacksBefore);
            state.update(conversation);
            out.collect(conversation);
            meter.add();
        }

        @Override
        public void notifyCheckpointComplete(long checkpoint) {
            checkpoints.add(1L);
        }
    }
}
