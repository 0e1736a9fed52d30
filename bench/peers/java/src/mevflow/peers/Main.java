package mevflow.peers;

import java.util.Map;

/**
 * The job of {@code bench/peers/job.py} on an engine, twice in one process: cold, then with what was compiled on the way.
 *
 * <p>Arguments: engine, bootstrap address, topic, messages, ClickHouse port. Prints a line of JSON a pass.
 */
public final class Main {
    private static final Map<String, Engine> ENGINES =
            Map.of(
                    "flink-keyed", new FlinkKeyed(),
                    "flink-single-task", new FlinkSingleTask(),
                    "streams-repartitioned", new Streams(true),
                    "streams-one-thread", new Streams(false),
                    "consumer-loop", new ConsumerLoop());

    private Main() {}

    public static void main(String[] given) throws Exception {
        Engine engine = ENGINES.get(given[0]);
        Job job = new Job(given[1], given[2], Long.parseLong(given[3]), Integer.parseInt(given[4]));
        for (String pass : new String[] {"cold", "warm"}) {
            Pass.reset();
            engine.run(job);
            System.out.println(Pass.told(pass, job.messages()));
        }
        System.exit(0); // an engine's own threads need not end first
    }
}
