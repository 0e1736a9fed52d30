package mevflow.peers;

import java.util.Properties;
import java.util.UUID;

/** What to read, and where rows go. */
record Job(String bootstrap, String topic, long messages, int port) {
    /** The settings of a consumer that reads as much at once as it can. */
    Properties consumer() {
        Properties settings = new Properties();
        settings.setProperty("bootstrap.servers", bootstrap);
        settings.setProperty("group.id", "peer-" + UUID.randomUUID());
        settings.setProperty("auto.offset.reset", "earliest");
        settings.setProperty("max.poll.records", "20000");
        settings.setProperty("fetch.min.bytes", "50000");
        settings.setProperty("max.partition.fetch.bytes", "4194304");
        settings.setProperty("check.crcs", "false");
        return settings;
    }
}
