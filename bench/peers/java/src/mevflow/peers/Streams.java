package mevflow.peers;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Properties;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;

/**
 * Kafka Streams. Repartitioned by pair it has two threads, whose tasks each have the pairs of a partition. Without, the
 * pools of a pair come by several partitions, and one thread's tasks share one map. The maps are in no changelog.
 */
final class Streams implements Engine {
    private final boolean repartitioned;

    Streams(boolean repartitioned) {
        this.repartitioned = repartitioned;
    }

    @Override
    public void run(Job job) throws Exception {
        AtomicLong left = new AtomicLong(job.messages());
        CountDownLatch ended = new CountDownLatch(1);
        Gaps shared = new Gaps();
        StreamsBuilder flow = new StreamsBuilder();
        KStream<String, Priced> prices =
                flow.stream(job.topic(), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
                        .peek((key, value) -> Pass.message())
                        .mapValues(Priced::of)
                        .selectKey((key, priced) -> priced.pair);
        if (repartitioned) {
            prices = prices.repartition(Repartitioned.with(LATIN, PRICED).withName("pairs"));
        }
        prices.process(() -> new InMaps(repartitioned ? new Gaps() : shared, new Table(job.port()), left, ended));
        try (KafkaStreams running = new KafkaStreams(flow.build(), settings(job))) {
            running.setUncaughtExceptionHandler(
                    error -> {
                        throw new IllegalStateException(error);
                    });
            running.start();
            ended.await();
        }
    }

    private Properties settings(Job job) throws Exception {
        Properties settings = job.consumer();
        settings.remove("group.id");
        settings.setProperty(StreamsConfig.APPLICATION_ID_CONFIG, "peer-" + UUID.randomUUID());
        settings.setProperty(StreamsConfig.NUM_STREAM_THREADS_CONFIG, repartitioned ? "2" : "1");
        settings.setProperty(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, "20000");
        settings.setProperty(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("streams").toString());
        return settings;
    }

    private static final class InMaps extends ContextualProcessor<String, Priced, Void, Void> {
        private final Gaps gaps;
        private final Table table;
        private final AtomicLong left;
        private final CountDownLatch ended;

        InMaps(Gaps gaps, Table table, AtomicLong left, CountDownLatch ended) {
            this.gaps = gaps;
            this.table = table;
            this.left = left;
            this.ended = ended;
        }

        @Override
        public void process(Record<String, Priced> record) {
            Priced priced = record.value();
            priced.pair = record.key();
            gaps.handle(priced, table::add);
            if (left.decrementAndGet() == 0) {
                table.flush();
                Pass.done();
                ended.countDown();
            }
        }

        @Override
        public void close() {
            table.flush();
        }
    }

    private static final Serde<String> LATIN =
            Serdes.serdeFrom((topic, text) -> latin(text), (topic, bytes) -> latin(bytes));
    /** Without the pair, which is the record's key. */
    private static final Serde<Priced> PRICED =
            Serdes.serdeFrom((topic, priced) -> written(priced), (topic, bytes) -> read(bytes));

    private static byte[] written(Priced priced) {
        byte[] pool = latin(priced.pool);
        ByteBuffer bytes = ByteBuffer.allocate(3 * Long.BYTES + pool.length);
        return bytes.putLong(priced.slot).putDouble(priced.price).putDouble(priced.fee).put(pool).array();
    }

    private static Priced read(byte[] bytes) {
        ByteBuffer from = ByteBuffer.wrap(bytes);
        Priced priced = new Priced();
        priced.slot = from.getLong();
        priced.price = from.getDouble();
        priced.fee = from.getDouble();
        byte[] pool = new byte[from.remaining()];
        from.get(pool);
        priced.pool = latin(pool);
        return priced;
    }

    private static byte[] latin(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String latin(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1);
    }
}
