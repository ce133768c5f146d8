package afterword.bench;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The fold in Kafka Streams: a processor over a RocksDB store with its record cache and its changelog. */
public final class KafkaStreamsContender {
    private static final String STORE = "conversations";
    private static final int FETCH_BYTES = 4 << 20;

    private KafkaStreamsContender() {}

    public static void main(String[] arguments) {
        // In the end the thread that leaves last is given the tasks of the other, and says that it could not take them.
        System.setProperty(
                "org.slf4j.simpleLogger.log.org.apache.kafka.clients.consumer.internals.StreamsMembershipManager",
                "off");
        Contender.run(arguments, KafkaStreamsContender::contend);
    }

    private static Map<String, Long> contend(Task task, Meter meter) throws Exception {
        Map<String, Long> counted;
        try (KafkaStreams streams = new KafkaStreams(topology(task, meter), settings(task))) {
            streams.setUncaughtExceptionHandler(failure -> {
                failure.printStackTrace();
                Runtime.getRuntime().halt(1);
                return null;
            });
            streams.start();
            meter.awaitAll();
            meter.note("commits", commits(streams));
            counted = counted(streams.store(
                    StoreQueryParameters.fromNameAndType(STORE, QueryableStoreTypes.keyValueStore())));
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", task.address()))) {
            // The broker would compact it while others are measured.
            admin.deleteTopics(List.of(task.group() + "-" + STORE + "-changelog")).all().get();
        }
        return counted;
    }

    private static Topology topology(Task task, Meter meter) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                        Stores.persistentKeyValueStore(STORE), Serdes.Bytes(), conversations())
                .withCachingEnabled());
        builder.stream(task.topics(), Consumed.with(Serdes.Bytes(), facts(new Decoder(task.rules()))))
                .process(() -> new Fold(meter), STORE);
        return builder.build();
    }

    private static Properties settings(Task task) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, task.group());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.address());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, task.folder());
        settings.put(
                StreamsConfig.PROCESSING_GUARANTEE_CONFIG,
                task.name().endsWith("-eos") ? StreamsConfig.EXACTLY_ONCE_V2 : StreamsConfig.AT_LEAST_ONCE);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1_000);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Runtime.getRuntime().availableProcessors());
        // The broker shares the tasks out, once both threads are there.
        settings.put(StreamsConfig.GROUP_PROTOCOL_CONFIG, "streams");
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 256L << 20);
        // The fold does not ask for an order between the two topics.
        settings.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, StreamsConfig.MAX_TASK_IDLE_MS_DISABLED);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 20_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), FETCH_BYTES);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 64 << 20);
        return settings;
    }

    private static Map<String, Long> counted(ReadOnlyKeyValueStore<Bytes, Conversation> store) {
        Map<String, Long> counted = new HashMap<>();
        try (KeyValueIterator<Bytes, Conversation> all = store.all()) {
            while (all.hasNext()) {
                Conversation conversation = all.next().value;
                counted.merge("conversations", 1L, Long::sum);
                counted.merge("events", (long) conversation.events(), Long::sum);
                counted.merge("messages", (long) conversation.messages(), Long::sum);
                counted.merge("fallbacks", (long) conversation.fallbacks(), Long::sum);
            }
        }
        return counted;
    }

    private static double commits(KafkaStreams streams) {
        return streams.metrics().entrySet().stream()
                .filter(one -> one.getKey().group().equals("stream-thread-metrics"))
                .filter(one -> one.getKey().name().equals("commit-total"))
                .map(Map.Entry::getValue)
                .map(Metric::metricValue)
                .mapToDouble(value -> ((Number) value).doubleValue())
                .sum();
    }

    private static Serde<Conversation> conversations() {
        return Serdes.serdeFrom((topic, conversation) -> conversation.encoded(), (topic, bytes) -> {
            if (bytes == null) {
                return null;
            }
            Conversation conversation = new Conversation();
            conversation.decode(bytes);
            return conversation;
        });
    }

    private static Serde<Fact> facts(Decoder decoder) {
        return Serdes.serdeFrom(
                (topic, fact) -> {
                    throw new SerializationException("events are read and never written");
                },
                (topic, payload) -> {
                    Fact fact = new Fact();
                    try {
                        decoder.read(payload, fact);
                    } catch (IOException wrong) {
                        throw new SerializationException(wrong);
                    }
                    return fact;
                });
    }

    private static final class Fold extends ContextualProcessor<Bytes, Fact, Void, Void> {
        private final Meter meter;
        private KeyValueStore<Bytes, Conversation> conversations;

        Fold(Meter meter) {
            this.meter = meter;
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            super.init(context);
            conversations = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<Bytes, Fact> record) {
            meter.begin();
            Conversation conversation = conversations.get(record.key());
            if (conversation == null) {
                conversation = new Conversation();
            }
            conversation.add(record.value());
            conversations.put(record.key(), conversation);
            meter.add();
        }
    }
}
