package mevflow.peers;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** What the jobs on Flink share: a cluster in this process, the topic as a bounded source, ClickHouse as a sink. */
abstract class FlinkJob implements Engine {
    private final int parallelism;

    FlinkJob(int parallelism) {
        this.parallelism = parallelism;
    }

    /** Add this job's settings. */
    void configure(Configuration settings) {}

    /** From prices to rows. */
    abstract DataStream<Row> gaps(DataStream<Priced> prices);

    @Override
    public final void run(Job job) throws Exception {
        Configuration settings = new Configuration();
        settings.set(PipelineOptions.OBJECT_REUSE, true);
        configure(settings);
        StreamExecutionEnvironment flow = StreamExecutionEnvironment.createLocalEnvironment(parallelism, settings);
        KafkaSource<Priced> topic =
                KafkaSource.<Priced>builder()
                        .setProperties(job.consumer())
                        .setTopics(job.topic())
                        .setStartingOffsets(OffsetsInitializer.earliest())
                        .setBounded(OffsetsInitializer.latest())
                        .setValueOnlyDeserializer(new Decode())
                        .build();
        gaps(flow.fromSource(topic, WatermarkStrategy.noWatermarks(), "swaps")).sinkTo(new ToTable(job.port()));
        flow.execute();
    }

    private static final class Decode extends AbstractDeserializationSchema<Priced> {
        @Override
        public Priced deserialize(byte[] value) {
            Pass.message();
            return Priced.of(value);
        }
    }

    private static final class ToTable implements Sink<Row> {
        private final int port;

        ToTable(int port) {
            this.port = port;
        }

        @Override
        public SinkWriter<Row> createWriter(WriterInitContext context) {
            Table table = new Table(port);
            return new SinkWriter<>() {
                @Override
                public void write(Row row, Context context) {
                    table.add(row);
                }

                @Override
                public void flush(boolean endOfInput) {
                    table.flush();
                    if (endOfInput) {
                        Pass.done();
                    }
                }

                @Override
                public void close() {}
            };
        }
    }
}
