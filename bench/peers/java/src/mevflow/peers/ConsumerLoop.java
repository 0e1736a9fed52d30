package mevflow.peers;

import java.time.Duration;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** No engine: one consumer in one thread. */
final class ConsumerLoop implements Engine {
    @Override
    public void run(Job job) {
        Gaps gaps = new Gaps();
        Table table = new Table(job.port());
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(job.consumer(), bytes, bytes)) {
            List<TopicPartition> partitions =
                    consumer.partitionsFor(job.topic()).stream()
                            .map(found -> new TopicPartition(found.topic(), found.partition()))
                            .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long seen = 0;
            while (seen < job.messages()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    Pass.message();
                    gaps.handle(Priced.of(record.value()), table::add);
                    seen++;
                }
            }
            table.flush();
            Pass.done();
        }
    }
}
